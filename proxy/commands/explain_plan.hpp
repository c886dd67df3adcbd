#pragma once

#include <iosfwd>

#include "config/config.hpp"
#include "proxy/analysis/analysis.hpp"

// The parts of what `fieldgate explain` prints.
namespace fieldgate::commands {

// Every namespace that the command names, as far as the analysis got, with what is known of it. `connected`:
// the cluster was asked.
void print_namespaces(const analysis::Plan& plan, const config::Config& config,
                      const analysis::Catalog* catalog, std::ostream& out);

// What a role must be allowed.
void print_needs(const analysis::Plan& plan, std::ostream& out);

// Whether the role may, and what it gets of the reply.
void print_role(const analysis::Plan& plan, const config::Role& role, const config::Config& config,
                std::ostream& out);

void print_refusal(const analysis::Refusal& refusal, std::ostream& out);

}  // namespace fieldgate::commands
