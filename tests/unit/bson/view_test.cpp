#include "proxy/bson/view.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "proxy/bson/error.hpp"
#include "tests/unit/bson/samples.hpp"

namespace fieldgate::bson {
namespace {

using namespace samples;

boost::system::error_code check_error(const Buffer& bytes, const Limits& limits = {}) {
    return DocumentView::check(bytes, limits).error();
}

Buffer with_value(Type type, const Buffer& value, std::string_view key = "k") {
    Buffer document;
    Builder(document).append_value(key, type, value).finish();
    return document;
}

TEST(DocumentView, accepts_every_type_and_gives_its_elements_back) {
    const Buffer document = every_type();
    const auto view = DocumentView::check(document, Limits{});
    ASSERT_TRUE(view) << view.error().message();
    const std::vector<NamedValue> expected = one_value_of_each_type();
    std::size_t index = 0;
    std::size_t offset = 4;
    for (const Element element : *view) {
        ASSERT_LT(index, expected.size());
        SCOPED_TRACE(expected[index].name);
        EXPECT_EQ(element.key(), expected[index].name);
        EXPECT_EQ(element.type(), expected[index].type);
        EXPECT_EQ(Buffer(element.value().begin(), element.value().end()), expected[index].value);
        EXPECT_EQ(element.raw().data(), document.data() + offset);
        offset += element.raw().size();
        ++index;
    }
    EXPECT_EQ(index, expected.size());
    EXPECT_EQ(offset + 1, document.size());
}

TEST(DocumentView, refuses_every_truncation_of_every_type) {
    const Buffer document = every_type();
    for (std::size_t size = 0; size < document.size(); ++size) {
        SCOPED_TRACE(size);
        Buffer cut(document.begin(), document.begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_FALSE(DocumentView::check(cut, Limits{}));
        EXPECT_FALSE(DocumentView::check_top_level(cut));
        // The same with a length and terminator that pretend that all is well.
        if (size < 5) continue;
        const Buffer length = le32(static_cast<std::uint32_t>(size));
        std::copy(length.begin(), length.end(), cut.begin());
        cut.back() = 0;
        const auto view = DocumentView::check(cut, Limits{});
        if (!view) continue;
        // Only a cut between two elements leaves a document.
        std::size_t at = 4;
        for (const Element element : *view) at += element.raw().size();
        EXPECT_EQ(at + 1, size);
    }
}

TEST(DocumentView, refuses_each_type_one_byte_short_or_long) {
    for (const NamedValue& sample : one_value_of_each_type()) {
        SCOPED_TRACE(sample.name);
        if (!sample.value.empty()) {
            Buffer shorter = sample.value;
            shorter.pop_back();
            EXPECT_TRUE(check_error(with_value(sample.type, shorter)));
        }
        Buffer longer = sample.value;
        longer.push_back(0);
        EXPECT_TRUE(check_error(with_value(sample.type, longer)));
    }
}

// Goal: a length that is off by one anywhere is seen. Method: every int32 length inside a value, plus and
// minus one.
TEST(DocumentView, refuses_lengths_off_by_one) {
    struct Case {
        const char* name;
        Type type;
        Buffer value;
        std::size_t length_at;
    };
    Buffer scope;
    Builder(scope).append_int32("x", 1).finish();
    Buffer deep;
    Builder(deep).open_array("a").open_document("0").append_string("s", "text").close().close().finish();
    const std::vector<Case> cases = {
        {"string", Type::string, bson_string("abc"), 0},
        {"javascript", Type::javascript, bson_string("abc"), 0},
        {"symbol", Type::symbol, bson_string("abc"), 0},
        {"db_pointer", Type::db_pointer, bson_string("db.c") + Buffer(12, 0xCD), 0},
        {"document", Type::document, deep, 0},
        {"array inside", Type::document, deep, 7},
        {"document in array inside", Type::document, deep, 14},
        {"string inside", Type::document, deep, 21},
        {"binary", Type::binary, le32(3) + Buffer{0, 1, 2, 3}, 0},
        {"old binary, outer", Type::binary, le32(7) + Buffer{2} + le32(3) + Buffer{1, 2, 3}, 0},
        {"old binary, inner", Type::binary, le32(7) + Buffer{2} + le32(3) + Buffer{1, 2, 3}, 5},
        {"code with scope, total", Type::javascript_with_scope, code_with_scope("g()", scope), 0},
        {"code with scope, code", Type::javascript_with_scope, code_with_scope("g()", scope), 4},
        {"code with scope, scope", Type::javascript_with_scope, code_with_scope("g()", scope), 12},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.name);
        ASSERT_FALSE(check_error(with_value(c.type, c.value)));
        for (const std::uint32_t off : {1u, 0xFFFFFFFFu}) {
            Buffer wrong = c.value;
            const Buffer length = le32(detail::load_u32(c.value.data() + c.length_at) + off);
            std::copy(length.begin(), length.end(), wrong.begin() + static_cast<std::ptrdiff_t>(c.length_at));
            EXPECT_TRUE(check_error(with_value(c.type, wrong)));
        }
        for (const std::uint32_t hostile : {0u, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFFu}) {
            Buffer wrong = c.value;
            const Buffer length = le32(hostile);
            std::copy(length.begin(), length.end(), wrong.begin() + static_cast<std::ptrdiff_t>(c.length_at));
            EXPECT_TRUE(check_error(with_value(c.type, wrong))) << hostile;
        }
    }
}

TEST(DocumentView, names_what_is_wrong) {
    struct Case {
        const char* name;
        Buffer bytes;
        Errc expected;
    };
    Buffer bad_scope_content = empty_document();
    Builder(bad_scope_content = {}).append_value("s", Type::boolean, Buffer{2}).finish();
    const std::vector<Case> cases = {
        {"no bytes", {}, Errc::document_too_short},
        {"four bytes", {4, 0, 0, 0}, Errc::document_too_short},
        {"length 4", {4, 0, 0, 0, 0}, Errc::document_too_short},
        {"length one above", {6, 0, 0, 0, 0}, Errc::document_length_mismatch},
        {"length one below", {5, 0, 0, 0, 0, 0}, Errc::document_length_mismatch},
        {"negative length", {0xFF, 0xFF, 0xFF, 0xFF, 0}, Errc::document_length_mismatch},
        {"no terminator", {5, 0, 0, 0, 1}, Errc::document_unterminated},
        {"terminator before the end", {6, 0, 0, 0, 0, 0}, Errc::document_length_mismatch},
        {"key without end", {8, 0, 0, 0, 0x0A, 'k', 'k', 0}, Errc::key_unterminated},
        {"type without key", {6, 0, 0, 0, 0x0A, 0}, Errc::key_unterminated},
        {"type 0x14", {8, 0, 0, 0, 0x14, 'k', 0, 0}, Errc::unknown_type},
        {"type 0x80", {8, 0, 0, 0, 0x80, 'k', 0, 0}, Errc::unknown_type},
        {"boolean 2", with_value(Type::boolean, {2}), Errc::boolean_malformed},
        {"boolean 255", with_value(Type::boolean, {255}), Errc::boolean_malformed},
        {"string without terminator", with_value(Type::string, le32(2) + text("ab")), Errc::string_malformed},
        {"string of length 0", with_value(Type::string, le32(0)), Errc::string_malformed},
        {"regex without options", with_value(Type::regex, text("a") + Buffer{0} + text("i")),
         Errc::value_truncated},
        {"old binary of length 3", with_value(Type::binary, le32(3) + Buffer{2, 0, 0, 0}),
         Errc::binary_malformed},
        {"boolean 2 inside a scope",
         with_value(Type::javascript_with_scope, code_with_scope("f", bad_scope_content)),
         Errc::boolean_malformed},
        {"inner document of length 4", with_value(Type::document, {4, 0, 0, 0, 0}), Errc::document_too_short},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.name);
        EXPECT_EQ(check_error(c.bytes), c.expected) << check_error(c.bytes).message();
    }
}

TEST(DocumentView, knows_no_other_types_than_bson_has) {
    std::size_t known = 0;
    for (int type = 0; type <= 0xFF; ++type) {
        const bool has_alias = alias(static_cast<Type>(type)) != "unknown";
        const auto size = value_size(static_cast<Type>(type), Buffer(64, 0));
        EXPECT_EQ(has_alias, size || size.error() != Errc::unknown_type) << type;
        known += has_alias ? 1u : 0u;
    }
    EXPECT_EQ(known, 21u);
}

TEST(DocumentView, accepts_nesting_up_to_the_limit_and_refuses_one_more) {
    for (const Type type : {Type::document, Type::array}) {
        EXPECT_FALSE(check_error(nested(100, type)));
        EXPECT_EQ(check_error(nested(101, type)), Errc::nested_too_deep);
        EXPECT_FALSE(check_error(nested(0, type), Limits{0}));
        EXPECT_EQ(check_error(nested(1, type), Limits{0}), Errc::nested_too_deep);
        // Above what the walk holds without allocating.
        EXPECT_FALSE(check_error(nested(1000, type), Limits{1000}));
        EXPECT_EQ(check_error(nested(1001, type), Limits{1000}), Errc::nested_too_deep);
    }
}

TEST(DocumentView, counts_the_scope_of_code_as_a_level) {
    const Buffer document = with_value(Type::javascript_with_scope, code_with_scope("f", nested(2)));
    EXPECT_FALSE(check_error(document, Limits{3}));
    EXPECT_EQ(check_error(document, Limits{2}), Errc::nested_too_deep);
}

TEST(DocumentView, counts_depth_and_not_documents) {
    Buffer document;
    Builder builder(document);
    for (int i = 0; i < 300; ++i) builder.open_document("d").close();
    builder.finish();
    EXPECT_FALSE(check_error(document, Limits{1}));
}

// Goal: depth never costs stack. Method: 100,000 levels, refused by limit and walked without one.
TEST(DocumentView, survives_a_hundred_thousand_levels) {
    const Buffer document = nested(100000);
    EXPECT_EQ(check_error(document), Errc::nested_too_deep);
    EXPECT_FALSE(check_error(document, Limits{100000}));
    EXPECT_EQ(check_error(document, Limits{99999}), Errc::nested_too_deep);
    EXPECT_TRUE(DocumentView::check_top_level(document));
}

TEST(DocumentView, top_level_check_does_not_look_inside) {
    const Buffer inner = with_value(Type::boolean, {2});
    const Buffer outer = with_value(Type::document, inner);
    EXPECT_TRUE(DocumentView::check_top_level(outer));
    EXPECT_EQ(check_error(outer), Errc::boolean_malformed);
    EXPECT_EQ(DocumentView::check_top_level(inner).error(), Errc::boolean_malformed);
}

TEST(DocumentView, tells_whether_a_ciphertext_is_anywhere_inside) {
    struct Case {
        const char* name;
        Buffer document;
        bool expected;
    };
    Buffer at_top;
    Builder(at_top).append_binary("b", 6, Buffer{1, 2}).finish();
    Buffer deep;
    Builder(deep).open_array("a").open_document("0").append_binary("b", 6, {}).close().close().finish();
    Buffer other;
    Builder(other).append_binary("b", 5, Buffer{6, 6}).append_binary("c", 0, Buffer{6}).finish();
    const Case cases[] = {
        {"top", at_top, true},
        {"deep", deep, true},
        {"in the scope of code", with_value(Type::javascript_with_scope, code_with_scope("f", at_top)), true},
        {"other subtypes", other, false},
        {"none", patient(), false},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.name);
        Facts facts;
        ASSERT_TRUE(DocumentView::check(c.document, Limits{}, &facts));
        EXPECT_EQ(facts.has_encrypted_binary, c.expected);
    }
}

TEST(DocumentView, finds_the_first_of_a_name_and_counts_all) {
    Buffer document;
    Builder(document)
        .append_int32("a", 1)
        .append_int32("b", 2)
        .append_int32("a", 3)
        .append_int32("", 4)
        .finish();
    const auto view = DocumentView::check(document, Limits{});
    ASSERT_TRUE(view);
    EXPECT_EQ(view->find("a")->int32(), 1);
    EXPECT_EQ(view->find("")->int32(), 4);
    EXPECT_FALSE(view->find("aa"));
    EXPECT_EQ(view->count("a"), 2u);
    EXPECT_EQ(view->count("c"), 0u);
}

TEST(DocumentView, is_empty_when_it_has_no_element) {
    EXPECT_TRUE(DocumentView().empty());
    EXPECT_EQ(DocumentView().begin(), DocumentView().end());
    const Buffer document = empty_document();
    const auto view = DocumentView::check(document, Limits{});
    ASSERT_TRUE(view);
    EXPECT_TRUE(view->empty());
    EXPECT_EQ(view->begin(), view->end());
    const Buffer filled = patient();
    EXPECT_FALSE(DocumentView::check(filled, Limits{})->empty());
}

TEST(Element, reads_values_by_type) {
    Buffer document;
    Builder(document)
        .append_string("s", std::string_view("a\0b", 3))
        .append_int64("l", -5000000000)
        .append_bool("t", true)
        .append_binary("b", 4, Buffer{9, 8})
        .append_date("d", -1)
        .open_document("o")
        .append_int32("x", -2)
        .close()
        .finish();
    const auto view = DocumentView::check(document, Limits{});
    ASSERT_TRUE(view);
    EXPECT_EQ(view->find("s")->string(), std::string_view("a\0b", 3));
    EXPECT_EQ(view->find("l")->int64(), -5000000000);
    EXPECT_TRUE(view->find("t")->boolean());
    EXPECT_EQ(view->find("b")->binary().subtype, 4);
    EXPECT_EQ(view->find("b")->binary().data.size(), 2u);
    EXPECT_EQ(view->find("d")->int64(), -1);
    EXPECT_EQ(view->find("o")->document().find("x")->int32(), -2);
}

TEST(Element, whole_number_takes_numbers_without_fraction_within_int64) {
    struct Case {
        double value;
        std::optional<std::int64_t> expected;
    };
    const Case cases[] = {
        {0.0, 0},
        {-0.0, 0},
        {5.0, 5},
        {-9223372036854775808.0, std::numeric_limits<std::int64_t>::min()},
        {9223372036854774784.0, 9223372036854774784},
        {9223372036854775808.0, std::nullopt},
        {-9223372036854777856.0, std::nullopt},
        {0.5, std::nullopt},
        {std::numeric_limits<double>::infinity(), std::nullopt},
        {std::numeric_limits<double>::quiet_NaN(), std::nullopt},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.value);
        Buffer document;
        Builder(document).append_double("n", c.value).finish();
        EXPECT_EQ(DocumentView::check(document, Limits{})->find("n")->whole_number(), c.expected);
    }
    Buffer document;
    Builder(document)
        .append_int32("i", -3)
        .append_int64("l", 4)
        .append_string("s", "5")
        .append_bool("b", true)
        .finish();
    const auto view = DocumentView::check(document, Limits{});
    EXPECT_EQ(view->find("i")->whole_number(), -3);
    EXPECT_EQ(view->find("l")->whole_number(), 4);
    EXPECT_FALSE(view->find("s")->whole_number());
    EXPECT_FALSE(view->find("b")->whole_number());
}

TEST(Element, truthy_is_true_for_true_and_for_numbers_but_zero) {
    const auto truthy = [](Type type, const Buffer& value) {
        const Buffer document = with_value(type, value);
        return DocumentView::check(document, Limits{})->find("k")->truthy();
    };
    EXPECT_TRUE(truthy(Type::boolean, {1}));
    EXPECT_FALSE(truthy(Type::boolean, {0}));
    EXPECT_TRUE(truthy(Type::int32, le32(2)));
    EXPECT_FALSE(truthy(Type::int32, le32(0)));
    EXPECT_TRUE(truthy(Type::int64, Buffer(8, 1)));
    EXPECT_FALSE(truthy(Type::int64, Buffer(8, 0)));
    EXPECT_FALSE(truthy(Type::double_, {0, 0, 0, 0, 0, 0, 0, 0x80}));
    EXPECT_TRUE(truthy(Type::double_, {0, 0, 0, 0, 0, 0, 0xF8, 0x7F}));
    Buffer decimal(16, 0);
    decimal[15] = 0x30;
    decimal[14] = 0x40;
    EXPECT_FALSE(truthy(Type::decimal128, decimal));
    decimal[0] = 1;
    EXPECT_TRUE(truthy(Type::decimal128, decimal));
    Buffer infinity(16, 0);
    infinity[15] = 0x78;
    EXPECT_TRUE(truthy(Type::decimal128, infinity));
    EXPECT_FALSE(truthy(Type::string, bson_string("true")));
    EXPECT_FALSE(truthy(Type::null, {}));
}

TEST(CheckValue, takes_exactly_one_whole_value) {
    for (const NamedValue& sample : one_value_of_each_type()) {
        SCOPED_TRACE(sample.name);
        EXPECT_FALSE(check_value(sample.type, sample.value, Limits{}));
        EXPECT_EQ(check_value(sample.type, sample.value + Buffer{0}, Limits{}), Errc::trailing_bytes);
        if (sample.value.empty()) continue;
        Buffer shorter = sample.value;
        shorter.pop_back();
        EXPECT_TRUE(check_value(sample.type, shorter, Limits{}));
    }
    EXPECT_EQ(check_value(static_cast<Type>(0), {}, Limits{}), Errc::unknown_type);
}

TEST(CheckValue, looks_inside_documents_arrays_and_scopes) {
    const Buffer wrong = with_value(Type::boolean, {2});
    EXPECT_EQ(check_value(Type::document, wrong, Limits{}), Errc::boolean_malformed);
    EXPECT_EQ(check_value(Type::array, wrong, Limits{}), Errc::boolean_malformed);
    EXPECT_EQ(check_value(Type::javascript_with_scope, code_with_scope("f", wrong), Limits{}),
              Errc::boolean_malformed);
}

TEST(CheckValue, counts_the_value_itself_as_a_level) {
    EXPECT_FALSE(check_value(Type::document, nested(99), Limits{}));
    EXPECT_EQ(check_value(Type::document, nested(100), Limits{}), Errc::nested_too_deep);
    EXPECT_EQ(check_value(Type::array, empty_document(), Limits{0}), Errc::nested_too_deep);
    EXPECT_EQ(check_value(Type::javascript_with_scope, code_with_scope("f", nested(100)), Limits{}),
              Errc::nested_too_deep);
}

TEST(BsonErrc, has_a_sentence_for_each_value) {
    for (int value = 0; value <= static_cast<int>(Errc::too_many_values); ++value) {
        EXPECT_NE(make_error_code(static_cast<Errc>(value)).message(), "unknown BSON error") << value;
    }
    EXPECT_EQ(make_error_code(static_cast<Errc>(1000)).message(), "unknown BSON error");
}

}  // namespace
}  // namespace fieldgate::bson
