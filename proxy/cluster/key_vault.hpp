#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

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
    // A connection that swallows packets is given up after this, unless the connection string says it.
    std::chrono::milliseconds socket_timeout{10'000};
    // A key vault is someone else's data: what one query may bring, and how long its cursor may go on after a
    // server was found.
    std::size_t documents_max = 10'000;
    std::size_t documents_bytes_max = 32u << 20;
    std::chrono::milliseconds query_timeout{20'000};
    // The same for find_all().
    std::size_t list_documents_max = 1'000'000;
    std::size_t list_bytes_max = 256u << 20;
    std::chrono::milliseconds list_timeout{300'000};
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
    // Some documents that this provider wrapped, at most `count_max`.
    keys::KeyVault::Found find_of_provider(const std::string& provider, std::size_t count_max);
    // Every document; for people and rotations, not for the data path.
    keys::KeyVault::Found find_all();

    enum class Failure : std::uint8_t { unavailable, duplicate, refused };
    struct Error {
        Failure kind = Failure::unavailable;
        std::string text;
    };
    // The unique index over alternative names, which drivers recommend and do not create.
    std::optional<Error> ensure_name_index();
    std::optional<Error> insert(const bson::Buffer& document);

    // What a write to one key found. Nothing is written where nothing matched.
    struct Written {
        bool matched = false;
        bool changed = false;
        std::optional<Error> error;
    };
    // `duplicate`: another key has the name (given the index).
    Written add_alt_name(const crypto::KeyId& id, const std::string& name);
    // Matched: the key has the name. The field goes with its last name, as the unique index and drivers want
    // it (CSFLE specification, "removeKeyAltName").
    Written remove_alt_name(const crypto::KeyId& id, const std::string& name);
    // The same data keys under other master keys, all in one command; updateDate becomes the server's time.
    // One answer for each, in their order. Not matched: the key is gone, or somebody else has rewrapped it
    // since `read` was read, and nothing is overwritten. After an error without an answer (a lost connection)
    // any of them may have been written.
    struct Rewrapped {
        keys::KeyDocument read;
        keys::KeyDocument written;
    };
    std::vector<Written> rewrap(std::span<const Rewrapped> keys);
    Written remove(const crypto::KeyId& id);

 private:
    struct State;
    keys::KeyVault::Found renewed_after(keys::KeyVault::Found found);
    void look_for(std::span<const Rewrapped> keys, std::vector<Written>& written);
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
