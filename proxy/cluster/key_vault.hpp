#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "proxy/bson/builder.hpp"
#include "proxy/keys/broker.hpp"
#include "proxy/keys/worker.hpp"

namespace fieldgate::cluster {

struct KeyVaultOptions {
    std::string uri;
    std::string database;
    std::string collection;
    // How long to look for the primary, unless the connection string says it.
    std::chrono::milliseconds selection_timeout{8000};
    // No step takes longer than this, whatever the connection string says: for somebody who looks on.
    std::optional<std::chrono::milliseconds> patience{};
};

// The key vault's collection, asked on one connection of fieldgate's own. Blocking; one thread. Reads are
// majority reads of the primary, writes wait for the majority (CSFLE specification, "Key vault collection").
class KeyVaultClient {
 public:
    // std::runtime_error if the connection string cannot be used.
    explicit KeyVaultClient(const KeyVaultOptions& options);
    ~KeyVaultClient();

    // The documents of these keys: one query, the drivers' filter.
    keys::KeyVault::Found find(const keys::KeyRequest& request);
    // Every document; for people, not for the data path.
    keys::KeyVault::Found find_all();

    enum class Failure : std::uint8_t { unavailable, duplicate, refused };
    struct Error {
        Failure kind = Failure::unavailable;
        std::string text;
    };
    // The unique index over alternative names, which drivers recommend and do not create.
    std::optional<Error> ensure_name_index();
    std::optional<Error> insert(const bson::Buffer& document);

 private:
    struct State;
    std::unique_ptr<State> state_;
};

// The same for the broker, on a thread of its own.
class KeyVaultThread final : public keys::KeyVault {
 public:
    explicit KeyVaultThread(const KeyVaultOptions& options);
    ~KeyVaultThread() override { stop(); }
    void find(const keys::KeyRequest& request, Done done) override;
    // Waits for the query under way, at most as long as its time-outs.
    void stop() { worker_.stop(); }

 private:
    KeyVaultClient client_;
    keys::Worker worker_{"key-vault"};
};

}  // namespace fieldgate::cluster
