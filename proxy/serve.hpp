#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "config/config.hpp"

namespace fieldgate {

struct ServeOptions {
    std::filesystem::path file;
    // From the command line, over what the file says.
    std::optional<config::Log::Level> log_level;
    std::optional<config::Log::Format> log_format;
};

// `fieldgate run`: builds the object graph and serves until SIGTERM or SIGINT, then drains (limits.drain); a
// second signal ends at once. An upstream that does not answer is logged and waited for: a sidecar starts
// before its database. Returns an exit code of commands/commands.hpp; a port that cannot be bound is the
// configuration's fault.
int serve(const ServeOptions& options);

}  // namespace fieldgate
