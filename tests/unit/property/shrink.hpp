#pragma once

#include <functional>

#include "stand.hpp"

namespace fieldgate::property {

// A smaller command for which `fails` still holds: members are taken away one after another, as long as that
// helps and `tries` last.
Command shrink(Command command, const std::function<bool(const Command&)>& fails, int tries = 3000);

}  // namespace fieldgate::property
