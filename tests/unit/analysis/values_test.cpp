#include "proxy/analysis/values.hpp"

#include <cmath>
#include <cstdint>
#include <limits>

#include "proxy/analysis/request.hpp"
#include "support.hpp"

namespace fieldgate::analysis::testing {
namespace {

using Nulls = config::ProtectedNamespace::Nulls;
using Strings = std::vector<std::string>;
constexpr auto wrong = code::field_cannot_be_encrypted;
constexpr auto no = code::operation_not_on_encrypted;

class Values : public ::testing::Test {
 protected:
    Outcome insert(const std::string& document) const {
        return variants.analyse(R"({"insert": "patients"})", {{"documents", {document}}});
    }
    Outcome update(const std::string& u, const std::string& more = "", const std::string& q = "{}") const {
        return variants.analyse(R"({"update": "patients"})",
                                {{"updates", {R"({"q": )" + q + R"(, "u": )" + u + more + "}"}}});
    }
    Outcome find(const std::string& filter) const {
        return variants.analyse(R"({"find": "patients", "filter": )" + filter + "}");
    }
    Variants variants;
};

TEST_F(Values, nulls_are_refused_unless_the_namespace_says_otherwise) {
    expect_refusal(insert(R"({"tag": null})"), wrong, "Cannot encrypt element of type: null");
    expect_refusal(insert(R"({"home": {"zip": null}})"), wrong, "'home.zip'");
    expect_refusal(update(R"({"$set": {"any": null}})"), wrong, "of type: null");
    expect_refusal(find(R"({"tag": null})"), no, "Illegal equality to null predicate");
    expect_refusal(find(R"({"any": null})"), no, "randomized");
}

TEST_F(Values, stored_nulls_stay_as_they_are_and_are_found) {
    variants.settings().nulls = Nulls::store;
    for (const std::string document :
         {R"({"tag": null})", R"({"any": null})", R"({"home": {"zip": null}})"}) {
        EXPECT_TRUE(insert(document).passed()) << insert(document);
        EXPECT_TRUE(insert(document).edits.empty());
        EXPECT_TRUE(update(R"({"$set": )" + document + "}").passed());
        EXPECT_TRUE(update(R"({"$setOnInsert": )" + document + "}").passed());
        EXPECT_TRUE(update(document).passed());
    }
    EXPECT_TRUE(variants.use(insert(R"({"tag": null})"), "tag").written);
    EXPECT_FALSE(variants.use(update(R"({"$set": {"home": {"zip": null}}})"), "home.zip").erased);
    expect_refusal(insert(R"({"tag": {"$undefined": true}})"), wrong, "of type: undefined");

    for (const std::string predicate :
         {"null", R"({"$eq": null})", R"({"$ne": null})", R"({"$in": [null]})", R"({"$not": {"$eq": null}})"})
        for (const std::string path : {"tag", "any"}) {
            const Outcome outcome = find("{\"" + path + "\": " + predicate + "}");
            EXPECT_TRUE(outcome.passed()) << outcome;
            EXPECT_TRUE(outcome.edits.empty());
            EXPECT_TRUE(variants.use(outcome, path).matched);
        }
    EXPECT_EQ(find(R"({"tag": {"$in": [null, "x"]}})").edits, Strings{"filter.tag.$in[1]=encrypt tag"});
    expect_refusal(find(R"({"any": {"$in": [null, "x"]}})"), no, "randomized");
    EXPECT_EQ(find(R"({"club": {"zip": null}})").edits, Strings{});
    EXPECT_TRUE(update(R"({"$set": {"x": 1}})", R"(, "upsert": true)", R"({"tag": null})").passed());
}

TEST_F(Values, omitted_nulls_are_left_out_of_documents) {
    variants.settings().nulls = Nulls::omit;
    EXPECT_EQ(insert(R"({"a": 1, "tag": null, "home": {"zip": null, "town": "x"}})").edits,
              (Strings{"documents[0].tag=remove tag", "documents[0].home.zip=remove home.zip",
                       "documents[0].home.town=encrypt home.town"}));
    EXPECT_TRUE(variants.use(insert(R"({"tag": null})"), "tag").written);
    EXPECT_EQ(update(R"({"tag": null, "whole": 5})").edits,
              (Strings{"updates[0].u.tag=remove tag", "updates[0].u.whole=encrypt whole"}));
    EXPECT_EQ(update(R"({"$setOnInsert": {"tag": null}})").edits,
              Strings{"updates[0].u.$setOnInsert.tag=remove tag"});
    const Outcome parent = update(R"({"$set": {"home": {"zip": null, "town": "x"}}})");
    EXPECT_EQ(parent.edits, (Strings{"updates[0].u.$set.home.zip=remove home.zip",
                                     "updates[0].u.$set.home.town=encrypt home.town"}));
    EXPECT_TRUE(variants.use(parent, "home.zip").erased);
    EXPECT_FALSE(variants.use(parent, "home.town").erased);
    // Without the element the stored value would stay.
    for (const std::string path : {"tag", "home.zip", "any"})
        expect_refusal(update(R"({"$set": {"x": 1, ")" + path + R"(": null}})"), wrong,
                       "use $unset for field '" + path + "'");
}

TEST_F(Values, omitted_nulls_are_found_as_missing_fields) {
    variants.settings().nulls = Nulls::omit;
    for (const std::string predicate :
         {"null", R"({"$eq": null})", R"({"$ne": null})", R"({"$nin": [null]})"})
        EXPECT_TRUE(find(R"({"tag": )" + predicate + "}").passed()) << predicate;
    // A document without the field is not equal to one with a null in it.
    expect_refusal(find(R"({"club": {"zip": null}})"), no, "Illegal equality to null");
    for (const std::string q : {R"({"tag": null})", R"({"$and": [{"tag": {"$eq": null}}]})"}) {
        expect_refusal(update(R"({"$set": {"x": 1}})", R"(, "upsert": true)", q), no, "`nulls: omit`");
        EXPECT_TRUE(update(R"({"$set": {"x": 1}})", "", q).passed());
    }
    for (const std::string q : {R"({"tag": {"$ne": null}})", R"({"tag": {"$in": [null]}})"})
        EXPECT_TRUE(update(R"({"$set": {"x": 1}})", R"(, "upsert": true)", q).passed());
    // What one statement compares is nothing to the next.
    EXPECT_TRUE(
        variants
            .analyse(R"({"update": "patients", "updates": [{"q": {"tag": null}, "u": {"$set": {"x": 1}}},
                        {"q": {"tag": "x"}, "u": {"$set": {"x": 1}}, "upsert": true}]})")
            .passed());
}

TEST_F(Values, a_protected_id_is_not_left_out) {
    variants.schema->root_.add_child("_id").field = variants.field("tag");
    for (const Nulls nulls : {Nulls::refuse, Nulls::omit}) {
        variants.settings().nulls = nulls;
        EXPECT_TRUE(insert(R"({"_id": null})").refused());
        EXPECT_TRUE(insert(R"({"x": 1})").refused());
        EXPECT_TRUE(insert(R"({"_id": "x"})").passed());
    }
}

struct Number {
    bson::Type type;
    double as_double = 0;
    std::int64_t as_integer = 0;
};

Number dbl(double value) {
    return {bson::Type::double_, value, 0};
}
Number i32(std::int32_t value) {
    return {bson::Type::int32, 0, value};
}
Number i64(std::int64_t value) {
    return {bson::Type::int64, 0, value};
}

void append(bson::Builder& builder, const std::string& key, const Number& number) {
    if (number.type == bson::Type::double_)
        builder.append_double(key, number.as_double);
    else if (number.type == bson::Type::int32)
        builder.append_int32(key, static_cast<std::int32_t>(number.as_integer));
    else
        builder.append_int64(key, number.as_integer);
}

struct Coercion {
    std::string field;
    Number number;
    bool fits;
};

std::vector<Coercion> coercions() {
    constexpr std::int64_t two_to_53 = std::int64_t{1} << 53;
    constexpr std::int64_t int64_max = std::numeric_limits<std::int64_t>::max();
    constexpr std::int64_t int64_min = std::numeric_limits<std::int64_t>::min();
    constexpr double two_to_63 = 9223372036854775808.0;
    const double nan = std::nan("");
    const double infinity = std::numeric_limits<double>::infinity();
    return {
        {"whole", dbl(0.0), true},
        {"whole", dbl(5.0), true},
        {"whole", i64(5), true},
        {"whole", dbl(2147483647.0), true},
        {"whole", dbl(2147483648.0), false},
        {"whole", dbl(-2147483648.0), true},
        {"whole", dbl(-2147483649.0), false},
        {"whole", i64(2147483647), true},
        {"whole", i64(2147483648), false},
        {"whole", i64(-2147483648LL), true},
        {"whole", i64(-2147483649LL), false},
        {"whole", dbl(5.5), false},
        {"whole", dbl(-0.0), false},
        {"whole", dbl(nan), false},
        {"whole", dbl(infinity), false},
        {"whole", dbl(-infinity), false},
        {"whole", dbl(std::numeric_limits<double>::denorm_min()), false},
        {"long", i32(-5), true},
        {"long", dbl(static_cast<double>(two_to_53)), true},
        {"long", dbl(static_cast<double>(two_to_53) + 2), true},
        {"long", dbl(std::nextafter(two_to_63, 0)), true},
        {"long", dbl(two_to_63), false},
        {"long", dbl(-two_to_63), true},
        {"long", dbl(std::nextafter(-two_to_63, -infinity)), false},
        {"long", dbl(0.5), false},
        {"long", dbl(-0.0), false},
        {"long", dbl(nan), false},
        {"long", dbl(infinity), false},
        {"ratio", i32(std::numeric_limits<std::int32_t>::min()), true},
        {"ratio", i64(two_to_53), true},
        {"ratio", i64(two_to_53 + 1), false},
        {"ratio", i64(two_to_53 + 2), true},
        {"ratio", i64(-two_to_53), true},
        {"ratio", i64(-two_to_53 - 1), false},
        {"ratio", i64(int64_max), false},
        {"ratio", i64(int64_max - 1023), true},
        {"ratio", i64(int64_max - 511), false},
        {"ratio", i64(int64_min), true},
        {"ratio", i64(int64_min + 1), false},
        {"exact", i32(5), false},  // decimals are left alone
        {"exact", dbl(5), false},
        {"mixed", dbl(5), false},  // which of the two would it be
        {"tag", i32(5), false},
    };
}

TEST_F(Values, numbers_become_the_schemas_type_if_it_holds_them_exactly) {
    for (const bool coerces : {true, false}) {
        variants.settings().coerce_numbers = coerces;
        for (const Coercion& each : coercions()) {
            SCOPED_TRACE(each.field + " " + std::to_string(each.number.as_double) + " " +
                         std::to_string(each.number.as_integer));
            const config::EncryptedField& field = variants.schema->fields()[variants.field(each.field)];
            const std::string type(bson::alias(static_cast<bson::Type>(field.bson_types[0])));
            const auto expect = [&](const bson::Buffer& body, const std::string& at) {
                const Outcome outcome = variants.analyse(body);
                if (each.fits && coerces) {
                    EXPECT_EQ(outcome.edits, Strings{at + "=encrypt " + each.field + " as " + type})
                        << outcome;
                } else {
                    expect_refusal(
                        outcome, wrong,
                        "Cannot encrypt element of type: " + std::string(bson::alias(each.number.type)) +
                            " because schema requires that type is one of: [ " + type);
                }
            };
            bson::Buffer stored;
            bson::Builder store(stored);
            store.append_string("insert", "patients").open_array("documents").open_document("0");
            append(store, each.field, each.number);
            store.close().close().append_string("$db", "medicalRecords").finish();
            expect(stored, "documents[0]." + each.field);
            if (field.algorithm == config::Algorithm::random) continue;
            bson::Buffer queried;
            bson::Builder query(queried);
            query.append_string("find", "patients").open_document("filter");
            append(query, each.field, each.number);
            query.close().append_string("$db", "medicalRecords").finish();
            expect(queried, "filter." + each.field);
        }
    }
}

TEST_F(Values, numbers_of_the_right_type_and_other_values_are_never_converted) {
    variants.settings().coerce_numbers = true;
    EXPECT_EQ(
        insert(R"({"whole": 5, "long": {"$numberLong": "5"}, "ratio": 5.0, "mixed": {"$numberLong": "5"}})")
            .edits,
        (Strings{"documents[0].whole=encrypt whole", "documents[0].long=encrypt long",
                 "documents[0].ratio=encrypt ratio", "documents[0].mixed=encrypt mixed"}));
    EXPECT_EQ(insert(R"({"any": 5.0})").edits, Strings{"documents[0].any=encrypt any"});
    for (const std::string value :
         {R"("5")", "true", R"({"$numberDecimal": "5"})", R"({"$date": "1970-01-01T00:00:00Z"})"})
        expect_refusal(insert(R"({"whole": )" + value + "}"), wrong, "[ int ]");
    EXPECT_EQ(find(R"({"club": {"zip": 5}, "whole": {"$in": [1.0, 2]}})").edits,
              (Strings{"filter.club.zip=encrypt club.zip as long", "filter.whole.$in[0]=encrypt whole as int",
                       "filter.whole.$in[1]=encrypt whole"}));
}

TEST_F(Values, a_json_pointer_takes_the_keys_name_from_the_inserted_document) {
    const auto key_of = [&](const std::string& document) -> std::string {
        const Outcome outcome = insert(document);
        EXPECT_TRUE(outcome.passed()) << document << outcome;
        if (outcome.plan.edit_keys.size() != 1 || outcome.plan.edits.empty()) return "no key";
        EXPECT_EQ(outcome.plan.edit_keys[0].offset, outcome.plan.edits[0].offset);
        return outcome.edits[0];
    };
    EXPECT_EQ(key_of(R"({"secret": "s", "key": {"name": "alice"}})"), "documents[0].secret=encrypt secret");
    EXPECT_EQ(key_of(R"({"key": {"name": "alice"}, "secret": "s"})"), "documents[0].secret=encrypt secret");
    EXPECT_EQ(key_of(R"({"owner": "bob", "deep": {"secret": "s"}})"),
              "documents[0].deep.secret=encrypt deep.secret");
    EXPECT_EQ(key_of(R"({"secret": )" + ciphertext(2, 1, 2) + R"(, "key": {"name": "alice"}})"),
              "documents[0].secret=verify secret");
    // No value, no key.
    EXPECT_TRUE(insert(R"({"key": {"name": 5}, "owner": null})").plan.edit_keys.empty());

    const Outcome several = variants.analyse(
        R"({"insert": "patients", "documents": [{"secret": "a", "deep": {"secret": "b"}, "owner": "o", "key": {"name": "k"}}, {"whole": 5},
            {"owner": "p", "deep": {"secret": "c"}}]})");
    ASSERT_EQ(several.plan.edits.size(), 4u) << several;
    ASSERT_EQ(several.plan.edit_keys.size(), 3u);
    EXPECT_EQ(several.plan.edit_keys[0].offset, several.plan.edits[0].offset);
    EXPECT_EQ(several.plan.edit_keys[1].offset, several.plan.edits[1].offset);
    EXPECT_EQ(several.plan.edit_keys[2].offset, several.plan.edits[3].offset);
}

TEST_F(Values, the_name_of_a_key_is_the_strings_bytes) {
    const bson::Buffer body = json(
        R"({"insert": "patients", "documents": [{"secret": "s", "key": {"name": "alice"}}], "$db": "medicalRecords"})");
    wire::Buffer frame(20, 0);
    frame[12] = 0xDD;
    frame[13] = 0x07;
    frame.push_back(0);
    frame.insert(frame.end(), body.begin(), body.end());
    frame[0] = static_cast<std::uint8_t>(frame.size());
    frame[1] = static_cast<std::uint8_t>(frame.size() >> 8);
    const auto message = wire::OpMsg::parse(frame);
    ASSERT_TRUE(message);
    RequestAnalysis analysis(*message, Context{variants.config, variants.catalog});
    ASSERT_EQ(analysis.step(1u << 20), RequestAnalysis::Step::done);
    ASSERT_EQ(analysis.plan().edit_keys.size(), 1u);
    EXPECT_EQ(analysis.plan().edit_keys[0].alt_name, "alice");
}

TEST_F(Values, a_json_pointer_to_anything_but_a_name_is_refused) {
    const std::string named = "The key of encrypted field 'secret' is named by the JSON pointer '/key/name'";
    for (const std::string rest :
         {"", R"(, "key": null)", R"(, "key": {})", R"(, "key": "alice")", R"(, "key": {"name": ""})",
          R"(, "key": {"name": 5})", R"(, "key": {"name": null})", R"(, "key": {"name": ["alice"]})",
          R"(, "key": [{"name": "alice"}])", R"(, "key.name": "alice")",
          R"(, "key": {"name": "a", "name": "b"})", R"(, "key": {"name": "a"}, "key": {"name": "b"})",
          R"(, "key": {"name": "a\u0000b"})"})
        expect_refusal(insert(R"({"secret": "s")" + rest + "}"), code::bad_value, named);
    variants.schema->root_.add_child("key").add_child("name").field = variants.field("tag");
    expect_refusal(insert(R"({"secret": "s", "key": {"name": "alice"}})"), code::bad_value,
                   "itself encrypted");
    variants.schema->root_.add_child("owner").unknown = true;
    expect_refusal(insert(R"({"deep": {"secret": "s"}, "owner": "bob"})"), code::bad_value, "");
    expect_refusal(insert(R"({"secret": 5, "key": {"name": "alice"}})"), wrong, "[ string ]");
}

TEST_F(Values, the_name_of_a_key_is_valid_utf8) {
    for (const std::string name : {"ali\xC3\xA7"
                                   "e",
                                   "ali\xFF"
                                   "ce"}) {
        bson::Buffer body;
        bson::Builder builder(body);
        builder.append_string("insert", "patients").open_array("documents").open_document("0");
        builder.append_string("secret", "s")
            .append_string("x", "y")
            .open_document("key")
            .append_string("name", name);
        builder.close().close().close().append_string("$db", "medicalRecords").finish();
        EXPECT_EQ(variants.analyse(body).passed(), is_utf8(name)) << variants.analyse(body);
    }
}

TEST_F(Values, a_json_pointer_serves_inserts_only) {
    const std::string text = "A non-static (JSONPointer) keyId is not supported";
    for (const std::string u :
         {R"({"$set": {"secret": "s", "key": {"name": "a"}}})", R"({"$setOnInsert": {"secret": "s"}})",
          R"({"$set": {"deep": {"secret": "s"}}})", R"({"secret": "s", "key": {"name": "a"}})",
          R"({"deep": {"secret": null}, "owner": "a"})"}) {
        expect_refusal(update(u), no, text);
        expect_refusal(update(u, R"(, "upsert": true)"), no, text);
    }
    EXPECT_TRUE(update(R"({"$unset": {"secret": ""}})").passed());
    EXPECT_TRUE(find(R"({"secret": {"$exists": true}})").passed());
    expect_refusal(find(R"({"secret": "s"})"), no, "randomized");
    variants.schema->fields_[variants.field("secret")].algorithm = config::Algorithm::deterministic;
    for (const std::string predicate : {R"("s")", R"({"$ne": "s"})", R"({"$in": ["s"]})"})
        expect_refusal(find(R"({"secret": )" + predicate + "}"), no, text);
    for (const std::string key : {"secret", "deep"})
        expect_refusal(
            variants.analyse(R"({"distinct": "patients", "key": ")" + key + "\"}"), no,
            "The distinct key is not allowed to be marked for encryption with a non-UUID keyId: '" + key);
}

}  // namespace
}  // namespace fieldgate::analysis::testing
