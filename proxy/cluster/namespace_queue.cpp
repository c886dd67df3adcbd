#include "proxy/cluster/namespace_queue.hpp"

namespace fieldgate::cluster {

bool NamespaceQueue::add(const std::vector<analysis::NamespaceName>& names, Done done) {
    const std::set<analysis::NamespaceName> distinct(names.begin(), names.end());
    const auto asked = std::make_shared<Asked>();
    asked->missing = distinct.size();
    asked->done = std::move(done);
    const std::lock_guard lock(mutex_);
    for (const analysis::NamespaceName& name : distinct) {
        auto& waiters = waiting_[name];
        if (waiters.empty()) queued_.insert(name);
        waiters.push_back(asked);
    }
    return !queued_.empty();
}

std::set<analysis::NamespaceName> NamespaceQueue::take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(queued_, {});
}

void NamespaceQueue::settle(const NamespaceAnswers& answers) {
    std::vector<std::shared_ptr<Asked>> complete;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [name, facts] : answers) {
            const auto waiters = waiting_.extract(name);
            if (waiters.empty()) continue;
            for (const std::shared_ptr<Asked>& asked : waiters.mapped()) {
                asked->answers.emplace_back(name, facts);
                if (--asked->missing == 0) complete.push_back(asked);
            }
        }
    }
    // Without the lock: who is answered may ask again.
    for (const auto& asked : complete) asked->done(std::move(asked->answers));
}

}  // namespace fieldgate::cluster
