#pragma once

#include "proxy/analysis/request.hpp"

// Commands that reach what the server keeps of other namespaces' documents. Internal to analysis/.
namespace fieldgate::analysis {

// After `look`, where Request::server_documents names something: refuses what would write there, and what
// would send values for paths that may hold those of encrypted fields. What passes leaves as it came, but for
// a command that also touches a protected namespace, which is analysed with it.
[[nodiscard]] bool admit_server_documents(Request& request);

// currentOp, whose fields are a filter on running operations.
[[nodiscard]] bool look_at_current_op(Request& request);

// profile, whose `filter` says which operations the server keeps.
[[nodiscard]] bool look_at_profile(Request& request);

}  // namespace fieldgate::analysis
