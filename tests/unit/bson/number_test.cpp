#include "proxy/bson/number.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "proxy/bson/builder.hpp"

namespace fieldgate::bson {
namespace {

// What "x" of a document becomes, as JSON of a document with it; empty: nothing.
std::string converted(std::string_view document, Type type) {
    const Buffer bytes = from_json(document).value();
    const auto number = convert_exactly(*DocumentView::unchecked(bytes).find("x"), type);
    if (!number) return {};
    EXPECT_EQ(number->type, type);
    Buffer out{0, 0, 0, 0, static_cast<std::uint8_t>(type), 'x', 0};
    out.insert(out.end(), number->value().begin(), number->value().end());
    out.push_back(0);
    out[0] = static_cast<std::uint8_t>(out.size());
    EXPECT_TRUE(DocumentView::check(out, {}));
    return to_json(out);
}
std::string json(std::string_view document) {
    return to_json(from_json(document).value());
}

TEST(Number, whole_numbers_become_any_type_that_holds_them) {
    const char* const five[] = {R"({"x": {"$numberInt": "5"}})", R"({"x": {"$numberLong": "5"}})",
                                R"({"x": {"$numberDouble": "5.0"}})"};
    for (const char* const from : five) {
        EXPECT_EQ(converted(from, Type::int32), json(five[0]));
        EXPECT_EQ(converted(from, Type::int64), json(five[1]));
        EXPECT_EQ(converted(from, Type::double_), json(five[2]));
        EXPECT_EQ(converted(from, Type::decimal128), json(R"({"x": {"$numberDecimal": "5"}})"));
    }
    EXPECT_EQ(converted(R"({"x": {"$numberDouble": "-7.0"}})", Type::decimal128),
              json(R"({"x": {"$numberDecimal": "-7"}})"));
    EXPECT_EQ(converted(R"({"x": {"$numberLong": "-9223372036854775808"}})", Type::decimal128),
              json(R"({"x": {"$numberDecimal": "-9223372036854775808"}})"));
    EXPECT_EQ(converted(R"({"x": {"$numberLong": "-9223372036854775808"}})", Type::double_),
              json(R"({"x": {"$numberDouble": "-9223372036854775808.0"}})"));
}

TEST(Number, the_first_value_that_does_not_fit_is_left_alone) {
    EXPECT_NE(converted(R"({"x": {"$numberLong": "2147483647"}})", Type::int32), "");
    EXPECT_EQ(converted(R"({"x": {"$numberLong": "2147483648"}})", Type::int32), "");
    EXPECT_NE(converted(R"({"x": {"$numberDouble": "-2147483648.0"}})", Type::int32), "");
    EXPECT_EQ(converted(R"({"x": {"$numberDouble": "-2147483649.0"}})", Type::int32), "");
    EXPECT_EQ(converted(R"({"x": {"$numberDouble": "5.5"}})", Type::int64), "");
    EXPECT_EQ(converted(R"({"x": {"$numberDouble": "NaN"}})", Type::int64), "");
    EXPECT_EQ(converted(R"({"x": {"$numberDouble": "-0.0"}})", Type::int32), "");
    EXPECT_NE(converted(R"({"x": {"$numberDouble": "0.0"}})", Type::int32), "");
    EXPECT_EQ(converted(R"({"x": {"$numberDouble": "9223372036854775808.0"}})", Type::int64), "");
    EXPECT_NE(converted(R"({"x": {"$numberLong": "9007199254740992"}})", Type::double_), "");
    EXPECT_EQ(converted(R"({"x": {"$numberLong": "9007199254740993"}})", Type::double_), "");
    EXPECT_EQ(converted(R"({"x": {"$numberLong": "9223372036854775807"}})", Type::double_), "");
    EXPECT_EQ(converted(R"({"x": {"$numberDouble": "5.5"}})", Type::decimal128), "");
}

TEST(Number, a_double_stays_itself_and_what_is_no_number_becomes_none) {
    EXPECT_EQ(converted(R"({"x": {"$numberDouble": "5.5"}})", Type::double_),
              json(R"({"x": {"$numberDouble": "5.5"}})"));
    EXPECT_EQ(converted(R"({"x": "5"})", Type::int32), "");
    EXPECT_EQ(converted(R"({"x": true})", Type::int32), "");
    EXPECT_EQ(converted(R"({"x": {"$numberDecimal": "5"}})", Type::int32), "");
    EXPECT_EQ(converted(R"({"x": 5})", Type::string), "");
}

}  // namespace
}  // namespace fieldgate::bson
