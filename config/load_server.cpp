#include <algorithm>
#include <limits>

#include "config/files.hpp"
#include "config/load_parts.hpp"
#include "config/scalars.hpp"

namespace fieldgate::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint64_t message_bytes_ceiling = 48'000'000;  // MongoDB's maxMessageSizeBytes
constexpr std::uint64_t message_bytes_floor = 65'536;        // below it not even handshakes are safe
constexpr std::uint64_t nesting_levels_ceiling = 200;        // the server's own limit

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return result;
}

bool has_load_balanced(std::string_view uri) {
    const std::size_t question = uri.find('?');
    if (question == std::string_view::npos) return false;
    const std::string options = lower(uri.substr(question + 1));
    std::size_t start = 0;
    while (start <= options.size()) {
        const std::size_t end = std::min(options.find_first_of("&;", start), options.size());
        const std::string option = options.substr(start, end - start);
        if (option.starts_with("loadbalanced=") && option != "loadbalanced=false") return true;
        start = end + 1;
    }
    return false;
}

void replace_all(std::string& text, std::string_view secret, std::string_view with) {
    if (secret.empty()) return;
    for (std::size_t at = text.find(secret); at != std::string::npos;
         at = text.find(secret, at + with.size()))
        text.replace(at, secret.size(), with);
}

// A connection string holds a password, and the driver library's messages may quote it.
std::string without_secrets(std::string message, std::string_view uri) {
    replace_all(message, uri, "the connection string");
    const std::size_t scheme = uri.find("://");
    if (scheme == std::string_view::npos) return message;
    const std::string_view rest = uri.substr(scheme + 3);
    const std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
    const std::size_t at = authority.rfind('@');
    if (at == std::string_view::npos) return message;
    const std::string_view user_info = authority.substr(0, at);
    replace_all(message, user_info, "<credentials>");
    const std::size_t colon = user_info.find(':');
    if (colon != std::string_view::npos) replace_all(message, user_info.substr(colon + 1), "<password>");
    return message;
}

// Reads a connection string and has it checked. Never quotes it.
std::string connection_string(Section& section) {
    const auto uri = section.secret("uri");
    if (!uri) return {};
    const Node& node = *section.take("uri");
    if (!uri->starts_with("mongodb://") && !uri->starts_with("mongodb+srv://")) {
        section.problem(node, "uri", "must begin with mongodb:// or mongodb+srv://");
        return {};
    }
    if (has_load_balanced(*uri)) {
        section.problem(node, "uri", "loadBalanced=true is not supported: name the members or one mongos");
        return *uri;
    }
    const LoadOptions& options = section.context().options;
    if (options.check_uri)
        for (std::string& message : options.check_uri(*uri))
            section.problem(node, "uri", without_secrets(std::move(message), *uri));
    return *uri;
}

}  // namespace

void load_upstream(Section& root, Config& config) {
    const Node* node = root.require("upstream", "upstream: { uri: mongodb://HOST:27017 }");
    Section section(root.context(), node, "upstream");
    if (section.take("uri") != nullptr)
        config.upstream.uri = connection_string(section);
    else if (node != nullptr)
        section.require("uri", "the connection string of the deployment, mongodb://HOST:27017");

    if (const auto presentation = section.string("presentation");
        presentation && *presentation != "gateway") {
        const bool is_planned = *presentation == "replica-set" || *presentation == "members";
        section.problem(*section.take("presentation"), "presentation",
                        is_planned ? "'" + *presentation + "' is not supported by this version: write gateway"
                                   : "must be gateway, not '" + *presentation + "'");
    }
    using ReadPreference = Upstream::ReadPreference;
    config.upstream.read_preference =
        section
            .choice<ReadPreference>(
                "read_preference", {{"primary", ReadPreference::primary}, {"refuse", ReadPreference::refuse}})
            .value_or(config.upstream.read_preference);
    config.upstream.election_wait = section.duration("election_wait", milliseconds(0), minutes(5))
                                        .value_or(config.upstream.election_wait);
    section.finish();
}

void load_key_vault(Section& root, Config& config) {
    Section section(root.context(), root.take("key_vault"), "key_vault");
    if (const auto text = section.string("namespace")) {
        const NamespaceText parsed = parse_namespace(*text, false);
        if (parsed.pattern) {
            config.key_vault.database = parsed.pattern->database;
            config.key_vault.collection = parsed.pattern->collection;
        } else {
            section.problem(*section.take("namespace"), "namespace", parsed.fault);
        }
    }
    config.key_vault.uri = section.take("uri") != nullptr ? connection_string(section) : config.upstream.uri;
    config.key_vault.cache_lifetime =
        section.duration("cache_lifetime", seconds(1), hours(24)).value_or(config.key_vault.cache_lifetime);
    section.finish();
}

void load_log(Section& root, Config& config) {
    Section section(root.context(), root.take("log"), "log");
    using Level = Log::Level;
    using Format = Log::Format;
    config.log.level = section
                           .choice<Level>("level", {{"trace", Level::trace},
                                                    {"debug", Level::debug},
                                                    {"info", Level::info},
                                                    {"warn", Level::warn},
                                                    {"error", Level::error}})
                           .value_or(config.log.level);
    config.log.format =
        section
            .choice<Format>("format",
                            {{"auto", Format::automatic}, {"text", Format::text}, {"json", Format::json}})
            .value_or(config.log.format);
    section.finish();
}

void load_limits(Section& root, Config& config) {
    Section section(root.context(), root.take("limits"), "limits");
    Limits& limits = config.limits;
    limits.connections =
        static_cast<std::uint32_t>(section.number("connections", 1, 1'000'000).value_or(limits.connections));
    limits.message_bytes =
        static_cast<std::uint32_t>(section.bytes("message_bytes", message_bytes_floor, message_bytes_ceiling)
                                       .value_or(limits.message_bytes));
    limits.nesting_levels = static_cast<std::uint32_t>(
        section.number("nesting_levels", 1, nesting_levels_ceiling).value_or(limits.nesting_levels));
    const std::uint64_t memory_floor = limits.message_bytes;
    const auto memory = section.bytes("memory_bytes", 1, std::uint64_t{1} << 50);
    if (memory && *memory < memory_floor)
        section.problem(*section.take("memory_bytes"), "memory_bytes",
                        "must hold at least one message of limits.message_bytes (" +
                            std::to_string(memory_floor) + "), not '" + *section.string("memory_bytes") +
                            "'");
    limits.memory_bytes = memory.value_or(std::max(limits.memory_bytes, memory_floor));
    limits.drain = section.duration("drain", milliseconds(0), hours(1)).value_or(limits.drain);
    section.finish();
}

}  // namespace fieldgate::config
