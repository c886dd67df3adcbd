#include "proxy/keys/broker.hpp"

#include <algorithm>
#include <boost/assert.hpp>
#include <utility>

#include "proxy/keys/error.hpp"
#include "proxy/keys/kms_words.hpp"

namespace fieldgate::keys {
namespace {

using crypto::kms::Failure;

constexpr const char* unsatisfied =
    "not all keys requested were satisfied. Verify that key vault DB/collection name was correctly "
    "specified.";

// Keys in use are refetched when this part of their lifetime is over. The earlier, the longer the outage that
// nobody notices, and the more questions to the key manager, which counts and charges them: with few keys
// eight for each and lifetime, with many four.
constexpr std::size_t few_keys = 50;
constexpr int divisor_of_few = 8;
constexpr int divisor_of_many = 4;
// Between attempts that failed; a lifetime of a minute has two seconds.
std::chrono::milliseconds refresh_pause(std::chrono::milliseconds lifetime) {
    using std::chrono::milliseconds;
    return std::clamp(lifetime / 30, milliseconds(500), milliseconds(5000));
}

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

Broker::Broker(KeyVault& vault, Kms& kms, BrokerOptions options)
    : vault_(vault), kms_(kms), options_(std::move(options)) {}

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
    for (const crypto::KeyId& id : waiting.ids) enqueue(id);
    for (const std::string& name : waiting.alt_names) {
        if (!flight_ || !flight_->alt_names.contains(name)) queued_names_.push(name);
    }
    waiting_.push_back(std::move(waiting));
    send_query();
}

bool Broker::is_under_way(const crypto::KeyId& id) const {
    return (flight_ && flight_->ids.contains(id)) || unwrapping_.contains(id);
}

void Broker::enqueue(const crypto::KeyId& id) {
    if (!is_under_way(id)) queued_ids_.push(id);
}

bool Broker::answer_id(const crypto::KeyId& id, KeyResult& result, Clock::time_point now) {
    if (const auto ready = ready_.find(id); ready != ready_.end() && ready->second.key.expires > now) {
        ready->second.requested = now;
        result.ids.emplace_back(id, ready->second.key);
    } else if (const auto failed = failed_ids_.find(id);
               failed != failed_ids_.end() && failed->second.expires > now) {
        result.ids.emplace_back(id, failed->second);
    } else {
        return false;
    }
    add_moved_names(id, result, now);
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
void Broker::add_moved_names(const crypto::KeyId& id, KeyResult& result, Clock::time_point now) const {
    for (const auto& [name, error] : moved_) {
        if (pinned_.at(name) != id) continue;
        // It may have been answered from its pin before the move was seen.
        std::erase_if(result.alt_names,
                      [&moved = name](const auto& answer) { return answer.first == moved; });
        result.alt_names.emplace_back(name, FailedKey{error, now + options_.failure_lifetime});
    }
}

void Broker::send_query() {
    if (flight_ || (queued_ids_.empty() && queued_names_.empty())) return;
    Flight flight;
    flight.sent = options_.now();
    // Half of the room is for either kind, and what one leaves for the other.
    const std::size_t ids_max = query_keys_max - std::min(queued_names_.size(), query_keys_max / 2);
    while (!queued_ids_.empty() && flight.ids.size() < ids_max) flight.ids.insert(queued_ids_.pop());
    while (!queued_names_.empty() && flight.ids.size() + flight.alt_names.size() < query_keys_max) {
        flight.alt_names.insert(queued_names_.pop());
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
    ++counters_.queries;
    vault_.find(request, [this](const KeyVault::Found& found) { on_found(found); });
}

// What one reply of the key vault says, before any of it is believed.
class Broker::Reading {
 public:
    Reading(const Flight& flight, const KeyVault::Found& found) : flight_(flight) {
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
        // One document may hold a hundred thousand names.
        for (const std::string& name : std::exchange(key.alt_names, {})) {
            if (flight_.alt_names.contains(name)) holders_[name].push_back(id);
        }
        if (!keys_.emplace(id, std::move(key)).second) {
            broken_ids_[id] = "the key vault returned two documents for it";
        }
    }
    void add_broken(const KeyClaims& claims, const boost::system::error_code& error) {
        const std::string why = "its document cannot be used: " + error.message();
        for (const crypto::KeyId& id : claims.ids) broken_ids_[id] = why;
        for (const std::string& name : claims.alt_names) {
            if (flight_.alt_names.contains(name)) broken_names_[name] = why;
        }
    }

    const Flight& flight_;
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
        on_vault_failure(flight, found.error);
        settle_waiting();
        return;
    }
    is_reading_ = true;
    const Reading reading(flight, found);
    for (const crypto::KeyId& id : resolve_names(flight, reading)) {
        std::string why;
        if (const KeyDocument* key = reading.find(id, why)) {
            unwrap(*key, flight.sent);
            continue;
        }
        end_refresh(id);
        fail_id(id, why.empty() ? std::string(unsatisfied) + " " + options_.key_vault_namespace + " has no " +
                                      id_text(id)
                                : id_text(id) + ": " + why);
    }
    is_reading_ = false;
    settle_waiting();
}

void Broker::on_vault_failure(const Flight& flight, const std::string& error) {
    ++counters_.queries_failed;
    const std::string why = "the key vault " + options_.key_vault_namespace + " cannot be read: " + error;
    for (const crypto::KeyId& id : flight.ids) {
        end_refresh(id);
        const std::string text = id_text(id) + ": " + why;
        if (!keep_in_use(id, text, {})) fail_id(id, text);
    }
    for (const std::string& name : flight.alt_names) {
        if (!pinned_.contains(name) || moved_.contains(name)) fail_name(name, name_text(name) + ": " + why);
    }
}

// Pins names that are new, refuses those that were moved. Gives the keys that are wanted.
std::set<crypto::KeyId> Broker::resolve_names(const Flight& flight, const Reading& reading) {
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
            const std::string why = name_text(name) + ": it was resolved to key " + uuid_text(pin->second) +
                                    " and has been given to key " + uuid_text(*other) +
                                    " since; restart fieldgate to accept that";
            if (moved_.insert_or_assign(name, KeyError{key_error_code, why}).second) {
                ++counters_.names_moved;
                if (options_.on_name_moved) options_.on_name_moved(name, pin->second, *other);
            }
            fail_name(name, why);
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
    return wanted;
}

void Broker::unwrap(const KeyDocument& key, Clock::time_point sent) {
    // A name may bring its key along while that is under way for itself.
    if (!unwrapping_.insert(key.id).second) return;
    kms_.unwrap(
        key.provider, key.master_key, key.wrapped,
        [this, id = key.id, provider = key.provider, sent](crypto::kms::Result<crypto::DataKey> material) {
            on_unwrapped(id, provider, sent, std::move(material));
        });
}

void Broker::on_unwrapped(const crypto::KeyId& id, const std::string& provider, Clock::time_point sent,
                          crypto::kms::Result<crypto::DataKey> material) {
    unwrapping_.erase(id);
    end_refresh(id);
    if (material && is_changed(id, *material)) {
        ++counters_.keys_changed;
        fail_id(id, id_text(id) + ": KMS provider `" + provider +
                        "` unwraps another data key from its document than it did first; if that is meant, "
                        "restart fieldgate to accept it");
    } else if (material) {
        const Clock::time_point now = options_.now();
        const auto before = ready_.find(id);
        Ready ready;
        ready.key.material = std::make_shared<const crypto::DataKey>(std::move(*material));
        ready.key.expires = std::max(sent + options_.cache_lifetime, now + lifetime_min);
        ready.provider = provider;
        ready.sent = sent;
        if (before != ready_.end()) ready.requested = before->second.requested;
        ready.refresh_at =
            sent + options_.cache_lifetime / (ready_.size() <= few_keys ? divisor_of_few : divisor_of_many);
        ready_.insert_or_assign(id, std::move(ready));
        failed_ids_.erase(id);
    } else {
        const Failure failure = material.error();
        const std::string why = id_text(id) + ": " + client_text(provider, failure);
        // "No" is an answer. Anything else says nothing about the key.
        if (failure.kind == Failure::Kind::refused || !keep_in_use(id, why, failure.text)) {
            fail_id(id, why, failure.text);
        }
    }
    counters_.keys_cached = ready_.size();
    if (!is_reading_) settle_waiting();
}

// Whether another data key than this one was here under the UUID.
bool Broker::is_changed(const crypto::KeyId& id, const crypto::DataKey& key) {
    const crypto::KeyFingerprint fingerprint = crypto::fingerprint_of(key);
    return first_seen_.try_emplace(id, fingerprint).first->second != fingerprint;
}

// True: the key is there and good for a while, the next attempt comes by itself.
bool Broker::keep_in_use(const crypto::KeyId& id, const std::string& why, const std::string& detail) {
    const auto at = ready_.find(id);
    const Clock::time_point now = options_.now();
    if (at == ready_.end() || at->second.key.expires <= now) return false;
    Ready& ready = at->second;
    ready.refresh_at = now + refresh_pause(options_.cache_lifetime);
    ++counters_.refreshes_failed;
    if (!std::exchange(ready.refresh_failed, true) && options_.on_refresh_failure) {
        options_.on_refresh_failure({key_error_code, why}, detail);
    }
    return true;
}

// With the last of a provider's batch its next one may start.
void Broker::end_refresh(const crypto::KeyId& id) {
    const auto ended = refreshing_.extract(id);
    if (ended &&
        std::ranges::none_of(refreshing_, [&](const auto& other) { return other.second == ended.mapped(); }))
        refresh_more_ = true;
}

// The ones that end first, if there are many. Each provider has its own room: one that hangs must not keep
// the others' keys from being refetched.
void Broker::refresh_keys() {
    const Clock::time_point now = options_.now();
    std::map<std::string_view, std::size_t> under_way;
    for (const auto& [id, provider] : refreshing_) ++under_way[provider];
    std::vector<std::pair<Clock::time_point, crypto::KeyId>> due;
    for (const auto& [id, ready] : ready_) {
        // Key rings ask once for what they then use until it expires.
        const bool is_used = ready.requested + options_.cache_lifetime >= now;
        if (!is_used || ready.refresh_at > now || ready.key.expires <= now) continue;
        if (!is_under_way(id) && !queued_ids_.contains(id)) due.emplace_back(ready.key.expires, id);
    }
    std::ranges::sort(due);
    for (const auto& [expires, id] : due) {
        const std::string& provider = ready_.at(id).provider;
        if (under_way[provider]++ >= refreshes_max) continue;
        refreshing_.emplace(id, provider);
        queued_ids_.push(id);
    }
    send_query();
}

// Whoever waits gets what is known now, and the next query goes out.
void Broker::settle_waiting() {
    const Clock::time_point now = options_.now();
    std::list<Waiting> settled;
    for (auto waiting = waiting_.begin(); waiting != waiting_.end();) {
        const auto current = waiting++;
        std::erase_if(current->alt_names, [&](const std::string& name) {
            if (!answer_name(name, current->result, now)) return false;
            // Who asks for a name needs its key next: it is waited for, too.
            if (const auto pin = pinned_.find(name); pin != pinned_.end()) current->ids.insert(pin->second);
            return true;
        });
        std::erase_if(current->ids,
                      [&](const crypto::KeyId& id) { return answer_id(id, current->result, now); });
        for (const crypto::KeyId& id : current->ids) enqueue(id);
        if (!current->ids.empty() || !current->alt_names.empty()) continue;
        if (ask_again_for_expired(*current, now)) continue;
        settled.splice(settled.end(), waiting_, current);
    }
    // Whoever waits has what it asked for.
    bound_failures();
    // After the loop: a callback may ask for more.
    for (Waiting& waiting : settled) waiting.done(std::move(waiting.result));
    send_query();
    if (std::exchange(refresh_more_, false)) refresh_keys();
}

// A key may have expired while a slow key manager was waited for, for another key of the same message. It is
// asked for once more; what expires then is good for lifetime_min, or the message would wait for ever.
bool Broker::ask_again_for_expired(Waiting& waiting, Clock::time_point now) {
    for (auto& [id, answer] : waiting.result.ids) {
        auto* const ready = std::get_if<ReadyKey>(&answer);
        if (ready == nullptr || ready->expires > now) continue;
        if (waiting.asked_again) {
            ready->expires = now + lifetime_min;
        } else {
            waiting.ids.insert(id);
        }
    }
    if (waiting.ids.empty()) return false;
    waiting.asked_again = true;
    std::erase_if(waiting.result.ids, [&](const auto& answer) { return waiting.ids.contains(answer.first); });
    for (const crypto::KeyId& id : waiting.ids) enqueue(id);
    return true;
}

void Broker::tick() {
    const Clock::time_point now = options_.now();
    std::erase_if(ready_, [now](const auto& item) { return item.second.key.expires <= now; });
    const auto expired = [now](const auto& item) { return item.second.expires <= now; };
    std::erase_if(failed_ids_, expired);
    std::erase_if(failed_names_, expired);
    counters_.keys_cached = ready_.size();
    tell_untold();
    refresh_keys();
}

FailedKey Broker::failure(std::string errmsg, const std::string& detail) {
    FailedKey failed{{key_error_code, std::move(errmsg)}, options_.now() + options_.failure_lifetime};
    ++counters_.failures;
    tell(failed.error, detail);
    return failed;
}

void Broker::tell(const KeyError& error, const std::string& detail) {
    tell_untold();
    if (++told_ > failures_told_max) {
        ++untold_;
    } else if (options_.on_failure) {
        options_.on_failure(error, detail);
    }
}

void Broker::tell_untold() {
    const Clock::time_point now = options_.now();
    if (now - told_since_ < options_.failure_lifetime) return;
    if (untold_ != 0 && options_.on_failures_untold) options_.on_failures_untold(untold_);
    told_since_ = now;
    told_ = untold_ = 0;
}

void Broker::bound_failures() {
    if (failed_ids_.size() > failures_kept_max) failed_ids_.clear();
    if (failed_names_.size() > failures_kept_max) failed_names_.clear();
}

void Broker::fail_id(const crypto::KeyId& id, const std::string& why, const std::string& detail) {
    ready_.erase(id);
    failed_ids_.insert_or_assign(id, failure(why, detail));
}

void Broker::fail_name(const std::string& alt_name, const std::string& why) {
    failed_names_.insert_or_assign(alt_name, failure(why, {}));
}

BrokerCounts Broker::counts() const {
    return {.queries = counters_.queries,
            .queries_failed = counters_.queries_failed,
            .refreshes_failed = counters_.refreshes_failed,
            .failures = counters_.failures,
            .names_moved = counters_.names_moved,
            .keys_changed = counters_.keys_changed,
            .keys_cached = counters_.keys_cached,
            .kms = kms_.counts()};
}

}  // namespace fieldgate::keys
