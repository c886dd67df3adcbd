#include "proxy/keys/kms.hpp"

#include <algorithm>
#include <boost/assert.hpp>
#include <deque>
#include <mutex>
#include <random>
#include <tuple>
#include <utility>

#include "crypto/kms/json.hpp"
#include "proxy/keys/kms_words.hpp"

namespace fieldgate::keys {

using crypto::kms::Failure;
using crypto::kms::MasterKeyDescription;
using crypto::kms::Reply;
using crypto::kms::Result;
using std::chrono::milliseconds;

namespace {

Failure not_configured(const std::string& provider) {
    return {.kind = Failure::Kind::refused,
            .code = "not_configured",
            .text = "KMS provider `" + provider + "` is not configured"};
}

// A certificate does not become another one within seconds.
bool is_of_certificate(const Failure& failure) {
    return failure.code.starts_with("certificate_");
}

// Some answer by quoting what they were asked.
void hide_key(Failure& failure, const crypto::DataKey* wrapped) {
    if (wrapped == nullptr) return;
    crypto::SecretBuffer text;
    crypto::kms::append_base64(text, *wrapped);
    crypto::kms::hide_secret(failure, text);
}

}  // namespace

// Callbacks of the transport hold it weakly and name the task by its number: what comes after the end, or for
// a task that is over, finds nothing.
class Kms::Engine : public std::enable_shared_from_this<Kms::Engine> {
 public:
    Engine(KmsTransport& transport, Providers providers, KmsOptions options);

    struct Task {
        KmsCall call = KmsCall::unwrap;
        std::shared_ptr<const crypto::DataKey> key;  // that the operation wraps
        std::unique_ptr<KmsOperation> operation;     // null: only waits for a login
        // Takes the outcome out of the operation, if there is no failure, and hands it on.
        std::function<void(const Failure*)> done;
        std::chrono::steady_clock::time_point deadline;
        int failures = 0;
        bool has_login = false;  // of this attempt: looked for, or waited for
        bool has_logged_in_afresh = false;
        bool waits_for_login = false;
        std::uint64_t login_number = 0;  // of the provider when the attempt began
        std::optional<Failure> last_failure;
    };

    bool has(const std::string& provider) const { return states_.contains(provider); }
    KmsProvider* find(const std::string& provider) {
        const auto at = states_.find(provider);
        return at == states_.end() ? nullptr : at->second.provider.get();
    }
    void ask(const std::string& provider, Task task);
    // For what fails before it begins.
    void report(const std::string& provider, KmsCall call, const Failure& failure);
    void stop();
    std::vector<KmsCount> counts() const;

 private:
    struct State {
        std::string name;
        std::unique_ptr<KmsProvider> provider;
        std::deque<std::uint64_t> queue;
        std::size_t running = 0;
        bool is_pumping = false;
        std::uint64_t login = 0;  // the task that logs in, or 0
        std::uint64_t login_number = 0;
        bool credentials_were_refused = false;                                  // what the next login is for
        std::optional<std::chrono::steady_clock::time_point> logged_in_afresh;  // for that, last
        std::vector<std::uint64_t> waiting;                                     // for the login
        bool login_was_sent = false;           // it did more than read a file
        std::optional<Failure> login_refusal;  // of the last one; none is sent before next_login
        std::chrono::steady_clock::time_point next_login;
        milliseconds login_pause{0};
    };
    struct Entry {
        State& state;
        Task task;
    };

    void pump(State& state);
    void step(std::uint64_t id);
    bool wait_for_login(std::uint64_t id, Entry& entry);
    void on_reply(std::uint64_t id, const Result<Reply>& reply);
    void on_failure(std::uint64_t id, Failure failure, std::optional<std::chrono::seconds> retry_after);
    void finish(std::uint64_t id, std::optional<Failure> failure);
    void finish_login(State& state, const std::optional<Failure>& failure);
    void count(const std::string& provider, KmsCall call, const Failure* failure);
    milliseconds left(const Task& task) const;
    milliseconds delay(int failures, std::optional<std::chrono::seconds> retry_after);
    Failure out_of_time(const Task& task) const;
    std::function<void()> later(std::uint64_t id, void (Engine::*call)(std::uint64_t));
    void give_up_waiting(std::uint64_t id);

    KmsTransport& transport_;
    KmsOptions options_;
    std::map<std::string, State> states_;
    std::map<std::uint64_t, Entry> tasks_;  // after states_: operations end before their providers
    std::uint64_t last_id_ = 0;
    bool stopped_ = false;

    mutable std::mutex counts_mutex_;
    std::map<std::tuple<std::string, KmsCall, std::string>, std::uint64_t> counts_;
};

Kms::Engine::Engine(KmsTransport& transport, Providers providers, KmsOptions options)
    : transport_(transport), options_(std::move(options)) {
    for (auto& [name, provider] : providers) {
        State& state = states_[name];
        state.name = name;
        state.provider = std::move(provider);
    }
    if (!options_.now) {
        options_.now = [] {
            return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
        };
    }
    if (!options_.steady_now) options_.steady_now = &std::chrono::steady_clock::now;
    if (!options_.random) {
        options_.random = [generator = std::minstd_rand(std::random_device()())]() mutable {
            return std::uniform_real_distribution<double>()(generator);
        };
    }
}

void Kms::Engine::ask(const std::string& provider, Task task) {
    const auto self = shared_from_this();  // `done` may end the Kms
    State& state = states_.at(provider);
    task.deadline = options_.steady_now() + options_.operation_timeout;
    const std::uint64_t id = ++last_id_;
    tasks_.emplace(id, Entry{state, std::move(task)});
    state.queue.push_back(id);
    pump(state);
}

// A loop and not a recursion: operations that complete at once would nest as deep as the queue is long.
void Kms::Engine::pump(State& state) {
    if (state.is_pumping) return;
    state.is_pumping = true;
    while (!stopped_ && state.running < options_.operations_max && !state.queue.empty()) {
        const std::uint64_t id = state.queue.front();
        state.queue.pop_front();
        ++state.running;
        step(id);
    }
    state.is_pumping = false;
}

// The next request of a task, or its end.
void Kms::Engine::step(std::uint64_t id) {
    const auto at = tasks_.find(id);
    if (at == tasks_.end()) return;
    Entry& entry = at->second;
    Task& task = entry.task;
    if (!task.has_login) {
        if (left(task) <= milliseconds(0)) return finish(id, out_of_time(task));
        if (wait_for_login(id, entry)) return;
    }
    if (!task.operation) return finish(id, std::nullopt);

    auto request = task.operation->next(options_.now());
    if (!request) return on_failure(id, request.error(), std::nullopt);
    if (!*request) return finish(id, std::nullopt);
    if (left(task) <= milliseconds(0)) return finish(id, out_of_time(task));
    if (task.call == KmsCall::login) entry.state.login_was_sent = true;
    // One that only reads a file again costs nobody anything.
    if (task.call == KmsCall::login && std::exchange(entry.state.credentials_were_refused, false)) {
        entry.state.logged_in_afresh = options_.steady_now();
    }
    transport_.send(entry.state.name, std::move(**request), std::min(options_.request_timeout, left(task)),
                    [weak = weak_from_this(), id](const Result<Reply>& reply) {
                        if (const auto self = weak.lock()) self->on_reply(id, reply);
                    });
}

// True: the task goes on when the login is over. One that only renews what is still good is not waited for:
// that the place of the logins is away for a while must not stop anybody before the end. Unless it was just
// refused.
bool Kms::Engine::wait_for_login(std::uint64_t id, Entry& entry) {
    State& state = entry.state;
    Task& task = entry.task;
    task.has_login = true;
    task.login_number = state.login_number;
    const bool must_wait =
        !task.operation || task.has_logged_in_afresh || !state.provider->is_logged_in(options_.now());
    std::unique_ptr<KmsOperation> login;
    if (state.login == 0) {
        login = state.provider->login(options_.now());
        if (!login) return false;
        if (state.login_refusal && options_.steady_now() < state.next_login) {
            if (must_wait) finish(id, state.login_refusal);
            return must_wait;
        }
    }
    if (must_wait) {
        task.waits_for_login = true;
        state.waiting.push_back(id);
        transport_.after(left(task), later(id, &Engine::give_up_waiting));
    }
    if (!login) return must_wait;

    state.login = ++last_id_;
    Task login_task;
    login_task.call = KmsCall::login;
    login_task.operation = std::move(login);
    login_task.deadline = options_.steady_now() + options_.operation_timeout;
    login_task.has_login = true;
    login_task.done = [](const Failure*) {};
    tasks_.emplace(state.login, Entry{state, std::move(login_task)});
    step(state.login);
    return must_wait;
}

void Kms::Engine::give_up_waiting(std::uint64_t id) {
    const auto at = tasks_.find(id);
    if (at == tasks_.end() || !at->second.task.waits_for_login) return;
    std::erase(at->second.state.waiting, id);
    finish(id, out_of_time(at->second.task));
}

void Kms::Engine::on_reply(std::uint64_t id, const Result<Reply>& reply) {
    const auto at = tasks_.find(id);
    if (at == tasks_.end()) return;
    if (!reply) return on_failure(id, reply.error(), std::nullopt);
    if (auto failure = at->second.task.operation->reply(*reply, options_.now())) {
        at->second.state.provider->hide_secrets(*failure);
        hide_key(*failure, at->second.task.key.get());
        return on_failure(id, std::move(*failure), reply->retry_after);
    }
    step(id);
}

void Kms::Engine::on_failure(std::uint64_t id, Failure failure,
                             std::optional<std::chrono::seconds> retry_after) {
    Entry& entry = tasks_.at(id);
    Task& task = entry.task;
    KmsProvider& provider = *entry.state.provider;
    if (failure.kind == Failure::Kind::credentials && task.call != KmsCall::login &&
        !task.has_logged_in_afresh) {
        task.has_logged_in_afresh = true;
        // Of many operations that fail at once, the first makes the others' login.
        const bool is_renewed = entry.state.login != 0 || entry.state.login_number != task.login_number;
        const auto& last = entry.state.logged_in_afresh;
        const bool is_fresh = last && options_.steady_now() - *last < options_.login_fresh;
        const bool logs_in = !is_renewed && !is_fresh && provider.forget_login();
        if (logs_in) entry.state.credentials_were_refused = true;
        if (is_renewed || logs_in) {
            task.last_failure = std::move(failure);
            task.operation->restart();
            task.has_login = false;
            return step(id);
        }
    }
    ++task.failures;
    if (failure.kind == Failure::Kind::credentials || is_of_certificate(failure) ||
        task.failures >= options_.attempts_max || !provider.may_retry(failure)) {
        return finish(id, std::move(failure));
    }
    const milliseconds pause = delay(task.failures, retry_after);
    if (pause >= left(task)) return finish(id, std::move(failure));
    task.last_failure = std::move(failure);
    task.operation->restart();
    // A login does not log in first.
    if (task.call != KmsCall::login) task.has_login = false;
    transport_.after(pause, later(id, &Engine::step));
}

// Full jitter (as csfle.md 1.5 has it of the drivers): many clients that failed together come back apart.
milliseconds Kms::Engine::delay(int failures, std::optional<std::chrono::seconds> retry_after) {
    milliseconds longest = options_.retry_base;
    for (int i = 1; i < failures && longest < options_.retry_cap; ++i) longest *= 2;
    longest = std::min(longest, options_.retry_cap);
    const milliseconds drawn(
        static_cast<milliseconds::rep>(options_.random() * static_cast<double>(longest.count())));
    if (!retry_after) return drawn;
    // Compared in seconds: a server may say any number.
    const auto cap = std::chrono::floor<std::chrono::seconds>(options_.retry_cap);
    return std::max(drawn, *retry_after > cap ? options_.retry_cap : milliseconds(*retry_after));
}

milliseconds Kms::Engine::left(const Task& task) const {
    return std::chrono::duration_cast<milliseconds>(task.deadline - options_.steady_now());
}

// What it failed with before says more than that its time is over.
Failure Kms::Engine::out_of_time(const Task& task) const {
    if (task.last_failure) return *task.last_failure;
    return {.kind = Failure::Kind::unavailable,
            .code = "timeout",
            .text = std::string(task.waits_for_login ? "login: " : "") + "no answer within " +
                    std::to_string(options_.operation_timeout.count()) + " ms"};
}

std::function<void()> Kms::Engine::later(std::uint64_t id, void (Engine::*call)(std::uint64_t)) {
    return [weak = weak_from_this(), id, call] {
        if (const auto self = weak.lock()) (self.get()->*call)(id);
    };
}

void Kms::Engine::finish(std::uint64_t id, std::optional<Failure> failure) {
    auto node = tasks_.extract(id);
    BOOST_ASSERT(node);
    State& state = node.mapped().state;
    Task& task = node.mapped().task;
    if (state.login == id) return finish_login(state, failure);

    if (failure) failure->text = "KMS provider `" + state.name + "`: " + failure->text;
    if (task.operation) count(state.name, task.call, failure ? &*failure : nullptr);
    --state.running;
    task.done(failure ? &*failure : nullptr);
    pump(state);
}

void Kms::Engine::finish_login(State& state, const std::optional<Failure>& failure) {
    std::optional<Failure> told = failure;
    if (told) told->text = "login: " + told->text;
    {
        std::optional<Failure> logged = told;
        if (logged) logged->text = "KMS provider `" + state.name + "`: " + logged->text;
        count(state.name, KmsCall::login, logged ? &*logged : nullptr);
    }
    state.login = 0;
    state.credentials_were_refused = false;
    state.login_refusal.reset();
    if (!failure) {
        ++state.login_number;
        state.login_pause = milliseconds(0);
    } else if (state.login_was_sent &&
               (failure->kind == Failure::Kind::refused || failure->kind == Failure::Kind::credentials)) {
        state.login_pause =
            std::clamp(state.login_pause * 2, options_.login_pause_min, options_.login_pause_max);
        state.next_login = options_.steady_now() + state.login_pause;
        state.login_refusal = told;
    }
    state.login_was_sent = false;
    for (const std::uint64_t id : std::exchange(state.waiting, {})) {
        const auto at = tasks_.find(id);
        if (at == tasks_.end()) continue;  // the Kms ended in a callback
        at->second.task.waits_for_login = false;
        at->second.task.login_number = state.login_number;
        if (told) {
            finish(id, told);
        } else {
            step(id);
        }
    }
}

void Kms::Engine::report(const std::string& provider, KmsCall call, const Failure& failure) {
    count(provider, call, &failure);
}

void Kms::Engine::count(const std::string& provider, KmsCall call, const Failure* failure) {
    {
        const std::lock_guard lock(counts_mutex_);
        ++counts_[{provider, call, std::string(failure == nullptr ? "ok" : kind_name(failure->kind))}];
    }
    if (options_.on_done) options_.on_done(provider, call, failure);
}

std::vector<KmsCount> Kms::Engine::counts() const {
    std::vector<KmsCount> counts;
    const std::lock_guard lock(counts_mutex_);
    for (const auto& [key, count] : counts_) {
        const auto& [provider, call, outcome] = key;
        counts.push_back({provider, call, outcome, count});
    }
    return counts;
}

void Kms::Engine::stop() {
    stopped_ = true;
    tasks_.clear();
    for (auto& [name, state] : states_) {
        state.queue.clear();
        state.waiting.clear();
    }
}

Kms::Kms(KmsTransport& transport, Providers providers, KmsOptions options)
    : engine_(std::make_shared<Engine>(transport, std::move(providers), std::move(options))) {}

Kms::~Kms() {
    engine_->stop();
}

bool Kms::has(const std::string& provider) const {
    return engine_->has(provider);
}

void Kms::unwrap(const std::string& provider, const MasterKeyDescription& master_key,
                 std::vector<std::uint8_t> wrapped, Unwrapped done) {
    KmsProvider* const asked = engine_->find(provider);
    if (asked == nullptr) return done(not_configured(provider));
    auto operation = asked->unwrap(master_key, wrapped);
    if (!operation) {
        Failure failure = operation.error();
        failure.text = "KMS provider `" + provider + "`: " + failure.text;
        engine_->report(provider, KmsCall::unwrap, failure);
        return done(std::move(failure));
    }
    Engine::Task task;
    task.call = KmsCall::unwrap;
    UnwrapOperation* const unwrapping = operation->get();
    task.operation = std::move(*operation);
    task.done = [unwrapping, done = std::move(done)](const Failure* failure) {
        if (failure != nullptr) return done(*failure);
        done(unwrapping->take());
    };
    engine_->ask(provider, std::move(task));
}

void Kms::wrap(const std::string& provider, const MasterKeyDescription& master_key,
               std::shared_ptr<const crypto::DataKey> key, Wrapped done) {
    KmsProvider* const asked = engine_->find(provider);
    if (asked == nullptr) return done(not_configured(provider));
    auto operation = asked->wrap(master_key, *key);
    if (!operation) {
        Failure failure = operation.error();
        failure.text = "KMS provider `" + provider + "`: " + failure.text;
        engine_->report(provider, KmsCall::wrap, failure);
        return done(std::move(failure));
    }
    Engine::Task task;
    task.call = KmsCall::wrap;
    task.key = std::move(key);
    WrapOperation* const wrapping = operation->get();
    task.operation = std::move(*operation);
    task.done = [wrapping, done = std::move(done)](const Failure* failure) {
        if (failure != nullptr) return done(*failure);
        done(wrapping->take());
    };
    engine_->ask(provider, std::move(task));
}

void Kms::login(const std::string& provider, LoggedIn done) {
    if (!engine_->has(provider)) return done(not_configured(provider));
    Engine::Task task;
    task.call = KmsCall::login;
    task.done = [done = std::move(done)](const Failure* failure) {
        done(failure == nullptr ? std::nullopt : std::optional<Failure>(*failure));
    };
    engine_->ask(provider, std::move(task));
}

std::vector<KmsCount> Kms::counts() const {
    return engine_->counts();
}

}  // namespace fieldgate::keys
