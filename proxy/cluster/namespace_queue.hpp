#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "proxy/analysis/analysis.hpp"

namespace fieldgate::cluster {

// nullopt: the server could not be asked, or its answer could not be understood.
using NamespaceAnswers =
    std::vector<std::pair<analysis::NamespaceName, std::optional<analysis::NamespaceFacts>>>;

// Who waits for which namespace. Nobody asks twice for one name at a time; what is asked while a question is
// under way goes together into the next. Any thread:
//
//     if (queue.add(names, done)) wake whoever does:  names = queue.take(); ask; queue.settle(answers)
class NamespaceQueue {
 public:
    using Done = std::function<void(NamespaceAnswers)>;

    // True: there is something to take. `names` is not empty; `done` is called once, by settle().
    bool add(const std::vector<analysis::NamespaceName>& names, Done done);
    std::set<analysis::NamespaceName> take();
    // An answer for each name of one or several take()s.
    void settle(const NamespaceAnswers& answers);

 private:
    struct Asked {
        NamespaceAnswers answers;
        std::size_t missing = 0;
        Done done;
    };
    std::mutex mutex_;
    std::map<analysis::NamespaceName, std::vector<std::shared_ptr<Asked>>> waiting_;  // queued or under way
    std::set<analysis::NamespaceName> queued_;
};

}  // namespace fieldgate::cluster
