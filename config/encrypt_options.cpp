#include "config/encrypt_options.hpp"

#include <algorithm>

#include "config/bson_types.hpp"
#include "config/scalars.hpp"

namespace fieldgate::config {
namespace {

constexpr std::string_view deterministic_name = "AEAD_AES_256_CBC_HMAC_SHA_512-Deterministic";
constexpr std::string_view random_name = "AEAD_AES_256_CBC_HMAC_SHA_512-Random";
constexpr std::uint8_t uuid_subtype = 4;

std::optional<Algorithm> read_algorithm(const Node& node, const Report& report) {
    if (!node.is_string()) {
        report(node, "'algorithm' must be a string, not " + std::string(kind_name(node.kind)));
        return std::nullopt;
    }
    if (node.text == deterministic_name) return Algorithm::deterministic;
    if (node.text == random_name) return Algorithm::random;
    const std::vector<std::string> names{std::string(deterministic_name), std::string(random_name)};
    report(node, "BadValue: unknown algorithm '" + node.text + "': must be " + join_or(names));
    return std::nullopt;
}

// One name of a JSON pointer (RFC 6901, section 3): ~1 is a slash, ~0 a tilde. Nothing: another escape.
std::optional<std::string> unescape(std::string_view token) {
    std::string name;
    for (std::size_t i = 0; i < token.size(); ++i) {
        if (token[i] != '~') {
            name += token[i];
            continue;
        }
        ++i;
        if (i == token.size() || (token[i] != '0' && token[i] != '1')) return std::nullopt;
        name += token[i] == '0' ? '~' : '/';
    }
    return name;
}

// The numbers here and below are MongoDB's own codes for these mistakes: users search for them.
std::optional<KeyReference> read_key_pointer(const Node& node, const Report& report) {
    const auto refuse = [&](const std::string& why) {
        report(node, "'keyId' is not a valid JSON pointer: " + why);
        return std::nullopt;
    };
    std::string_view rest = node.text;
    if (!rest.starts_with('/')) return refuse("it must begin with / (51065); a key is named by 'keyAltName'");
    if (rest.size() > key_name_bytes_max)
        return refuse("it is longer than " + std::to_string(key_name_bytes_max) + " bytes");
    KeyPointer pointer;
    while (!rest.empty()) {
        if (pointer.path.size() == node_levels_max)
            return refuse("it is deeper than " + std::to_string(node_levels_max) + " levels (51067)");
        rest.remove_prefix(1);
        const std::size_t end = std::min(rest.find('/'), rest.size());
        auto name = unescape(rest.substr(0, end));
        if (!name) return refuse("~ stands only in ~0 (a tilde) and ~1 (a slash)");
        if (name->empty()) return refuse("it has an empty name");
        if (name->find('.') != std::string::npos || name->find('\0') != std::string::npos)
            return refuse("a name in it contains a dot or a null character: / goes one level down");
        pointer.path.push_back(std::move(*name));
        rest.remove_prefix(end);
    }
    return KeyReference(std::move(pointer));
}

std::optional<KeyReference> read_key_id(const Node& node, const Report& report) {
    if (node.is_string()) return read_key_pointer(node, report);
    if (!node.is_array()) {
        report(node, "'keyId' must be an array of one UUID or a JSON pointer, not " +
                         std::string(kind_name(node.kind)) + " (51085)");
        return std::nullopt;
    }
    if (node.children.size() != 1) {
        report(node, "'keyId' must be an array of exactly one UUID");
        return std::nullopt;
    }
    const Node& id = node.children.front();
    if (id.kind != Node::Kind::binary) {
        report(id,
               "'keyId' must hold a UUID: { $binary: { base64: ..., subType: \"04\" } } or { $uuid: ... } "
               "(51088)");
        return std::nullopt;
    }
    KeyUuid uuid{};
    if (id.subtype != uuid_subtype || id.bytes.size() != uuid.size()) {
        report(id, "'keyId' must hold a UUID: binary subtype 4 of 16 bytes (51084)");
        return std::nullopt;
    }
    std::copy(id.bytes.begin(), id.bytes.end(), uuid.begin());
    return KeyReference(uuid);
}

std::optional<KeyReference> read_key_alt_name(const Node& node, const Report& report) {
    if (!node.is_string() || node.text.empty() || node.text.find('\0') != std::string::npos) {
        report(node, "'keyAltName' must be a non-empty string");
        return std::nullopt;
    }
    if (node.text.size() > key_name_bytes_max) {
        report(node, "'keyAltName' is longer than " + std::to_string(key_name_bytes_max) + " bytes");
        return std::nullopt;
    }
    return KeyReference(KeyAltName{node.text});
}

std::optional<std::uint8_t> read_type_alias(const Node& node, const Report& report) {
    if (!node.is_string()) {
        report(node, "TypeMismatch: 'bsonType' must be a type's name or an array of them, not " +
                         std::string(kind_name(node.kind)));
        return std::nullopt;
    }
    const auto type = bson_type(node.text);
    if (!type) {
        report(node, node.text == "number"
                         ? "'bsonType' in 'encrypt' cannot be 'number': name int, long, double or decimal"
                         : "BadValue: Unknown type name alias: '" + node.text + "'");
        return std::nullopt;
    }
    if (!may_encrypt(Algorithm::random, *type)) {
        report(node, "Cannot encrypt element of type: " + node.text);
        return std::nullopt;
    }
    return type;
}

std::optional<std::vector<std::uint8_t>> read_types(const Node& node, const Report& report) {
    std::vector<std::uint8_t> types;
    if (!node.is_array()) {
        const auto type = read_type_alias(node, report);
        if (!type) return std::nullopt;
        types.push_back(*type);
        return types;
    }
    bool refused = node.children.empty();
    if (refused) report(node, "'bsonType' must not be an empty array");
    for (const Node& alias : node.children) {
        const auto type = read_type_alias(alias, report);
        if (!type) {
            refused = true;
        } else if (std::find(types.begin(), types.end(), *type) != types.end()) {
            report(alias, "'bsonType' names '" + alias.text + "' twice");
            refused = true;
        } else {
            types.push_back(*type);
        }
    }
    if (refused) return std::nullopt;
    return types;
}

}  // namespace

std::string_view algorithm_name(Algorithm algorithm) {
    return algorithm == Algorithm::deterministic ? deterministic_name : random_name;
}

EncryptOptions read_encrypt_options(const Node& node, const std::string& keyword, const Report& report) {
    EncryptOptions options;
    const bool is_metadata = keyword == "encryptMetadata";
    if (!node.is_object()) {
        report(node, "'" + keyword + "' must be an object, not " + std::string(kind_name(node.kind)));
        options.key_is_refused = options.algorithm_is_refused = options.bson_types_are_refused = true;
        return options;
    }
    if (is_metadata && node.children.empty())
        report(node, "'encryptMetadata' must not be empty: name 'algorithm', 'keyId' or 'keyAltName'");

    std::vector<std::string> known{"algorithm", "keyId", "keyAltName"};
    if (!is_metadata) known.emplace_back("bsonType");
    std::vector<std::string_view> seen;
    for (const Node& option : node.children) {
        if (std::find(seen.begin(), seen.end(), option.key) != seen.end()) {
            report(option, "'" + option.key + "' stands twice in '" + keyword + "'");
            continue;
        }
        seen.push_back(option.key);
        if (option.key == "algorithm") {
            options.algorithm = read_algorithm(option, report);
            options.algorithm_is_refused = !options.algorithm;
        } else if (option.key == "keyId" || option.key == "keyAltName") {
            const bool both = node.find("keyId") != nullptr && node.find("keyAltName") != nullptr;
            auto key =
                option.key == "keyId" ? read_key_id(option, report) : read_key_alt_name(option, report);
            if (both && option.key == "keyAltName")
                report(option, "'keyAltName' stands instead of 'keyId', not beside it");
            if (!key || both)
                options.key_is_refused = true;
            else
                options.key = std::move(key);
        } else if (option.key == "bsonType" && !is_metadata) {
            options.bson_types = read_types(option, report);
            options.bson_types_are_refused = !options.bson_types;
        } else if (option.key == "bsonType") {
            report(option, "'bsonType' is not allowed in 'encryptMetadata': it cannot be inherited");
        } else {
            report(option, "BSON field '" + keyword + "." + option.key + "' is an unknown field (40415)" +
                               did_you_mean(option.key, known));
        }
    }
    return options;
}

}  // namespace fieldgate::config
