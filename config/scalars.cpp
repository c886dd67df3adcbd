#include "config/scalars.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace fieldgate::config {
namespace {

constexpr std::size_t unix_path_bytes_max = 107;  // sockaddr_un::sun_path less its terminator
constexpr std::size_t database_name_bytes_max = 63;
constexpr std::size_t namespace_bytes_max = 255;
constexpr std::size_t host_bytes_max = 253;  // of a name in DNS

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Digits at the front of `text`, which is shortened by them; nothing when there are none or they overflow.
std::optional<std::uint64_t> take_digits(std::string_view& text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end == text.data()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return value;
}

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

// Longer names first: "ms" before "m".
constexpr Unit duration_units[] = {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};
constexpr Unit size_units[] = {{"KiB", 1024}, {"MiB", 1'048'576}, {"GiB", 1'073'741'824},
                               {"KB", 1000},  {"MB", 1'000'000},  {"GB", 1'000'000'000},
                               {"B", 1}};

std::optional<std::uint64_t> multiply(std::uint64_t value, std::uint64_t factor) {
    if (value > std::numeric_limits<std::int64_t>::max() / factor) return std::nullopt;
    return value * factor;
}

int base64_value(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (is_digit(c)) return c - '0' + 52;
    if (c == '+') return 62;
    if (c == '/') return 63;
    return -1;
}

std::optional<std::uint8_t> hex_value(char c) {
    if (is_digit(c)) return static_cast<std::uint8_t>(c - '0');
    c = lower(c);
    if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
    return std::nullopt;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = diagonal + (lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
        }
    }
    return row[b.size()];
}

}  // namespace

std::optional<std::uint64_t> parse_unsigned(std::string_view text) {
    if (text.size() > 1 && text.front() == '0') return std::nullopt;
    const auto value = take_digits(text);
    return value && text.empty() ? value : std::nullopt;
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
    if (text == "0") return std::chrono::milliseconds(0);
    if (text.empty()) return std::nullopt;
    std::uint64_t total = 0;
    while (!text.empty()) {
        const auto value = take_digits(text);
        if (!value) return std::nullopt;
        const auto* unit = std::find_if(std::begin(duration_units), std::end(duration_units),
                                        [&](const Unit& u) { return text.starts_with(u.name); });
        if (unit == std::end(duration_units)) return std::nullopt;
        text.remove_prefix(unit->name.size());
        const auto part = multiply(*value, unit->factor);
        if (!part || *part > std::numeric_limits<std::int64_t>::max() - total) return std::nullopt;
        total += *part;
    }
    return std::chrono::milliseconds(static_cast<std::int64_t>(total));
}

std::optional<std::uint64_t> parse_byte_size(std::string_view text) {
    if (text.size() > 1 && text.front() == '0') return std::nullopt;
    const auto value = take_digits(text);
    if (!value) return std::nullopt;
    if (text.empty()) return value;
    for (const Unit& unit : size_units)
        if (text == unit.name) return multiply(*value, unit.factor);
    return std::nullopt;
}

bool is_base64_character(char c) {
    return base64_value(c) >= 0;
}

std::optional<std::vector<std::uint8_t>> parse_base64(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    std::size_t padding = 0;
    while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
    std::vector<std::uint8_t> bytes;
    bytes.reserve(text.size() / 4 * 3);
    std::uint32_t bits = 0;
    int bit_count = 0;
    for (const char c : text.substr(0, text.size() - padding)) {
        const int value = base64_value(c);
        if (value < 0) return std::nullopt;
        bits = (bits << 6) | static_cast<std::uint32_t>(value);
        bit_count += 6;
        if (bit_count < 8) continue;
        bit_count -= 8;
        bytes.push_back(static_cast<std::uint8_t>(bits >> bit_count));
        bits &= (1u << bit_count) - 1;
    }
    if (bits != 0) return std::nullopt;  // set bits that belong to no byte
    return bytes;
}

std::optional<KeyUuid> parse_uuid(std::string_view text) {
    if (text.size() != 36) return std::nullopt;
    KeyUuid uuid{};
    std::size_t digits = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i] != '-') return std::nullopt;
            continue;
        }
        const auto value = hex_value(text[i]);
        if (!value) return std::nullopt;
        uuid[digits / 2] = static_cast<std::uint8_t>((uuid[digits / 2] << 4) | *value);
        ++digits;
    }
    return uuid;
}

NamespaceText parse_namespace(std::string_view text, bool stars_allowed) {
    const std::size_t dot = text.find('.');
    if (dot == std::string_view::npos) return {{}, "must be DATABASE.COLLECTION"};
    const std::string_view database = text.substr(0, dot);
    const std::string_view collection = text.substr(dot + 1);
    if (database.empty() || collection.empty()) return {{}, "must be DATABASE.COLLECTION"};
    if (!stars_allowed && text.find('*') != std::string_view::npos) return {{}, "must not contain *"};
    if (database.find_first_of("/\\ \"$") != std::string_view::npos)
        return {{}, "a database name must not contain / \\ \" $ or a blank"};
    if (text.find('\0') != std::string_view::npos) return {{}, "must not contain a null character"};
    if (database.size() > database_name_bytes_max) return {{}, "a database name has at most 63 bytes"};
    if (collection.front() == '.' || collection.back() == '.')
        return {{}, "a collection name must not begin or end with a dot"};
    if (collection.find('$') != std::string_view::npos) return {{}, "a collection name must not contain $"};
    if (text.size() > namespace_bytes_max) return {{}, "a namespace has at most 255 bytes"};
    return {NamespacePattern{std::string(database), std::string(collection)}, {}};
}

AddressText parse_address(std::string_view text) {
    AddressText address;
    const auto refuse = [&](std::string fault) {
        address.fault = std::move(fault);
        return address;
    };
    if (text.starts_with("unix:")) {
        text.remove_prefix(5);
        if (text.empty()) return refuse("names no path after unix:");
        if (text.find('\0') != std::string_view::npos) return refuse("must not contain a null character");
        if (text.size() > unix_path_bytes_max)
            return refuse("the path of a Unix socket has at most 107 bytes");
        address.unix_path = text;
        return address;
    }
    const char* forms = "must be HOST:PORT, [IPV6]:PORT or unix:/PATH";
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return refuse(forms);
    std::string_view host = text.substr(0, colon);
    const std::string_view port = text.substr(colon + 1);
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
        if (host.find(':') == std::string_view::npos)
            return refuse("only an IPv6 address stands in brackets");
    } else if (host.find(':') != std::string_view::npos) {
        return refuse("an IPv6 address must stand in brackets: [::1]:27017");
    }
    if (host.empty()) return refuse("names no host: 0.0.0.0 or [::] is every interface");
    if (host.find_first_of(" /[]@") != std::string_view::npos) return refuse(forms);
    const auto number = parse_unsigned(port);
    if (!number || *number > 65535) return refuse("a port is a number from 0 to 65535");
    address.host = host;
    address.port = static_cast<std::uint16_t>(*number);
    return address;
}

std::string endpoint_fault(std::string_view text) {
    std::string forms = "must be HOST or HOST:PORT";
    if (text.find("://") != std::string_view::npos) return forms + ", without a scheme";
    if (text.find('/') != std::string_view::npos) return forms + ", without a path";
    std::string_view host = text;
    std::string_view port = "443";
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        if (end == std::string_view::npos) return forms;
        host = text.substr(1, end - 1);
        const std::string_view rest = text.substr(end + 1);
        if (!rest.empty()) port = rest.front() == ':' ? rest.substr(1) : "";
        if (host.find(':') == std::string_view::npos ||
            host.find_first_not_of("0123456789abcdefABCDEF:.") != std::string_view::npos)
            return "only an IPv6 address stands in brackets";
    } else if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
        host = text.substr(0, colon);
        port = text.substr(colon + 1);
        if (port.find(':') != std::string_view::npos)
            return "an IPv6 address must stand in brackets: [::1]:443";
    }
    const auto is_host_character = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
               c == '.' || c == '_' || c == ':';
    };
    if (host.empty() || host.size() > host_bytes_max || host.front() == '.' || host.front() == '-' ||
        host.find("..") != std::string_view::npos ||
        !std::all_of(host.begin(), host.end(), is_host_character))
        return forms;
    const auto number = parse_unsigned(port);
    if (!number || *number == 0 || *number > 65535) return "the port must be a number from 1 to 65535";
    return {};
}

std::optional<std::string> closest(std::string_view text, const std::vector<std::string>& candidates) {
    if (text.empty() || text.size() > 100) return std::nullopt;
    const std::size_t edits_max = text.size() <= 4 ? 1 : text.size() <= 12 ? 2 : 3;
    std::size_t best = edits_max + 1;
    std::optional<std::string> found;
    for (const std::string& candidate : candidates) {
        const std::size_t distance = edit_distance(text, candidate);
        if (distance >= best) continue;
        best = distance;
        found = candidate;
    }
    return found;
}

std::string did_you_mean(std::string_view text, const std::vector<std::string>& candidates) {
    const auto found = closest(text, candidates);
    return found ? " (did you mean '" + *found + "'?)" : "";
}

std::string join_or(const std::vector<std::string>& words) {
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
        text += words[i];
    }
    return text;
}

}  // namespace fieldgate::config
