#include "proxy/keys/broker.hpp"

#include <algorithm>
#include <boost/assert.hpp>
#include <utility>

#include "crypto/key_wrap.hpp"
#include "proxy/keys/error.hpp"

namespace fieldgate::keys {
namespace {

constexpr const char* unsatisfied =
    "not all keys requested were satisfied. Verify that key vault DB/collection name was correctly "
    "specified.";

std::string name_text(const std::string& alt_name) {
    return "key named `" + alt_name + "`";
}
std::string id_text(const crypto::KeyId& id) {
    return "key " + uuid_text(id);
}

}  // namespace

bool Broker::Flight::contains(const KeyDocument& key) const {
    return ids.contains(key.id) || std::ranges::any_of(key.alt_names, [&](const std::string& name) {
               return alt_names.contains(name);
           });
}

Broker::Broker(KeyVault& vault, std::optional<crypto::MasterKey> local_master_key, BrokerOptions options)
    : vault_(vault), local_master_key_(std::move(local_master_key)), options_(std::move(options)) {}

void Broker::request(const KeyRequest& keys, Done done) {
    const Clock::time_point now = options_.now();
    Waiting waiting;
    waiting.done = std::move(done);
    std::set<crypto::KeyId> ids(keys.ids.begin(), keys.ids.end());
    for (const std::string& name : std::set<std::string>(keys.alt_names.begin(), keys.alt_names.end())) {
        if (!answer_name(name, waiting.result, now)) waiting.alt_names.insert(name);
        // Who asks for a name needs its key next.
        if (const auto pin = pinned_.find(name); pin != pinned_.end()) ids.insert(pin->second);
    }
    for (const crypto::KeyId& id : ids) {
        if (!answer_id(id, waiting.result, now)) waiting.ids.insert(id);
    }
    if (waiting.ids.empty() && waiting.alt_names.empty()) {
        waiting.done(std::move(waiting.result));
        return;
    }
    for (const crypto::KeyId& id : waiting.ids) {
        if (!flight_ || !flight_->ids.contains(id)) queued_ids_.insert(id);
    }
    for (const std::string& name : waiting.alt_names) {
        if (!flight_ || !flight_->alt_names.contains(name)) queued_names_.insert(name);
    }
    waiting_.push_back(std::move(waiting));
    send_query();
}

bool Broker::answer_id(const crypto::KeyId& id, KeyResult& result, Clock::time_point now) const {
    if (const auto ready = ready_.find(id); ready != ready_.end() && ready->second.expires > now) {
        result.ids.emplace_back(id, ready->second);
    } else if (const auto failed = failed_ids_.find(id);
               failed != failed_ids_.end() && failed->second.expires > now) {
        result.ids.emplace_back(id, failed->second);
    } else {
        return false;
    }
    add_moved_names(id, result);
    return true;
}

bool Broker::answer_name(const std::string& alt_name, KeyResult& result, Clock::time_point now) const {
    if (const auto failed = failed_names_.find(alt_name);
        failed != failed_names_.end() && failed->second.expires > now) {
        result.alt_names.emplace_back(alt_name, failed->second);
        return true;
    }
    const auto pin = pinned_.find(alt_name);
    if (pin == pinned_.end() || moved_.contains(alt_name)) return false;
    result.alt_names.emplace_back(alt_name, pin->second);
    return true;
}

// Workers keep names that they resolved for good; with each key they fetch again they learn which were moved
// meanwhile.
void Broker::add_moved_names(const crypto::KeyId& id, KeyResult& result) const {
    for (const std::string& name : moved_) {
        const auto failed = failed_names_.find(name);
        if (failed == failed_names_.end() || pinned_.at(name) != id) continue;
        // It may have been answered from its pin before the move was seen.
        std::erase_if(result.alt_names, [&](const auto& answer) { return answer.first == name; });
        result.alt_names.emplace_back(name, failed->second);
    }
}

void Broker::send_query() {
    if (flight_ || (queued_ids_.empty() && queued_names_.empty())) return;
    Flight flight;
    flight.sent = options_.now();
    while (!queued_ids_.empty() && flight.ids.size() < query_keys_max) {
        flight.ids.insert(queued_ids_.extract(queued_ids_.begin()));
    }
    while (!queued_names_.empty() && flight.ids.size() + flight.alt_names.size() < query_keys_max) {
        flight.alt_names.insert(queued_names_.extract(queued_names_.begin()));
    }
    // A name that was resolved is asked for along with its key, to see when it was moved; and the other way
    // round.
    for (const auto& [name, id] : pinned_) {
        if (flight.ids.contains(id)) flight.alt_names.insert(name);
        if (flight.alt_names.contains(name)) flight.ids.insert(id);
    }
    KeyRequest request;
    request.ids.assign(flight.ids.begin(), flight.ids.end());
    request.alt_names.assign(flight.alt_names.begin(), flight.alt_names.end());
    flight_ = std::move(flight);
    vault_.find(request, [this](const KeyVault::Found& found) { on_found(found); });
}

// What one reply of the key vault says, before any of it is believed.
class Broker::Reading {
 public:
    Reading(const Flight& flight, const KeyVault::Found& found) {
        for (const bson::Buffer& document : found.documents) {
            auto key = parse_key_document(document);
            if (!key) {
                add_broken(claims_of(document), key.error());
            } else if (flight.contains(*key)) {
                add(std::move(*key));
            }
        }
    }

    // Null: no document, or `why` says what is wrong with it.
    const KeyDocument* find(const crypto::KeyId& id, std::string& why) const {
        if (const auto broken = broken_ids_.find(id); broken != broken_ids_.end()) {
            why = broken->second;
            return nullptr;
        }
        const auto at = keys_.find(id);
        return at == keys_.end() ? nullptr : &at->second;
    }
    // Every key whose document holds the name.
    std::vector<crypto::KeyId> holders(const std::string& alt_name) const {
        const auto at = holders_.find(alt_name);
        return at == holders_.end() ? std::vector<crypto::KeyId>() : at->second;
    }
    const std::string* broken_name(const std::string& alt_name) const {
        const auto at = broken_names_.find(alt_name);
        return at == broken_names_.end() ? nullptr : &at->second;
    }

 private:
    void add(KeyDocument key) {
        const crypto::KeyId id = key.id;
        for (const std::string& name : key.alt_names) holders_[name].push_back(id);
        if (!keys_.emplace(id, std::move(key)).second) {
            broken_ids_[id] = "the key vault returned two documents for it";
        }
    }
    void add_broken(const KeyClaims& claims, const boost::system::error_code& error) {
        const std::string why = "its document cannot be used: " + error.message();
        for (const crypto::KeyId& id : claims.ids) broken_ids_[id] = why;
        for (const std::string& name : claims.alt_names) broken_names_[name] = why;
    }

    std::map<crypto::KeyId, KeyDocument> keys_;
    std::map<crypto::KeyId, std::string> broken_ids_;
    std::map<std::string, std::vector<crypto::KeyId>> holders_;
    std::map<std::string, std::string> broken_names_;
};

void Broker::on_found(const KeyVault::Found& found) {
    BOOST_ASSERT(flight_);
    const Flight flight = std::move(*flight_);
    flight_.reset();

    if (!found.error.empty()) {
        const std::string why =
            "the key vault " + options_.key_vault_namespace + " cannot be read: " + found.error;
        for (const crypto::KeyId& id : flight.ids) {
            const auto ready = ready_.find(id);
            if (ready != ready_.end() && ready->second.expires > options_.now()) continue;
            fail_id(id, id_text(id) + ": " + why);
        }
        for (const std::string& name : flight.alt_names) {
            if (!pinned_.contains(name) || moved_.contains(name))
                fail_name(name, name_text(name) + ": " + why);
        }
        settle_waiting();
        return;
    }

    const Reading reading(flight, found);
    std::set<crypto::KeyId> wanted = flight.ids;
    for (const std::string& name : flight.alt_names) {
        const std::vector<crypto::KeyId> holders = reading.holders(name);
        if (const auto pin = pinned_.find(name); pin != pinned_.end()) {
            const auto other =
                std::ranges::find_if(holders, [&](const crypto::KeyId& id) { return id != pin->second; });
            if (other == holders.end()) {
                moved_.erase(name);
                failed_names_.erase(name);
                continue;
            }
            if (moved_.insert(name).second && options_.on_name_moved) {
                options_.on_name_moved(name, pin->second, *other);
            }
            fail_name(name, name_text(name) + ": it was resolved to key " + uuid_text(pin->second) +
                                " and has been given to key " + uuid_text(*other) +
                                " since; restart fieldgate to accept that");
        } else if (const std::string* broken = reading.broken_name(name)) {
            fail_name(name, name_text(name) + ": " + *broken);
        } else if (holders.empty()) {
            fail_name(name, std::string(unsatisfied) + " " + options_.key_vault_namespace + " has no " +
                                name_text(name));
        } else if (holders.size() > 1) {
            fail_name(name, name_text(name) + ": " + options_.key_vault_namespace +
                                " has several keys of that name; names must be unique");
        } else {
            pinned_.emplace(name, holders.front());
            failed_names_.erase(name);
            wanted.insert(holders.front());
        }
    }

    const Clock::time_point expires =
        std::max(flight.sent + options_.cache_lifetime, options_.now() + lifetime_min);
    for (const crypto::KeyId& id : wanted) {
        std::string why;
        const KeyDocument* key = reading.find(id, why);
        if (key == nullptr) {
            fail_id(id, why.empty() ? std::string(unsatisfied) + " " + options_.key_vault_namespace +
                                          " has no " + id_text(id)
                                    : id_text(id) + ": " + why);
            continue;
        }
        auto unwrapped = unwrap(*key);
        if (auto* ready = std::get_if<ReadyKey>(&unwrapped)) {
            ready->expires = expires;
            ready_.insert_or_assign(id, std::move(*ready));
            failed_ids_.erase(id);
        } else {
            fail_id(id, id_text(id) + ": " + std::get<std::string>(unwrapped));
        }
    }
    settle_waiting();
}

// The one place that knows providers. A remote one will answer later than this returns.
std::variant<ReadyKey, std::string> Broker::unwrap(const KeyDocument& key) const {
    if (key.provider != "local" || !local_master_key_) {
        return "KMS provider `" + key.provider + "` is not configured";
    }
    auto material = crypto::unwrap_key(key.wrapped, *local_master_key_);
    if (material) return ReadyKey{std::make_shared<const crypto::DataKey>(std::move(*material)), {}};
    if (material.error() == crypto::Errc::authentication_failed) {
        return "HMAC validation failure: it was not wrapped with the configured local master key";
    }
    if (material.error() == crypto::Errc::data_key_length) return "decrypted key is incorrect length";
    return material.error().message();
}

// Whoever waits gets what is known now, and the next query goes out.
void Broker::settle_waiting() {
    const Clock::time_point now = options_.now();
    std::list<Waiting> settled;
    for (auto waiting = waiting_.begin(); waiting != waiting_.end();) {
        const auto current = waiting++;
        std::erase_if(current->alt_names, [&](const std::string& name) {
            if (!answer_name(name, current->result, now)) return false;
            const auto pin = pinned_.find(name);
            if (pin != pinned_.end() && !current->ids.contains(pin->second)) {
                answer_id(pin->second, current->result, now);
            }
            return true;
        });
        std::erase_if(current->ids,
                      [&](const crypto::KeyId& id) { return answer_id(id, current->result, now); });
        if (current->ids.empty() && current->alt_names.empty()) {
            settled.splice(settled.end(), waiting_, current);
        }
    }
    // After the loop: a callback may ask for more.
    for (Waiting& waiting : settled) waiting.done(std::move(waiting.result));
    send_query();
}

void Broker::expire() {
    const Clock::time_point now = options_.now();
    const auto expired = [now](const auto& item) { return item.second.expires <= now; };
    std::erase_if(ready_, expired);
    std::erase_if(failed_ids_, expired);
    std::erase_if(failed_names_, expired);
}

FailedKey Broker::failure(std::string errmsg) {
    FailedKey failed{{key_error_code, std::move(errmsg)}, options_.now() + options_.failure_lifetime};
    if (options_.on_failure) options_.on_failure(failed.error);
    return failed;
}

void Broker::fail_id(const crypto::KeyId& id, const std::string& why) {
    ready_.erase(id);
    failed_ids_.insert_or_assign(id, failure(why));
}

void Broker::fail_name(const std::string& alt_name, const std::string& why) {
    failed_names_.insert_or_assign(alt_name, failure(why));
}

}  // namespace fieldgate::keys
