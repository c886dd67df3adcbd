#include "proxy/net/kms_transport.hpp"

#include <pthread.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/assert.hpp>
#include <csignal>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <thread>
#include <tuple>
#include <utility>

#include "proxy/net/error.hpp"
#include "proxy/net/kms_failures.hpp"
#include "proxy/net/kms_reply.hpp"
#include "proxy/net/resolver.hpp"
#include "proxy/net/tls.hpp"
#include "proxy/observe/log.hpp"

namespace fieldgate::net {
namespace {

namespace log = observe::log;
using crypto::kms::Endpoint;
using crypto::kms::Failure;
using crypto::kms::Reply;
using crypto::kms::Request;
using crypto::kms::Result;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::size_t addresses_max = 8;  // of one host, that are tried

// Connections are shared by requests of one provider to one endpoint, never between providers: their client
// certificates differ.
using HostKey = std::tuple<std::string, crypto::kms::Protocol, Endpoint>;

struct Idle {
    std::unique_ptr<Stream> stream;
    Clock::time_point since;
};

struct Exchange;

struct Host {
    std::size_t busy = 0;  // connections that exchanges have; with the idle ones never above the limit
    std::deque<Idle> idle;
    std::deque<Exchange*> waiting;
};

// One request on its way. Whatever it waits for, end() makes it stop waiting.
struct Exchange : std::enable_shared_from_this<Exchange> {
    Exchange(asio::io_context& context, std::string provider_name, Request what,
             keys::KmsTransport::Done then)
        : provider(std::move(provider_name)),
          request(std::move(what)),
          done(std::move(then)),
          deadline(context),
          turn(context) {}

    void end(const char* why) {
        if (ended == nullptr) ended = why;
        if (stream != nullptr) stream->close();
        if (lookup != nullptr) lookup->give_up();
        turn.notify();
    }

    std::string provider;
    Request request;
    keys::KmsTransport::Done done;
    asio::steady_timer deadline;
    milliseconds timeout{0};
    const char* ended = nullptr;  // "timeout" or "stopped"
    Event turn;
    bool has_turn = false;
    Stream* stream = nullptr;  // what is waited for, or null
    std::size_t attempts = 0;  // to connect
    Lookup* lookup = nullptr;
};

}  // namespace

// Of the transport's thread, but for what stands under the mutex.
struct KmsTransport::State {
    explicit State(KmsTransportOptions given)
        : options(given), work(context.get_executor()), sweep(context) {}

    void run();
    void start(const std::shared_ptr<Exchange>& exchange);
    asio::awaitable<void> carry_out(Exchange& exchange);  // which `exchanges` owns until then
    asio::awaitable<void> exchange_bytes(Exchange& exchange, std::optional<Result<Reply>>& outcome);
    asio::awaitable<void> exchange_on_host(Exchange& exchange, Host& host,
                                           std::optional<Result<Reply>>& outcome);
    static std::unique_ptr<Stream> take_idle(Host& host);
    asio::awaitable<bool> wait_for_turn(Exchange& exchange, Host& host);
    void give_turn(const HostKey& key);
    asio::awaitable<std::unique_ptr<Stream>> open(Exchange& exchange, std::optional<Failure>& failure);
    asio::awaitable<std::unique_ptr<Stream>> connect(Exchange& exchange,
                                                     const std::vector<asio::ip::address>& addresses,
                                                     std::optional<Failure>& failure);
    asio::awaitable<error_code> converse(Exchange& exchange, Stream& stream, KmsReplyReader& reader,
                                         KmsReplyReader::State& state);
    Failure why_ended(const Exchange& exchange) const;
    void keep(Host& host, std::unique_ptr<Stream> stream);
    void close_idle();
    void end_all();

    const KmsTransportOptions options;
    std::map<std::string, SslContext> tls;  // before the context: streams are closed first

    asio::io_context context{1};
    asio::executor_work_guard<asio::io_context::executor_type> work;
    std::map<HostKey, Host> hosts;
    std::set<std::shared_ptr<Exchange>> exchanges;
    std::set<std::shared_ptr<asio::steady_timer>> timers;
    asio::steady_timer sweep;
    bool is_sweeping = false;

    std::mutex mutex;
    bool is_stopping = false;
    std::thread thread;
};

void KmsTransport::State::run() {
    pthread_setname_np(pthread_self(), "kms-transport");
    // OpenSSL writes to sockets that the peer has closed; commands do not ignore the signal.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    context.run();
}

void KmsTransport::State::start(const std::shared_ptr<Exchange>& exchange) {
    exchanges.insert(exchange);
    exchange->deadline.expires_after(exchange->timeout);
    exchange->deadline.async_wait([weak = std::weak_ptr(exchange)](const error_code& ec) {
        if (const auto live = weak.lock(); live && !ec) live->end("timeout");
    });
    asio::co_spawn(context, carry_out(*exchange), asio::detached);
}

asio::awaitable<void> KmsTransport::State::carry_out(Exchange& exchange) {
    std::optional<Result<Reply>> outcome;
    co_await exchange_bytes(exchange, outcome);
    exchange.deadline.cancel();
    const auto kept = exchange.shared_from_this();
    exchanges.erase(kept);
    // What was asked may be a secret as well: it does not stay for as long as the callback takes.
    exchange.request.bytes.clear();
    exchange.done(std::move(*outcome));
}

asio::awaitable<void> KmsTransport::State::exchange_bytes(Exchange& exchange,
                                                          std::optional<Result<Reply>>& outcome) {
    const HostKey key(exchange.provider, exchange.request.protocol, exchange.request.endpoint);
    Host& host = hosts[key];  // stays where it is while somebody waits or is busy
    const bool has_turn = co_await wait_for_turn(exchange, host);
    if (has_turn) {
        co_await exchange_on_host(exchange, host, outcome);
        --host.busy;
    } else {
        outcome.emplace(why_ended(exchange));
    }
    give_turn(key);
}

asio::awaitable<bool> KmsTransport::State::wait_for_turn(Exchange& exchange, Host& host) {
    if (host.busy < options.connections_max && host.waiting.empty()) {
        ++host.busy;
        co_return true;
    }
    host.waiting.push_back(&exchange);
    while (!exchange.has_turn && exchange.ended == nullptr) co_await exchange.turn.wait();
    if (exchange.has_turn) co_return true;
    std::erase(host.waiting, &exchange);
    co_return false;
}

// Hosts that nobody uses are forgotten: their names come from key documents.
void KmsTransport::State::give_turn(const HostKey& key) {
    Host& host = hosts.at(key);
    while (host.busy < options.connections_max && !host.waiting.empty()) {
        Exchange* const next = host.waiting.front();
        host.waiting.pop_front();
        next->has_turn = true;
        ++host.busy;
        next->turn.notify();
    }
    if (host.busy == 0 && host.idle.empty() && host.waiting.empty()) hosts.erase(key);
}

asio::awaitable<void> KmsTransport::State::exchange_on_host(Exchange& exchange, Host& host,
                                                            std::optional<Result<Reply>>& outcome) {
    for (;;) {
        if (exchange.ended != nullptr) {
            outcome.emplace(why_ended(exchange));
            co_return;
        }
        std::unique_ptr<Stream> stream = take_idle(host);
        const bool is_reused = stream != nullptr;
        if (!is_reused) {
            std::optional<Failure> failure;
            stream = co_await open(exchange, failure);
            if (failure) {
                outcome.emplace(std::move(*failure));
                co_return;
            }
        }
        KmsReplyReader reader(exchange.request.protocol);
        KmsReplyReader::State state = KmsReplyReader::State::more;
        exchange.stream = stream.get();
        const error_code ec = co_await converse(exchange, *stream, reader, state);
        exchange.stream = nullptr;

        if (state == KmsReplyReader::State::complete) {
            if (exchange.ended == nullptr && reader.may_continue()) keep(host, std::move(stream));
            outcome.emplace(reader.take());
            co_return;
        }
        if (exchange.ended != nullptr) {
            outcome.emplace(why_ended(exchange));
            co_return;
        }
        if (is_reused && !reader.has_begun()) {
            // It was closed while nobody looked, and the others from that time probably were, too.
            host.idle.clear();
            continue;
        }
        const Endpoint& endpoint = exchange.request.endpoint;
        if (state == KmsReplyReader::State::failed) {
            Failure failure = reader.failure();
            failure.text = text_of(endpoint) + ": " + failure.text;
            outcome.emplace(std::move(failure));
        } else if (reader.has_begun()) {
            outcome.emplace(unavailable(
                "truncated", text_of(endpoint) + ": the connection broke within the reply: " + ec.message()));
        } else {
            outcome.emplace(tls_failure(*stream, endpoint, ec));
        }
        co_return;
    }
}

// One that is still open and holds nothing. What a key manager sent after its last reply (a second answer to
// the request before, say) would be taken for the answer to the next one, and be another key's.
std::unique_ptr<Stream> KmsTransport::State::take_idle(Host& host) {
    while (!host.idle.empty()) {
        std::unique_ptr<Stream> stream = std::move(host.idle.back().stream);
        host.idle.pop_back();
        if (stream->is_quiet()) return stream;
    }
    return nullptr;
}

// Writes the request and reads until the reply is complete or cannot become so.
asio::awaitable<error_code> KmsTransport::State::converse(Exchange& exchange, Stream& stream,
                                                          KmsReplyReader& reader,
                                                          KmsReplyReader::State& state) {
    const error_code write_error = co_await stream.write(exchange.request.bytes.expose_secret());
    // Read even so: who closes before the whole request came may have said why, a server of TLS 1.3 that
    // refuses our certificate above all, which it does after our side of the handshake is over.
    error_code ec;
    while (!ec && state == KmsReplyReader::State::more) {
        std::size_t byte_count = 0;
        std::tie(ec, byte_count) = co_await stream.read_some(reader.prepare());
        if (ec == asio::error::eof) {
            state = reader.end();
        } else if (!ec) {
            state = reader.commit(byte_count);
        }
    }
    if (write_error && ec != Errc::tls_failed) co_return write_error;
    co_return ec;
}

asio::awaitable<std::unique_ptr<Stream>> KmsTransport::State::open(Exchange& exchange,
                                                                   std::optional<Failure>& failure) {
    const Endpoint& endpoint = exchange.request.endpoint;
    SSL_CTX* tls_context = nullptr;
    if (endpoint.tls) {
        const auto found = tls.find(exchange.provider);
        if (found == tls.end()) {
            failure = unavailable("not_configured", "there is no TLS configuration of that name");
            co_return nullptr;
        }
        tls_context = found->second.get();
    }
    Lookup lookup(context, endpoint.host);
    exchange.lookup = &lookup;
    co_await lookup.wait();
    exchange.lookup = nullptr;
    if (exchange.ended != nullptr) {
        failure = why_ended(exchange);
        co_return nullptr;
    }
    if (lookup.addresses().empty()) {
        failure = unavailable("resolve_failed", endpoint.host + ": " + lookup.error());
        co_return nullptr;
    }
    std::unique_ptr<Stream> stream = co_await connect(exchange, lookup.addresses(), failure);
    if (failure || tls_context == nullptr) co_return stream;

    exchange.stream = stream.get();
    // A variable, not a temporary: GCC 12 would copy its bytes into the coroutine and free them twice.
    const PeerName name{endpoint.host, true};
    const error_code ec = co_await stream->connect_tls(tls_context, name);
    exchange.stream = nullptr;
    if (exchange.ended != nullptr) {
        failure = why_ended(exchange);
    } else if (ec) {
        failure = tls_failure(*stream, endpoint, ec);
    } else {
        log::debug("KMS connected", {{"provider", exchange.provider}, {"endpoint", text_of(endpoint)}});
    }
    co_return stream;
}

// One address after the other; the first ones may not take the time of the others.
asio::awaitable<std::unique_ptr<Stream>> KmsTransport::State::connect(
    Exchange& exchange, const std::vector<asio::ip::address>& addresses, std::optional<Failure>& failure) {
    const std::size_t count = std::min(addresses.size(), addresses_max);
    error_code ec;
    for (std::size_t i = 0; i < count; ++i) {
        auto stream = std::make_unique<Stream>(context);
        exchange.stream = stream.get();
        const std::size_t attempt = ++exchange.attempts;
        asio::steady_timer limit(context);
        if (i + 1 < count) {
            limit.expires_after((exchange.deadline.expiry() - Clock::now()) /
                                static_cast<std::int64_t>(count - i));
            // It may have run out already when the attempt succeeds.
            limit.async_wait([weak = exchange.weak_from_this(), attempt](const error_code& cancelled) {
                const auto live = weak.lock();
                if (cancelled || !live || live->attempts != attempt || live->stream == nullptr) return;
                live->stream->close();
            });
        }
        const asio::ip::tcp::endpoint endpoint(addresses[i], exchange.request.endpoint.port);
        ec = co_await stream->connect(endpoint);
        limit.cancel();
        ++exchange.attempts;
        exchange.stream = nullptr;
        if (exchange.ended != nullptr) {
            failure = why_ended(exchange);
            co_return nullptr;
        }
        if (!ec) co_return stream;
        if (ec == asio::error::operation_aborted) ec = Errc::timed_out;
    }
    failure = unavailable("connect_failed", text_of(exchange.request.endpoint) + ": " + ec.message());
    co_return nullptr;
}

Failure KmsTransport::State::why_ended(const Exchange& exchange) const {
    BOOST_ASSERT(exchange.ended != nullptr);
    if (std::string_view(exchange.ended) == "stopped") return stopped();
    return unavailable("timeout", text_of(exchange.request.endpoint) + ": no answer within " +
                                      std::to_string(exchange.timeout.count()) + " ms");
}

void KmsTransport::State::keep(Host& host, std::unique_ptr<Stream> stream) {
    std::size_t idle_count = 0;
    for (const auto& [key, other] : hosts) idle_count += other.idle.size();
    if (idle_count >= options.idle_max) return;
    host.idle.push_back({std::move(stream), Clock::now()});
    if (!is_sweeping) close_idle();
}

// Closes what was not used for long and comes back when the next one may be due.
void KmsTransport::State::close_idle() {
    const Clock::time_point now = Clock::now();
    auto next = Clock::time_point::max();
    for (auto at = hosts.begin(); at != hosts.end();) {
        Host& host = at->second;
        while (!host.idle.empty() && host.idle.front().since + options.idle_timeout <= now)
            host.idle.pop_front();
        if (!host.idle.empty()) next = std::min(next, host.idle.front().since + options.idle_timeout);
        const bool is_unused = host.busy == 0 && host.idle.empty() && host.waiting.empty();
        at = is_unused ? hosts.erase(at) : std::next(at);
    }
    is_sweeping = next != Clock::time_point::max();
    if (!is_sweeping) return;
    sweep.expires_at(next);
    sweep.async_wait([this](const error_code& ec) {
        if (!ec) close_idle();
    });
}

void KmsTransport::State::end_all() {
    for (const auto& exchange : exchanges) exchange->end("stopped");
    for (const auto& timer : timers) timer->cancel();
    for (auto& [key, host] : hosts) host.idle.clear();
    sweep.cancel();
    work.reset();
}

KmsTransport::KmsTransport(const std::vector<config::KmsProvider>& providers, KmsTransportOptions options)
    : state_(std::make_unique<State>(options)) {
    for (const config::KmsProvider& provider : providers) {
        if (std::holds_alternative<config::LocalKms>(provider.settings)) continue;
        const UpstreamTls tls{.ca_file = provider.tls.ca_file.string(),
                              .certificate_key_file = provider.tls.certificate_key_file.string(),
                              .certificate_key_password = provider.tls.certificate_key_file_password};
        try {
            state_->tls.emplace(provider.name, make_upstream_context(tls));
        } catch (const std::runtime_error& error) {
            throw std::runtime_error("KMS provider `" + provider.name + "`: " + error.what());
        }
    }
    state_->thread = std::thread([state = state_.get()] { state->run(); });
}

KmsTransport::~KmsTransport() {
    stop();
}

void KmsTransport::send(const std::string& provider, Request request, milliseconds timeout, Done done) {
    auto exchange =
        std::make_shared<Exchange>(state_->context, provider, std::move(request), std::move(done));
    exchange->timeout = timeout;
    {
        // Posted under the mutex: what is posted before stop()'s own task is ended by it.
        const std::lock_guard lock(state_->mutex);
        if (!state_->is_stopping) {
            asio::post(state_->context, [state = state_.get(), exchange] { state->start(exchange); });
            return;
        }
    }
    exchange->done(stopped());
}

void KmsTransport::after(milliseconds delay, std::function<void()> task) {
    const std::lock_guard lock(state_->mutex);
    if (state_->is_stopping) return;
    asio::post(state_->context, [state = state_.get(), delay, task = std::move(task)] {
        const auto timer = std::make_shared<asio::steady_timer>(state->context, delay);
        state->timers.insert(timer);
        timer->async_wait([state, timer, task](const error_code& ec) {
            state->timers.erase(timer);
            if (!ec) task();
        });
    });
}

void KmsTransport::stop() {
    {
        const std::lock_guard lock(state_->mutex);
        if (!std::exchange(state_->is_stopping, true)) {
            asio::post(state_->context, [state = state_.get()] { state->end_all(); });
        }
    }
    if (state_->thread.joinable()) state_->thread.join();
}

}  // namespace fieldgate::net
