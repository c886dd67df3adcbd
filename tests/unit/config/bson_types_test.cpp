#include "config/bson_types.hpp"

#include <gtest/gtest.h>

#include <set>

namespace fieldgate::config {
namespace {

TEST(BsonTypes, alias_and_byte_round_trip_for_all_twenty_one_types) {
    std::size_t types = 0;
    for (unsigned byte = 0; byte <= 0xFF; ++byte) {
        const std::string_view alias = bson_type_alias(static_cast<std::uint8_t>(byte));
        if (alias == "unknown") continue;
        ++types;
        EXPECT_EQ(bson_type(alias), static_cast<std::uint8_t>(byte)) << alias;
    }
    EXPECT_EQ(types, 21u);
}

TEST(BsonTypes, an_unknown_alias_has_no_byte) {
    for (const char* alias : {"", "number", "Int", "integer", "boolean", "unknown", "int "})
        EXPECT_EQ(bson_type(alias), std::nullopt) << alias;
}

TEST(BsonTypes, the_matrix_is_that_of_the_specification) {
    const std::set<std::string_view> never{"undefined", "null", "minKey", "maxKey"};
    const std::set<std::string_view> never_deterministic{"double", "object",  "array",
                                                         "bool",   "decimal", "javascriptWithScope"};
    for (unsigned value = 0; value <= 0xFF; ++value) {
        const auto byte = static_cast<std::uint8_t>(value);
        const std::string_view alias = bson_type_alias(byte);
        const bool known = alias != "unknown";
        EXPECT_EQ(may_encrypt(Algorithm::random, byte), known && !never.contains(alias)) << alias;
        EXPECT_EQ(may_encrypt(Algorithm::deterministic, byte),
                  known && !never.contains(alias) && !never_deterministic.contains(alias))
            << alias;
    }
}

}  // namespace
}  // namespace fieldgate::config
