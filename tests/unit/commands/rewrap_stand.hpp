#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/commands/key_vault_stand.hpp"

// What the tests of `keys rewrap` share.
namespace fieldgate::commands::testing {

using Strings = std::vector<std::string>;

struct RewrapResult {
    int code;
    std::string out;
    std::string err;
};

inline bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

// Two keys under `local`, one under aws:eu; local:new and kmip are configured as well.
struct RewrapStand : VaultStand {
    RewrapStand() {
        add_providers(
            "  \"local:new\": { key_file: master-key.bin }\n"
            "  \"aws:eu\": { access_key_id: a, secret_access_key: s }\n"
            "  kmip: { endpoint: \"k.example:5696\", tls: { certificate_key_file: master-key.bin } }\n");
        add(1, {"one"});
        add(2, {"two", "deux"});
        add(3, {"three"}, "aws:eu", crypto::kms::AwsMasterKey{"r", "k", ""});
    }
    RewrapResult rewrap(const RewrapKeys& options, bool is_terminal = false) {
        Printed printed;
        const int code = rewrap_keys(clinic.file, options, open_kms(),
                                     Console{printed.out, printed.err, nullptr, is_terminal});
        return {code, printed.out.str(), printed.err.str()};
    }
    Strings providers() {
        Strings names;
        for (const keys::KeyDocument& key : keys()) names.push_back(key.provider);
        return names;
    }
    // Every data key is still the one that add() made.
    void expect_same_keys() {
        for (const keys::KeyDocument& key : keys()) {
            const auto unwrapped = kms.unwrap(key.provider, key.master_key, key.wrapped);
            ASSERT_TRUE(unwrapped) << unwrapped.error().text;
            EXPECT_EQ(*unwrapped, secret_of(key.id.bytes[0]));
        }
    }
};

}  // namespace fieldgate::commands::testing
