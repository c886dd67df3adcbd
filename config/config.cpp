#include "config/config.hpp"

#include <algorithm>

namespace fieldgate::config {
namespace {

// `*` is the only special character. Remembers the last star only, which is enough for globs and keeps the
// cost at pattern times text.
bool glob(std::string_view pattern, std::string_view text) {
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t star = std::string_view::npos;
    std::size_t star_text = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            star_text = t;
        } else if (p < pattern.size() && pattern[p] == text[t]) {
            ++p;
            ++t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

std::size_t literals(std::string_view pattern) {
    return pattern.size() - static_cast<std::size_t>(std::count(pattern.begin(), pattern.end(), '*'));
}

// Whether some text matches both patterns: a walk over pairs of positions, one row at a time.
bool globs_meet(std::string_view a, std::string_view b) {
    std::vector<bool> row(b.size() + 1);
    std::vector<bool> next(b.size() + 1);
    row[0] = true;
    for (std::size_t i = 0;; ++i) {
        for (std::size_t j = 0; j < b.size(); ++j) {
            // A star of b passes over nothing.
            if (row[j] && b[j] == '*') row[j + 1] = true;
            // A star of a stays and takes one more character of b.
            if (i < a.size() && a[i] == '*' && row[j]) row[j + 1] = true;
        }
        if (i == a.size()) return row[b.size()];
        std::fill(next.begin(), next.end(), false);
        for (std::size_t j = 0; j <= b.size(); ++j) {
            if (!row[j]) continue;
            if (a[i] == '*') next[j] = true;                  // a's star passes over nothing (more)
            if (j < b.size() && b[j] == '*') next[j] = true;  // b's star takes a[i]
            if (j < b.size() && a[i] == b[j]) next[j + 1] = true;
        }
        row.swap(next);
    }
}

}  // namespace

bool NamespacePattern::matches(std::string_view database_name, std::string_view collection_name) const {
    return glob(database, database_name) && glob(collection, collection_name);
}

std::size_t NamespacePattern::literal_characters() const {
    return literals(database) + literals(collection);
}

bool NamespacePattern::meets(const NamespacePattern& other) const {
    return globs_meet(database, other.database) && globs_meet(collection, other.collection);
}

bool NamespacePattern::covers(const NamespacePattern& other) const {
    // A star of `other` is matched as a character, which only a star of ours can take.
    return matches(other.database, other.collection);
}

bool Role::reveals_everything() const {
    if (!reaches_every_schema || encrypted_fields.read.kind != ReadRule::Kind::reveal) return false;
    for (const auto& fields : rules)
        for (const FieldRule& rule : fields)
            if (rule.read.kind != ReadRule::Kind::reveal) return false;
    return true;
}

bool Role::may_use(std::string_view database_name, std::string_view collection_name) const {
    return namespaces.empty() ||
           std::any_of(namespaces.begin(), namespaces.end(), [&](const NamespacePattern& pattern) {
               return pattern.matches(database_name, collection_name);
           });
}

const ProtectedNamespace* Config::find(std::string_view database_name,
                                       std::string_view collection_name) const {
    const ProtectedNamespace* best = nullptr;
    std::size_t best_literals = 0;
    for (const ProtectedNamespace& candidate : schemas) {
        if (!candidate.pattern.matches(database_name, collection_name)) continue;
        const std::size_t candidate_literals = candidate.pattern.literal_characters();
        if (best != nullptr && candidate_literals <= best_literals) continue;
        best = &candidate;
        best_literals = candidate_literals;
    }
    return best;
}

bool Config::is_key_vault(std::string_view database_name, std::string_view collection_name) const {
    return database_name == key_vault.database && collection_name == key_vault.collection;
}

}  // namespace fieldgate::config
