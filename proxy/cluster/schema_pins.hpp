#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "proxy/analysis/analysis.hpp"

namespace fieldgate::cluster {

// The schemas that came from the server, as they were first seen and have grown since: whoever can change a
// collection's validator must not be able to turn encryption off for the clients of a running fieldgate. A
// schema that protects more than the pinned one takes its place; one that protects less, or otherwise, is
// replaced by a problem, for which the namespace is refused, until the validator is what it was or fieldgate
// starts anew. One for the process; one thread.
class SchemaPins {
 public:
    explicit SchemaPins(std::size_t pins_max = 10000) : pins_max_(pins_max) {}

    // What is to be told of a namespace of which the server says this.
    analysis::NamespaceFacts apply(const analysis::NamespaceName& name, analysis::NamespaceFacts facts);

 private:
    std::size_t pins_max_;
    std::map<analysis::NamespaceName, config::NamespaceRef> pins_;
};

}  // namespace fieldgate::cluster
