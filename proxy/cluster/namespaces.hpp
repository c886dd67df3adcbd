#pragma once

#include <boost/system/result.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/analysis/analysis.hpp"
#include "proxy/bson/view.hpp"
#include "proxy/cluster/library.hpp"
#include "proxy/cluster/namespace_queue.hpp"
#include "proxy/cluster/schema_pins.hpp"
#include "proxy/keys/worker.hpp"

namespace fieldgate::cluster {

struct NamespaceOptions {
    std::string uri;
    // analysis::facts_of. Injected: what an entry of listCollections means is not this folder's business.
    std::function<boost::system::result<analysis::NamespaceFacts>(std::string_view database,
                                                                  bson::DocumentView)>
        facts_of;
    std::chrono::milliseconds selection_timeout{8000};
    // For the log, from the resolver's thread.
    std::function<void(Severity, std::string_view message, std::string_view database)> log;
};

// Asks the server what a namespace is (listCollections on the primary), on a thread and a connection of its
// own. What is asked while a question is under way goes together into the next; nobody asks twice for one
// name at a time.
class NamespaceResolver {
 public:
    // std::runtime_error if the connection string cannot be used.
    explicit NamespaceResolver(NamespaceOptions options);
    ~NamespaceResolver();
    NamespaceResolver(const NamespaceResolver&) = delete;
    NamespaceResolver& operator=(const NamespaceResolver&) = delete;

    // A namespace that does not exist has the facts of an ordinary collection, unless it had a schema before:
    // see SchemaPins.
    using Done = NamespaceQueue::Done;
    // Any thread; `done` is called once on the resolver's thread (at once if nothing is asked), and never
    // after stop().
    void resolve(const std::vector<analysis::NamespaceName>& names, Done done);
    void stop();

 private:
    using Database = std::map<std::string, std::optional<analysis::NamespaceFacts>>;  // by collection

    void ask_queued();
    enum class Outcome { answered, refused, failed };
    void ask(const std::string& database, Database& collections);
    Outcome ask_server(const std::string& database, Database& collections);
    void warn(std::string message, const std::string& database);

    struct Connection;
    NamespaceOptions options_;
    std::unique_ptr<Connection> connection_;
    NamespaceQueue queue_;
    SchemaPins pins_;  // of the resolver's thread
    std::string last_warning_;
    std::chrono::steady_clock::time_point last_warning_at_;
    keys::Worker worker_{"namespaces"};
};

}  // namespace fieldgate::cluster
