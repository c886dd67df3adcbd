#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include "proxy/net/connection.hpp"
#include "proxy/net/error.hpp"
#include "proxy/net/worker.hpp"
#include "proxy/observe/log.hpp"

// Getting an upstream connection: the primary of the moment, TLS, the handshake.
namespace fieldgate::net {
namespace {

namespace log = observe::log;

// Between two attempts while an election is under way.
constexpr std::chrono::milliseconds retry_pause{100};

}  // namespace

// Afterwards the request is asked about again: it finds the upstream ready or is answered with the reason why
// not. False when the connection is over.
asio::awaitable<bool> Connection::connect_upstream() {
    BOOST_ASSERT(!relaying_);
    using std::chrono::milliseconds;
    Process& process = worker_.process();
    const auto give_up = Clock::now() + process.config->upstream.election_wait;
    std::string why;  // for the log: it names servers, whose addresses are no matter of clients
    const char* told = "the primary cannot be reached";
    for (;;) {
        const auto left = std::chrono::duration_cast<milliseconds>(give_up - Clock::now());
        const auto primary = co_await find_primary(std::max(left, milliseconds(0)), why);
        if (ended_) co_return false;
        if (!primary) {
            told = "no primary was found in time";
            break;
        }
        member_ = *primary;
        const Attempt attempt = co_await try_member(*primary, why);
        clear_deadline();
        if (ended_) co_return false;
        if (attempt == Attempt::ready) {
            relaying_ = true;
            WorkerCounters::add(worker_.own_counters().upstream_active, 1);
            spawn(relay_replies());
            co_return true;
        }
        member_.reset();
        upstream_.reset();
        WorkerCounters::add(worker_.own_counters().upstream_failures, 1);
        log::info("upstream not usable",
                  {{"connection", id_}, {"upstream", primary->text()}, {"reason", why}});
        if (attempt == Attempt::refused) {
            close_after_answer_ = true;
            told = "the primary refused the handshake";
            break;
        }
        process.services.report_member(*primary, why);
        if (Clock::now() + retry_pause >= give_up) break;
        co_await sleep(retry_pause);
        if (ended_) co_return false;
    }
    session_.upstream_unavailable(told);
    co_return true;
}

asio::awaitable<Connection::Attempt> Connection::try_member(const HostPort& member, std::string& why) {
    timed_out_ = false;
    error_code ec = co_await open_stream(member);
    if (!ec) {
        set_deadline(worker_.process().upstream.connect_timeout);
        const wire::Buffer hello = session_.upstream_hello();
        ec = co_await upstream_->write(hello);
    }
    std::optional<wire::Bytes> reply;
    replies_.take_pending(replies_.pending_bytes());  // of the member that was tried before
    while (!ec && !ended_) {
        reply = replies_.next(ec);
        if (ec || reply) break;
        if (const auto header = replies_.peek(ec);
            header && static_cast<std::size_t>(header->message_bytes) > MemoryBudget::free_bytes) {
            why = "its reply to the handshake is too large";
            co_return Attempt::refused;
        }
        std::size_t byte_count = 0;
        std::tie(ec, byte_count) = co_await upstream_->read_some(replies_.prepare());
        if (!ec) replies_.commit(byte_count);
    }
    if (!ec && replies_.pending_bytes() != 0) ec = Errc::unsolicited_bytes;
    if (timed_out_) ec = Errc::timed_out;
    if (ec || ended_) {
        why = "cannot connect to " + member.text() + ": " +
              (ec == Errc::tls_failed && upstream_ ? "TLS: " + upstream_->tls_error() : ec.message());
        co_return Attempt::try_again;
    }
    switch (session_.on_upstream_hello(*reply, member.text())) {
        case session::UpstreamState::ready:
            log::debug("upstream connected", {{"connection", id_}, {"upstream", member.text()}});
            co_return Attempt::ready;
        case session::UpstreamState::not_primary:
            why = member.text() + " is not the primary";
            co_return Attempt::try_again;
        case session::UpstreamState::refused:
            break;
    }
    why = member.text() + " refused the handshake";
    co_return Attempt::refused;
}

asio::awaitable<error_code> Connection::open_stream(const HostPort& member) {
    Process& process = worker_.process();
    std::vector<Stream::Socket::endpoint_type> endpoints;
    error_code ec;
    if (member.host.starts_with('/')) {
        endpoints.emplace_back(asio::local::stream_protocol::endpoint(member.host));
    } else if (const auto address = asio::ip::make_address(member.host, ec); !ec) {
        endpoints.emplace_back(asio::ip::tcp::endpoint(address, member.port));
    } else {
        asio::ip::tcp::resolver resolver(worker_.context());
        asio::ip::tcp::resolver::results_type results;
        std::tie(ec, results) =
            co_await resolver.async_resolve(member.host, std::to_string(member.port), use_tuple);
        if (ec) co_return ec;
        for (const auto& result : results) endpoints.emplace_back(result.endpoint());
    }
    ec = Errc::no_address;
    for (const auto& endpoint : endpoints) {
        if (ended_) co_return asio::error::operation_aborted;
        timed_out_ = false;
        upstream_ = std::make_unique<Stream>(worker_.context());
        set_deadline(process.upstream.connect_timeout);
        ec = co_await upstream_->connect(endpoint);
        if (!ec && process.upstream_tls) {
            set_deadline(process.upstream.connect_timeout);
            // A variable, not a temporary: GCC 12 would copy its bytes into the coroutine and free them
            // twice.
            const PeerName name{member.host, !process.upstream.tls->allow_invalid_hostnames};
            ec = co_await upstream_->connect_tls(process.upstream_tls.get(), name);
        }
        if (!ec) break;
    }
    co_return ec;
}

}  // namespace fieldgate::net
