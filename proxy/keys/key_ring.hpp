#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "crypto/field_cipher.hpp"
#include "crypto/key_id.hpp"
#include "crypto/random.hpp"
#include "crypto/secret.hpp"

namespace fieldgate::keys {

using Clock = std::chrono::steady_clock;

// The code of every KeyError: OperationFailed, as drivers know it.
inline constexpr std::int32_t key_error_code = 96;

// Why a key is not to be had. errmsg names the key and the cause, and the provider where there is one; for
// the client.
struct KeyError {
    std::int32_t code = 0;
    std::string errmsg;
};

// Of one alternative name that clients and the command line may ask for: it stands in questions, error texts
// and logs.
inline constexpr std::size_t alt_name_bytes_max = 512;

// What a message lacks. Asked of the broker in one go.
struct KeyRequest {
    std::vector<crypto::KeyId> ids{};
    std::vector<std::string> alt_names{};
    bool empty() const { return ids.empty() && alt_names.empty(); }
};

struct ReadyKey {
    std::shared_ptr<const crypto::DataKey> material;
    Clock::time_point expires;
};

struct FailedKey {
    KeyError error;
    Clock::time_point expires;  // negative entries live shortly
};

// The broker's answer: an entry for everything that was asked, and what else it learnt on the way (the key
// behind a name, a name that was moved).
struct KeyResult {
    std::vector<std::pair<crypto::KeyId, std::variant<ReadyKey, FailedKey>>> ids;
    std::vector<std::pair<std::string, std::variant<crypto::KeyId, FailedKey>>> alt_names;
};

// The keys a worker has ready: prepared contexts by UUID, until they expire. One per worker thread, no locks.
// Names are pinned to their UUIDs by the broker and only cached here.
class KeyRing {
 public:
    explicit KeyRing(crypto::Random& random) : random_(random) {}

    // Exactly one of the two is set; neither: unknown or expired, ask the broker.
    struct Found {
        crypto::FieldCipher* cipher = nullptr;  // valid until the next put() or expire()
        const KeyError* error = nullptr;
    };
    Found find(const crypto::KeyId& id, Clock::time_point now);
    struct Named {
        const crypto::KeyId* id = nullptr;
        const KeyError* error = nullptr;
    };
    Named find_name(std::string_view alt_name, Clock::time_point now);

    // Errors are forgotten when there are more of them than failures_max, those of `result` excepted.
    static constexpr std::size_t failures_max = 20'000;
    void put(const KeyResult& result);
    // Erases what has expired; called from time to time so that revoked keys leave memory.
    void expire(Clock::time_point now);

 private:
    struct Entry {
        std::unique_ptr<crypto::FieldCipher> cipher;
        std::optional<KeyError> error;
        Clock::time_point expires;
    };
    struct NameEntry {
        crypto::KeyId id;
        std::optional<KeyError> error;
        Clock::time_point expires;  // for errors; a resolved name stays
    };
    crypto::Random& random_;
    std::unordered_map<crypto::KeyId, Entry> entries_;
    std::map<std::string, NameEntry, std::less<>> names_;
    std::size_t failures_put_ = 0;  // since errors were last forgotten
};

}  // namespace fieldgate::keys
