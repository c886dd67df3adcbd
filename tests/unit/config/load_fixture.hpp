#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "config/load.hpp"
#include "tests/unit/config/temporary_directory.hpp"

namespace fieldgate::config {

// A directory with what a good configuration refers to: key.bin, s.json (f: int deterministic, a.g: random),
// server.pem, ca.pem, uri.txt.
class LoadFixture : public testing::Test {
 protected:
    LoadFixture() {
        directory.write("key.bin", std::string(96, 'k'));
        directory.write("s.json", R"({ "bsonType": "object",
  "encryptMetadata": { "keyAltName": "k" },
  "properties": {
    "f": { "encrypt": { "bsonType": "int", "algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Deterministic" } },
    "a": { "bsonType": "object", "properties": {
      "g": { "encrypt": { "algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Random" } } } } } }
)");
        directory.write("server.pem", "pem");
        directory.write("ca.pem", "pem");
        directory.write("uri.txt", "mongodb://user:secret@h\n");
    }

    Loaded load_text(const std::string& yaml) {
        const std::filesystem::path file = directory.write("c.yaml", yaml);
        LoadOptions options;
        options.environment = [this](const std::string& name) -> std::optional<std::string> {
            const auto found = environment.find(name);
            if (found == environment.end()) return std::nullopt;
            return found->second;
        };
        for (const auto& [name, value] : environment) options.environment_names.push_back(name);
        options.check_uri = [this](const std::string& uri) {
            checked_uris.push_back(uri);
            return uri_messages;
        };
        return load(file, options);
    }

    // "12: listeners[0].role: ..." per problem; the file's name stands before problems of other files.
    std::vector<std::string> problems_of(const std::string& yaml) {
        try {
            load_text(yaml);
        } catch (const LoadError& error) {
            return lines(error.problems());
        }
        return {};
    }
    std::vector<std::string> warnings_of(const std::string& yaml) { return lines(load_text(yaml).warnings); }

    static std::vector<std::string> lines(const std::vector<Problem>& problems) {
        std::vector<std::string> result;
        for (const Problem& problem : problems)
            result.push_back(
                (problem.file.filename() == "c.yaml" ? "" : problem.file.filename().string() + ":") +
                std::to_string(problem.line) + ": " + problem.what);
        return result;
    }

    // Each expectation is "LINE: fragment" (or "FILE:LINE: fragment"): the line must be equal, the fragment
    // contained.
    static void expect_problems(const std::vector<std::string>& problems,
                                const std::vector<std::string>& expected) {
        std::string all;
        for (const std::string& problem : problems) all += "  " + problem + "\n";
        ASSERT_EQ(problems.size(), expected.size()) << all;
        for (std::size_t i = 0; i < expected.size(); ++i) {
            const std::size_t colon = expected[i].find(": ");
            const std::string place = expected[i].substr(0, colon + 2);
            EXPECT_EQ(problems[i].substr(0, place.size()), place) << all;
            EXPECT_NE(problems[i].find(expected[i].substr(colon + 2)), std::string::npos)
                << "wanted " << expected[i] << "\n"
                << all;
        }
    }

    TemporaryDirectory directory;
    std::map<std::string, std::string> environment;
    std::vector<std::string> uri_messages;
    std::vector<std::string> checked_uris;
};

// Five lines that load; tests add lines after them (from line 6), or replace one.
inline const std::string good_upstream = "upstream: { uri: \"mongodb://h\" }\n";                        // 1
inline const std::string good_kms = "kms_providers: { local: { key_file: key.bin } }\n";                // 2
inline const std::string good_schemas = "schemas: { db.c: { file: s.json } }\n";                        // 3
inline const std::string good_roles = "roles: { r: { encrypted_fields: { read: reveal } } }\n";         // 4
inline const std::string good_listeners = "listeners: [{ name: l, address: \"[::1]:1\", role: r }]\n";  // 5
inline const std::string good = good_upstream + good_kms + good_schemas + good_roles + good_listeners;

// The same with another line.
inline std::string upstream(const std::string& body) {
    return "upstream: " + body + "\n" + good_kms + good_schemas + good_roles + good_listeners;
}
inline std::string kms(const std::string& body) {
    return good_upstream + "kms_providers: " + body + "\n" + good_schemas + good_roles + good_listeners;
}
inline std::string schemas(const std::string& body) {
    return good_upstream + good_kms + "schemas: " + body + "\n" + good_roles + good_listeners;
}
// The role `r` with this body.
inline std::string role(const std::string& body) {
    return good_upstream + good_kms + good_schemas + "roles: { r: " + body + " }\n" + good_listeners;
}
inline std::string listeners(const std::string& body) {
    return good_upstream + good_kms + good_schemas + good_roles + "listeners: " + body + "\n";
}

}  // namespace fieldgate::config
