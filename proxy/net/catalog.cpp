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
        if (entries_.size() >= entries_max_ && !entries_.contains(key)) {
            complete = false;  // names are the client's to choose, so their number is bounded
            continue;
        }
        entries_.insert_or_assign(std::move(key), Entry{std::move(*facts), now + lifetime_, false});
    }
    return complete;
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
