#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "proxy/bson/builder.hpp"

namespace fieldgate::cluster {

struct CollectionOptions {
    std::string uri;
    // How long to look for the primary, unless the connection string says it.
    std::chrono::milliseconds selection_timeout{8000};
};

// What collections are and how they are changed, for the commands of operators: on one connection of
// fieldgate's own, to the primary. Blocking; one thread.
class CollectionClient {
 public:
    // std::runtime_error if the connection string cannot be used.
    explicit CollectionClient(const CollectionOptions& options);
    ~CollectionClient();
    CollectionClient(const CollectionClient&) = delete;
    CollectionClient& operator=(const CollectionClient&) = delete;

    struct Description {
        // The entry of listCollections, checked all the way down; nothing: there is no such collection.
        std::optional<bson::Buffer> entry = {};
        std::string error = {};  // not empty: the server could not be asked, or answered nonsense
    };
    Description describe(const std::string& database, const std::string& collection);

    // Runs a command that changes something (create, collMod) and waits for the majority. Empty: done;
    // otherwise why not, in the server's or the library's words, without secrets.
    std::string run(const std::string& database, const bson::Buffer& command);

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace fieldgate::cluster
