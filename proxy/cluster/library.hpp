#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace fieldgate::cluster {

enum class Severity : std::uint8_t { debug, info, warning };

// Where libmongoc's own messages go; called from any thread. Set once, before the first object of this folder
// is made; without it they are dropped.
void set_library_log(std::function<void(Severity, std::string_view)> log);

}  // namespace fieldgate::cluster
