#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "config/extended_json.hpp"
#include "config/json_reader.hpp"
#include "config/schema_builder.hpp"

namespace fieldgate::config {

// Schemas are written with these short words, so that a row stays a line.
inline std::string expand(std::string text) {
    const std::pair<std::string_view, std::string_view> words[] = {
        {"DET", R"("algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Deterministic")"},
        {"RND", R"("algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Random")"},
        {"KEY", R"("keyId": [{"$uuid": "00010203-0405-0607-0809-0a0b0c0d0e0f"}])"},
        {"OBJ", R"("bsonType": "object")"},
    };
    for (const auto& [word, meaning] : words)
        for (std::size_t at = text.find(word); at != std::string::npos;
             at = text.find(word, at + meaning.size()))
            text.replace(at, word.size(), meaning);
    return text;
}

inline BuiltSchema build(const std::string& text, SchemaOrigin origin = SchemaOrigin::local) {
    std::vector<Problem> problems;
    ProblemList list(problems, "s.json");
    auto root = read_json(expand(text), list);
    EXPECT_TRUE(root && problems.empty()) << text;
    if (!root) return {};
    decode_extended_json(*root, list);
    EXPECT_TRUE(problems.empty()) << problems.front().text();
    return build_schema(*root, origin);
}

// A schema whose field `f` has this `encrypt`.
inline BuiltSchema build_field(const std::string& encrypt) {
    return build(R"({OBJ, "properties": {"f": {"encrypt": )" + encrypt + "}}}");
}

inline std::string texts(const BuiltSchema& built) {
    std::string all;
    for (const SchemaProblem& problem : built.problems)
        all += std::to_string(problem.where.line) + " " + problem.path + ": " + problem.what + "\n";
    return all;
}

inline constexpr KeyUuid counting_uuid{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

}  // namespace fieldgate::config
