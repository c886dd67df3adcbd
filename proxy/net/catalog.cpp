#include "proxy/net/catalog.hpp"

namespace fieldgate::net {

const analysis::NamespaceFacts* NamespaceCatalog::find(std::string_view database,
                                                       std::string_view collection) const {
    const auto found = entries_.find(Less::View(database, collection));
    return found == entries_.end() || found->second.expired ? nullptr : &found->second.facts;
}

bool NamespaceCatalog::put(NamespaceAnswers answers, Clock::time_point now) {
    bool complete = true;
    for (auto& [name, facts] : answers) {
        if (!facts) {
            complete = false;
            continue;
        }
        Name key(std::move(name.database), std::move(name.collection));
        if (entries_.size() >= entries_max_ && !entries_.contains(key)) make_room(key, now);
        entries_.insert_or_assign(std::move(key), Entry{std::move(*facts), now + lifetime_, false});
    }
    return complete;
}

// Names are the clients' to choose, so their number is bounded, and whoever fills the table must not keep
// others from being answered: a neighbour in the alphabet goes, unless it has only just come for the same
// request.
void NamespaceCatalog::make_room(const Name& key, Clock::time_point now) {
    auto victim = entries_.lower_bound(key);
    for (std::size_t looked_at = 0; looked_at < entries_.size(); ++looked_at) {
        if (victim == entries_.end()) victim = entries_.begin();
        if (victim->second.expires < now + lifetime_) break;
        ++victim;
    }
    if (victim == entries_.end()) victim = entries_.begin();
    entries_.erase(victim);
}

void NamespaceCatalog::expire(Clock::time_point now) {
    for (auto entry = entries_.begin(); entry != entries_.end();) {
        if (now >= entry->second.expires + lifetime_) {
            entry = entries_.erase(entry);
            continue;
        }
        if (now >= entry->second.expires) entry->second.expired = true;
        ++entry;
    }
}

}  // namespace fieldgate::net
