#include "crypto/kms/json.hpp"

#include <algorithm>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parser.hpp>
#include <boost/json/value.hpp>
#include <charconv>

#include "crypto/base64_digits.hpp"
#include "crypto/key_material.hpp"
#include "crypto/kms/http.hpp"
#include "crypto/locked_memory.hpp"

namespace fieldgate::crypto::kms {
namespace {

namespace json = boost::json;

constexpr std::size_t levels_max = 16;
constexpr std::size_t code_bytes_max = 64;
constexpr std::size_t text_bytes_max = 300;
constexpr std::size_t run_bytes_max = 48;

// Locked memory that is erased when it is given back.
class ErasingMemory final : public json::memory_resource {
    void* do_allocate(std::size_t size_bytes, std::size_t alignment) override {
        // allocate_locked aligns to 128 bytes and more.
        BOOST_ASSERT(alignment <= 128);
        (void)alignment;
        return allocate_locked(size_bytes);
    }
    void do_deallocate(void* memory, std::size_t size_bytes, std::size_t) override {
        release_locked(static_cast<std::uint8_t*>(memory), size_bytes);
    }
    bool do_is_equal(const json::memory_resource& other) const noexcept override { return this == &other; }
};

// In either case.
bool has_part(std::string_view text, std::string_view part) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return !std::ranges::search(text, part, {}, lower, lower).empty();
}

bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

Failure not_json(int status, std::string_view why) {
    return {Failure::Kind::malformed, status, "not_json",
            "the reply is not JSON as it must be: " + std::string(why)};
}

}  // namespace

struct JsonReply::State {
    ErasingMemory memory;
    json::monotonic_resource tree{4096, json::storage_ptr(&memory)};
    std::optional<json::value> root;  // of the tree's memory: assigning would copy into another

    const json::value* find(std::string_view path) const {
        const json::value* at = &*root;
        while (true) {
            const json::object* const object = at->if_object();
            if (object == nullptr) return nullptr;
            const std::size_t dot = path.find('.');
            at = object->if_contains(path.substr(0, dot));
            if (at == nullptr || dot == std::string_view::npos) return at;
            path.remove_prefix(dot + 1);
        }
    }
};

JsonReply::JsonReply(std::unique_ptr<State> state) : state_(std::move(state)) {}
JsonReply::JsonReply(JsonReply&&) noexcept = default;
JsonReply& JsonReply::operator=(JsonReply&&) noexcept = default;
JsonReply::~JsonReply() = default;

Result<JsonReply> JsonReply::parse(const Reply& reply) {
    if (reply.body.size() > reply_bytes_max) return not_json(reply.status, "it is too large");
    auto state = std::make_unique<State>();
    json::parse_options options;
    options.max_depth = levels_max;
    // Its working memory would otherwise be the heap.
    json::parser parser(json::storage_ptr(&state->memory), options);
    parser.reset(json::storage_ptr(&state->tree));
    json::error_code error;
    parser.write(text_of(reply.body.expose_secret()), error);
    if (error) return not_json(reply.status, error.message());
    state->root.emplace(parser.release());
    if (!state->root->is_object()) return not_json(reply.status, "it is not an object");
    return JsonReply(std::move(state));
}

std::optional<std::string_view> JsonReply::string(std::string_view path) const {
    const json::value* const found = state_->find(path);
    if (found == nullptr || !found->is_string()) return std::nullopt;
    return std::string_view(found->get_string());
}

std::optional<std::int64_t> JsonReply::number(std::string_view path) const {
    const json::value* const found = state_->find(path);
    if (found == nullptr) return std::nullopt;
    if (found->is_int64()) return found->get_int64();
    if (!found->is_string()) return std::nullopt;
    const std::string_view digits = found->get_string();
    if (digits.starts_with('-')) return std::nullopt;
    std::int64_t value = 0;
    const auto [read_to, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || read_to != digits.data() + digits.size()) return std::nullopt;
    return value;
}

std::optional<std::string_view> JsonReply::first_of_array(std::string_view path) const {
    const json::value* const found = state_->find(path);
    if (found == nullptr || !found->is_array()) return std::nullopt;
    for (const json::value& element : found->get_array())
        if (element.is_string()) return std::string_view(element.get_string());
    return std::nullopt;
}

std::string json_quoted(std::string_view text) {
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            quoted += '\\';
            quoted += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            constexpr std::string_view digits = "0123456789abcdef";
            quoted += "\\u00";
            quoted += digits[static_cast<unsigned char>(c) >> 4];
            quoted += digits[static_cast<unsigned char>(c) & 15];
        } else {
            quoted += c;
        }
    }
    return quoted + '"';
}

void append_json_quoted(SecretBuffer& out, std::string_view text) {
    // Whole runs that need no escape go as they are; what is escaped is one character, never a secret.
    out.append(bytes_of("\""));
    while (!text.empty()) {
        const auto plain_end = std::ranges::find_if(
            text, [](char c) { return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20; });
        const auto plain_bytes = static_cast<std::size_t>(plain_end - text.begin());
        out.append(bytes_of(text.substr(0, plain_bytes)));
        text.remove_prefix(plain_bytes);
        if (text.empty()) break;
        const std::string escaped = json_quoted(text.substr(0, 1));
        out.append(bytes_of(std::string_view(escaped).substr(1, escaped.size() - 2)));
        text.remove_prefix(1);
    }
    out.append(bytes_of("\""));
}

SecretBuffer base64_encode(std::span<const std::uint8_t> bytes, Base64 alphabet) {
    const std::size_t rest = bytes.size() % 3;
    const bool pads = alphabet == Base64::standard;
    SecretBuffer text(bytes.size() / 3 * 4 + (rest == 0 ? 0 : pads ? 4 : rest + 1));
    const std::span<std::uint8_t> out = text.writable();
    std::size_t at = 0;
    for (std::size_t start = 0; start < bytes.size(); start += 3) {
        const std::size_t count = std::min<std::size_t>(3, bytes.size() - start);
        unsigned bits = 0;
        for (std::size_t i = 0; i < 3; ++i) bits = bits << 8 | (i < count ? bytes[start + i] : 0u);
        for (std::size_t i = 0; i <= count; ++i) {
            std::uint8_t digit = base64_digit(bits >> (18 - 6 * i) & 63);
            if (alphabet == Base64::url) digit = digit == '+' ? '-' : digit == '/' ? '_' : digit;
            out[at++] = digit;
        }
        for (std::size_t i = count; pads && i < 3; ++i) out[at++] = '=';
    }
    BOOST_ASSERT(at == out.size());
    return text;
}

void append_base64(SecretBuffer& out, const DataKey& key) {
    append_text(out, base64_encode(key.expose_secret()));
}

std::optional<SecretBuffer> base64_decode(std::string_view text, Base64 alphabet) {
    const bool padding_is_due = alphabet == Base64::standard || text.ends_with('=');
    if (padding_is_due && text.size() % 4 != 0) return std::nullopt;
    for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
    const std::size_t rest = text.size() % 4;
    if (rest == 1) return std::nullopt;

    SecretBuffer bytes(text.size() / 4 * 3 + (rest == 0 ? 0 : rest - 1));
    const std::span<std::uint8_t> out = bytes.writable();
    unsigned invalid = 0;
    std::size_t at = 0;
    for (std::size_t start = 0; start < text.size(); start += 4) {
        const std::size_t count = std::min<std::size_t>(4, text.size() - start);
        unsigned bits = 0;
        for (std::size_t i = 0; i < count; ++i) {
            auto digit = static_cast<std::uint8_t>(text[start + i]);
            if (alphabet == Base64::url) {
                if (digit == '+' || digit == '/') invalid = 1;
                digit = digit == '-' ? '+' : digit == '_' ? '/' : digit;
            }
            const unsigned value = base64_value(digit);
            invalid |= value & ~63u;
            bits |= (value & 63) << (18 - 6 * i);
        }
        for (std::size_t i = 0; i + 1 < count; ++i)
            out[at++] = static_cast<std::uint8_t>(bits >> (16 - 8 * i));
        if (count < 4) invalid |= bits & (count == 2 ? 0xffffu : 0xffu);
    }
    if (invalid != 0) return std::nullopt;
    return bytes;
}

Result<DataKey> data_key_of(std::span<const std::uint8_t> bytes) {
    auto key = make_data_key(bytes);
    if (!key)
        return Failure{Failure::Kind::malformed, 0, "data_key_length", "decrypted key is incorrect length"};
    return std::move(*key);
}

Result<DataKey> data_key_of(const SecretBuffer& bytes) {
    return data_key_of(bytes.expose_secret());
}

std::string safe_code(std::string_view code) {
    std::string safe;
    for (const char c : code) {
        if (safe.size() == code_bytes_max) break;
        if (is_letter_or_digit(c) || c == '.' || c == '_' || c == '-') safe += c;
    }
    return safe;
}

std::string safe_text(std::string_view text) {
    const auto is_of_token = [](char c) {
        return is_letter_or_digit(c) || c == '+' || c == '/' || c == '=' || c == '_' || c == '-' ||
               c == '.' || c == '%';
    };
    std::string safe;
    while (!text.empty() && safe.size() < text_bytes_max) {
        const auto run = static_cast<std::size_t>(std::ranges::find_if_not(text, is_of_token) - text.begin());
        if (run > 0) {
            safe += run > run_bytes_max ? "..." : text.substr(0, run);
            text.remove_prefix(run);
        } else {
            const char c = text.front();
            text.remove_prefix(1);
            const bool is_blank = c >= 0 && c <= 0x20;
            if (is_blank && (safe.empty() || safe.back() == ' ')) continue;
            safe += is_blank ? ' ' : c < 0 || c > 0x7e ? '?' : c;
        }
    }
    if (safe.size() > text_bytes_max) safe.resize(text_bytes_max);
    if (safe.ends_with(' ')) safe.pop_back();
    return safe;
}

void hide_secret(Failure& failure, const SecretBuffer& secret) {
    hide_secret(failure, text_of(secret.expose_secret()));
}

void hide_secret(Failure& failure, std::string_view secret) {
    // What is shorter is no secret, and would tear holes into words.
    constexpr std::size_t part_bytes = 8;
    constexpr std::string_view instead = "...";
    if (secret.size() < part_bytes) return;
    SecretBuffer encoded;
    append_percent_encoded(encoded, secret);
    for (std::string* const told : {&failure.code, &failure.text}) {
        std::string safe;
        std::size_t hidden_until = 0;
        for (std::size_t at = 0; at < told->size(); ++at) {
            const std::string_view part = std::string_view(*told).substr(at, part_bytes);
            if (part.size() == part_bytes &&
                (has_part(secret, part) || has_part(text_of(encoded.expose_secret()), part))) {
                if (at >= hidden_until) safe += instead;
                hidden_until = at + part_bytes;
            }
            if (at >= hidden_until) safe += (*told)[at];
        }
        *told = std::move(safe);
    }
}

}  // namespace fieldgate::crypto::kms
