#include "config/name_pattern.hpp"
#include "support.hpp"

namespace fieldgate::analysis::testing {
namespace {

// Schemas with `patternProperties`, where every name of a message may be that of an encrypted field: what a
// name costs must not depend on how many there are.
class PatternCost : public ::testing::Test {
 protected:
    PatternCost() { add_pattern("^secret", config::KeyUuid{1}); }

    void add_pattern(const std::string& text, config::KeyReference key) {
        clinic.schema->root_.add_pattern(config::NamePattern::compile(text).pattern).field =
            static_cast<std::uint16_t>(clinic.schema->fields_.size());
        clinic.schema->fields_.push_back(
            {"/" + text + "/", config::Algorithm::random, std::move(key), {0x10}});
    }
    static void append_names(bson::Builder& builder, std::size_t count, std::int32_t value,
                             const std::string& prefix = "secret") {
        for (std::size_t i = 0; i < count; ++i) builder.append_int32(prefix + std::to_string(i), value);
    }
    Outcome project(std::size_t count, std::int32_t value, bool of_find = false) const {
        bson::Buffer bytes;
        bson::Builder b(bytes);
        if (of_find) {
            b.append_string("find", "patients").open_document("projection");
            append_names(b, count, value);
        } else {
            b.append_string("aggregate", "patients").open_array("pipeline").open_document("0");
            b.open_document("$project");
            append_names(b, count, value);
            b.close().close();
        }
        b.close().append_string("$db", "medicalRecords").finish();
        return clinic.analyse(bytes);
    }
    template <class Append>
    Outcome insert(const Append& append) const {
        bson::Buffer bytes;
        bson::Builder b(bytes);
        b.append_string("insert", "patients").open_array("documents").open_document("0");
        append(b);
        b.close().close().append_string("$db", "medicalRecords").finish();
        return clinic.analyse(bytes);
    }
    // Comparing each of so many names with all others takes minutes.
    static constexpr std::size_t many = 200000;

    Clinic clinic;
};

TEST_F(PatternCost, a_projection_keeps_and_takes_a_bounded_number_of_names) {
    for (const std::int32_t value : {0, 1}) {
        EXPECT_TRUE(project(2000, value).passed());
        // One more than a tree's node can have children among them.
        for (const std::size_t count : {std::size_t{20000}, std::size_t{config::no_field} + 1, many})
            expect_refusal(project(count, value), code::command_not_supported,
                           "copies documents with encrypted fields");
        // That of a find leaves the tree as it is.
        EXPECT_TRUE(project(many, value, true).passed());
    }
}

TEST_F(PatternCost, documents_may_have_any_number_of_encrypted_names) {
    const Outcome outcome = insert([](bson::Builder& b) { append_names(b, many, 5); });
    ASSERT_TRUE(outcome.passed()) << outcome;
    EXPECT_EQ(outcome.plan.edits.size(), many);
}

TEST_F(PatternCost, a_whole_object_with_many_names_is_compared_with_many_fields) {
    constexpr std::size_t fields = 4000;
    config::SchemaNode& box = clinic.schema->root_.add_child("box");
    for (std::size_t i = 0; i < fields; ++i) {
        const std::string name = "f" + std::to_string(i);
        box.add_child(name).field = static_cast<std::uint16_t>(clinic.schema->fields_.size());
        clinic.schema->fields_.push_back(
            {"box." + name, config::Algorithm::deterministic, config::KeyUuid{1}, {0x10}});
    }
    const auto find = [&](std::size_t given) {
        bson::Buffer bytes;
        bson::Builder b(bytes);
        b.append_string("find", "patients").open_document("filter").open_document("box");
        append_names(b, many, 5, "x");
        append_names(b, given, 5, "f");
        b.close().close().append_string("$db", "medicalRecords").finish();
        return clinic.analyse(bytes);
    };
    const Outcome outcome = find(fields);
    ASSERT_TRUE(outcome.passed()) << outcome;
    EXPECT_EQ(outcome.plan.edits.size(), fields);
    expect_refusal(find(fields - 1), code::operation_not_on_encrypted, "that does not give 'box.f3999'");
}

TEST_F(PatternCost, a_name_of_a_pattern_that_stands_twice_is_refused) {
    expect_refusal(insert([](bson::Builder& b) {
                       append_names(b, 3, 5);
                       b.append_int32("x", 1).append_int32("secret1", 6);
                   }),
                   code::bad_value, "'secret1' stands twice");
    EXPECT_TRUE(insert([](bson::Builder& b) {
                    append_names(b, 3, 5);
                    b.append_int32("x", 1).append_int32("x", 6);
                }).passed());
}

TEST_F(PatternCost, the_key_that_a_pointer_names_is_looked_for_once_per_document) {
    add_pattern("^own", config::KeyPointer{{"key", "name"}});
    const auto documents = [](std::size_t count) {
        bson::Buffer bytes;
        bson::Builder b(bytes);
        b.append_string("insert", "patients").open_array("documents");
        for (const std::string key : {"first", "second"}) {
            b.open_document(key == "first" ? "0" : "1");
            append_names(b, count, 5, "own");
            b.open_document("key").append_string("name", key).close().close();
        }
        b.close().append_string("$db", "medicalRecords").finish();
        return bytes;
    };
    const Outcome outcome = clinic.analyse(documents(2));
    ASSERT_TRUE(outcome.passed()) << outcome;
    ASSERT_EQ(outcome.plan.edit_keys.size(), 4u);
    for (const std::size_t i : {0u, 1u, 2u, 3u})
        EXPECT_EQ(outcome.plan.edit_keys[i].alt_name, i < 2 ? "first" : "second");
    EXPECT_EQ(clinic.analyse(documents(many)).plan.edit_keys.size(), 2 * many);
}

TEST_F(PatternCost, a_body_has_a_bounded_number_of_names_to_match) {
    // Ten patterns beside every name, none of which meets it.
    for (int i = 1; i < 10; ++i) add_pattern("^other" + std::to_string(i), config::KeyUuid{1});
    const auto with = [&](std::size_t names) {
        return insert([&](bson::Builder& b) { append_names(b, names, 5, "n"); });
    };
    EXPECT_TRUE(with(100000).passed());
    expect_refusal(with(100001), code::command_not_supported, "more names to match with `patternProperties`");
    // In a sequence each document counts alone, since others come in between.
    bson::Buffer body;
    bson::Builder b(body);
    b.append_string("insert", "patients").append_string("$db", "medicalRecords").finish();
    bson::Buffer document;
    bson::Builder names(document);
    append_names(names, 60000, 5, "n");
    names.finish();
    const std::string text = bson::to_json(document);
    EXPECT_TRUE(clinic.analyse(body, {{"documents", {text, text}}}).passed());
}

}  // namespace
}  // namespace fieldgate::analysis::testing
