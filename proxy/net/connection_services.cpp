#include <chrono>
#include <memory>
#include <utility>

#include "proxy/net/connection.hpp"
#include "proxy/net/worker.hpp"

// What a connection asks of others: keys, facts about namespaces, the primary.
namespace fieldgate::net {
namespace {

// An answer on its way: it may come on any thread, and after whoever asked is gone.
template <typename Result>
struct Answer {
    std::optional<Result> result;
    Event* event = nullptr;  // null: nobody waits any more
};

template <typename Result>
std::function<void(Result)> deliver_to(std::shared_ptr<Answer<Result>> answer,
                                       std::shared_ptr<Mailbox> mailbox) {
    return [answer = std::move(answer), mailbox = std::move(mailbox)](Result result) {
        mailbox->post([answer, result = std::move(result)]() mutable {
            answer->result = std::move(result);
            if (answer->event != nullptr) answer->event->notify();
        });
    };
}

}  // namespace

asio::awaitable<bool> Connection::fetch_keys(keys::KeyRequest request, Event& event) {
    const auto answer = std::make_shared<Answer<keys::KeyResult>>();
    answer->event = &event;
    worker_.process().services.fetch_keys(std::move(request), deliver_to(answer, worker_.mailbox()));
    while (!ended_ && !answer->result) co_await event.wait();
    answer->event = nullptr;
    if (ended_) co_return false;
    worker_.ring().put(*answer->result);
    co_return true;
}

asio::awaitable<bool> Connection::resolve_namespaces(std::vector<analysis::NamespaceName> names) {
    const auto answer = std::make_shared<Answer<NamespaceAnswers>>();
    answer->event = &request_event_;
    worker_.process().services.resolve_namespaces(std::move(names), deliver_to(answer, worker_.mailbox()));
    while (!ended_ && !answer->result) co_await request_event_.wait();
    answer->event = nullptr;
    if (ended_) co_return false;
    if (!worker_.catalog().put(std::move(*answer->result), Clock::now())) {
        session_.upstream_unavailable("the server could not be asked whether the namespace is a view");
    }
    co_return true;
}

asio::awaitable<std::optional<HostPort>> Connection::find_primary(std::chrono::milliseconds wait,
                                                                  std::string& why) {
    using Found = std::pair<std::optional<HostPort>, std::string>;
    const auto answer = std::make_shared<Answer<Found>>();
    answer->event = &request_event_;
    worker_.process().services.find_primary(wait, [deliver = deliver_to(answer, worker_.mailbox())](
                                                      std::optional<HostPort> member, std::string reason) {
        deliver(Found(std::move(member), std::move(reason)));
    });
    while (!ended_ && !answer->result) co_await request_event_.wait();
    answer->event = nullptr;
    if (ended_) co_return std::nullopt;
    if (!answer->result->first) why = std::move(answer->result->second);
    co_return std::move(answer->result->first);
}

}  // namespace fieldgate::net
