#pragma once

#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "proxy/analysis/analysis.hpp"
#include "proxy/net/server.hpp"

namespace fieldgate::net {

// What a worker knows of namespaces, until it expires. One thread.
class NamespaceCatalog final : public analysis::Catalog {
 public:
    using Clock = std::chrono::steady_clock;
    explicit NamespaceCatalog(std::chrono::milliseconds lifetime, std::size_t entries_max = 100000)
        : lifetime_(lifetime), entries_max_(entries_max) {}

    // Facts stay where they are for at least another lifetime after they expired, unless the table is full.
    const analysis::NamespaceFacts* find(std::string_view database,
                                         std::string_view collection) const override;
    // False if one of them could not be had.
    bool put(NamespaceAnswers answers, Clock::time_point now);
    // Called from time to time.
    void expire(Clock::time_point now);
    std::size_t size() const { return entries_.size(); }

 private:
    struct Entry {
        analysis::NamespaceFacts facts;
        Clock::time_point expires;
        bool expired = false;
    };
    using Name = std::pair<std::string, std::string>;
    struct Less {
        using is_transparent = void;
        using View = std::pair<std::string_view, std::string_view>;
        bool operator()(const Name& a, const Name& b) const { return a < b; }
        bool operator()(const Name& a, const View& b) const { return View(a) < b; }
        bool operator()(const View& a, const Name& b) const { return a < View(b); }
    };

    void make_room(const Name& key, Clock::time_point now);

    std::chrono::milliseconds lifetime_;
    std::size_t entries_max_;
    std::map<Name, Entry, Less> entries_;
};

}  // namespace fieldgate::net
