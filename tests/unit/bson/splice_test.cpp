#include "proxy/bson/splice.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "proxy/bson/error.hpp"
#include "tests/unit/bson/samples.hpp"

namespace fieldgate::bson {
namespace {

using namespace samples;

constexpr std::size_t no_limit = 1 << 20;

// What splicing has to give, by the slow way: the document is written anew, recursively, with the edits in
// it.
void rebuild(Builder& builder, Bytes document, Bytes root, std::span<const Edit> edits) {
    for (const Element element : DocumentView::unchecked(document)) {
        const auto offset = static_cast<std::size_t>(element.raw().data() - root.data());
        const auto edit =
            std::find_if(edits.begin(), edits.end(), [&](const Edit& e) { return e.offset == offset; });
        if (edit != edits.end()) {
            if (!edit->is_removal) builder.append_value(element.key(), edit->type, edit->value);
        } else if (element.is_document() || element.is_array()) {
            if (element.is_document()) {
                builder.open_document(element.key());
            } else {
                builder.open_array(element.key());
            }
            rebuild(builder, element.value(), root, edits);
            builder.close();
        } else {
            builder.append_element(element);
        }
    }
}

Buffer expected_splice(Bytes document, std::span<const Edit> edits) {
    Buffer out;
    Builder builder(out);
    rebuild(builder, document, document, edits);
    builder.finish();
    return out;
}

// The offsets of all elements that splicing can reach, in order.
void collect_offsets(Bytes document, Bytes root, std::vector<std::size_t>& offsets) {
    for (const Element element : DocumentView::unchecked(document)) {
        offsets.push_back(static_cast<std::size_t>(element.raw().data() - root.data()));
        if (element.is_document() || element.is_array()) collect_offsets(element.value(), root, offsets);
    }
}

std::vector<std::size_t> element_offsets(Bytes document) {
    std::vector<std::size_t> offsets;
    collect_offsets(document, document, offsets);
    return offsets;
}

struct NamedDocument {
    const char* name;
    Buffer bytes;
};

std::vector<NamedDocument> sample_documents() {
    Buffer arrays;
    Builder(arrays)
        .open_array("a")
        .open_array("0")
        .append_int32("0", 1)
        .close()
        .open_array("1")
        .close()
        .append_null("2")
        .close()
        .open_document("")
        .open_document("")
        .append_bool("", true)
        .close()
        .close()
        .finish();
    return {{"patient", patient()}, {"every type", every_type()}, {"arrays", arrays}, {"deep", nested(30)}};
}

const Buffer short_value = {1};
const Buffer long_value = le32(300) + Buffer(301, 0x5A);

std::vector<Edit> edits_to_try(std::size_t offset) {
    return {{.offset = offset, .type = Type::boolean, .value = short_value},
            {.offset = offset, .type = Type::binary, .value = long_value},
            {.offset = offset, .type = Type::null},
            {.offset = offset, .is_removal = true}};
}

Buffer spliced(Bytes document, std::span<const Edit> edits) {
    Buffer out;
    EXPECT_FALSE(splice(document, edits, out, no_limit));
    return out;
}

TEST(Splice, copies_a_document_without_edits) {
    for (const NamedDocument& sample : sample_documents()) {
        SCOPED_TRACE(sample.name);
        EXPECT_EQ(spliced(sample.bytes, {}), sample.bytes);
    }
}

TEST(Splice, edits_every_element_in_every_way) {
    for (const NamedDocument& sample : sample_documents()) {
        for (const std::size_t offset : element_offsets(sample.bytes)) {
            for (const Edit& edit : edits_to_try(offset)) {
                SCOPED_TRACE(testing::Message() << sample.name << " at " << offset << " removal "
                                                << edit.is_removal << " bytes " << edit.value.size());
                const Buffer out = spliced(sample.bytes, {&edit, 1});
                EXPECT_EQ(out, expected_splice(sample.bytes, {&edit, 1}));
                EXPECT_TRUE(DocumentView::check(out, Limits{}));
            }
        }
    }
}

TEST(Splice, makes_every_pair_of_edits) {
    for (const NamedDocument& sample : sample_documents()) {
        const std::vector<std::size_t> offsets = element_offsets(sample.bytes);
        for (std::size_t i = 0; i < offsets.size(); ++i) {
            const DocumentView::Iterator first(sample.bytes.data() + offsets[i]);
            for (std::size_t j = i + 1; j < offsets.size(); ++j) {
                // Nothing is edited inside what is replaced.
                if (offsets[j] < offsets[i] + (*first).raw().size()) continue;
                SCOPED_TRACE(testing::Message()
                             << sample.name << " at " << offsets[i] << " and " << offsets[j]);
                for (const Edit& one : edits_to_try(offsets[i])) {
                    for (const Edit& two : edits_to_try(offsets[j])) {
                        const Edit both[] = {one, two};
                        EXPECT_EQ(spliced(sample.bytes, both), expected_splice(sample.bytes, both));
                    }
                }
            }
        }
    }
}

TEST(Splice, edits_all_leaves_at_once) {
    for (const NamedDocument& sample : sample_documents()) {
        SCOPED_TRACE(sample.name);
        std::vector<Edit> edits;
        for (const std::size_t offset : element_offsets(sample.bytes)) {
            const DocumentView::Iterator element(sample.bytes.data() + offset);
            if ((*element).is_document() || (*element).is_array()) continue;
            edits.push_back({.offset = offset, .type = Type::binary, .value = long_value});
        }
        EXPECT_EQ(spliced(sample.bytes, edits), expected_splice(sample.bytes, edits));
        for (Edit& edit : edits) edit = {.offset = edit.offset, .is_removal = true};
        EXPECT_EQ(spliced(sample.bytes, edits), expected_splice(sample.bytes, edits));
    }
}

TEST(Splice, keeps_what_the_buffer_held_before) {
    const Buffer document = patient();
    Buffer out = {1, 2, 3};
    const Edit edit = {.offset = 4, .is_removal = true};
    ASSERT_FALSE(splice(document, {&edit, 1}, out, no_limit));
    EXPECT_EQ(out, Buffer({1, 2, 3}) + expected_splice(document, {&edit, 1}));
}

TEST(Splice, stops_one_byte_above_the_limit) {
    const Buffer document = patient();
    for (const std::size_t offset : element_offsets(document)) {
        SCOPED_TRACE(offset);
        const Edit edit = {.offset = offset, .type = Type::binary, .value = long_value};
        const std::size_t size = expected_splice(document, {&edit, 1}).size();
        Buffer out = {9};
        EXPECT_FALSE(splice(document, {&edit, 1}, out, size));
        EXPECT_EQ(out.size(), size + 1);
        out = {9};
        EXPECT_EQ(splice(document, {&edit, 1}, out, size - 1), Errc::output_too_large);
        EXPECT_LE(out.size(), size);
    }
    // Every smaller limit too, wherever it strikes.
    const Edit edit = {.offset = 4, .type = Type::binary, .value = long_value};
    const std::size_t size = expected_splice(document, {&edit, 1}).size();
    for (std::size_t limit = 0; limit < size; ++limit) {
        Buffer out;
        EXPECT_EQ(splice(document, {&edit, 1}, out, limit), Errc::output_too_large);
        EXPECT_LE(out.size(), limit);
    }
}

TEST(Splicer, shows_the_element_before_it_is_edited) {
    const Buffer document = patient();
    Buffer out;
    Splicer splicer(document, out, no_limit);
    splicer.open_document(0);
    const DocumentView view = DocumentView::unchecked(document);
    const auto offset = static_cast<std::size_t>(view.find("ssn")->raw().data() - document.data());
    const auto element = splicer.advance_to(offset);
    ASSERT_TRUE(element);
    EXPECT_EQ(element->key(), "ssn");
    EXPECT_EQ(element->int32(), 145014000);
    EXPECT_EQ(splicer.position(), offset);
    ASSERT_FALSE(splicer.finish());
    EXPECT_EQ(out, document);
}

TEST(Splicer, descends_into_an_element_that_was_looked_at) {
    const Buffer document = patient();
    const std::vector<std::size_t> offsets = element_offsets(document);
    Buffer out;
    Splicer splicer(document, out, no_limit);
    splicer.open_document(0);
    for (const std::size_t offset : offsets) ASSERT_TRUE(splicer.advance_to(offset));
    splicer.remove();
    ASSERT_FALSE(splicer.finish());
    const Edit edit = {.offset = offsets.back(), .is_removal = true};
    EXPECT_EQ(out, expected_splice(document, {&edit, 1}));
}

TEST(Splicer, takes_values_of_unknown_size) {
    const Buffer document = patient();
    const std::size_t offset = element_offsets(document)[1];
    Buffer out;
    Splicer splicer(document, out, no_limit);
    splicer.open_document(0);
    ASSERT_TRUE(splicer.advance_to(offset));
    const auto buffer = splicer.begin_value(Type::document);
    ASSERT_TRUE(buffer);
    Builder(**buffer).append_int32("x", 1).finish();
    ASSERT_FALSE(splicer.end_value());
    ASSERT_FALSE(splicer.finish());
    Buffer value;
    Builder(value).append_int32("x", 1).finish();
    const Edit edit = {.offset = offset, .type = Type::document, .value = value};
    EXPECT_EQ(out, expected_splice(document, {&edit, 1}));
}

TEST(Splicer, checks_the_limit_after_a_value_of_unknown_size) {
    const Buffer document = patient();
    Buffer out;
    Splicer splicer(document, out, 11);
    splicer.open_document(0);
    ASSERT_TRUE(splicer.advance_to(4));
    const auto buffer = splicer.begin_value(Type::null);
    ASSERT_TRUE(buffer);
    (*buffer)->push_back(0);
    EXPECT_FALSE(splicer.end_value());
    Buffer again;
    Splicer other(document, again, 11);
    other.open_document(0);
    ASSERT_TRUE(other.advance_to(4));
    const auto second = other.begin_value(Type::null);
    ASSERT_TRUE(second);
    (*second)->resize((*second)->size() + 2);
    EXPECT_EQ(other.end_value(), Errc::output_too_large);
    EXPECT_EQ(other.finish(), Errc::output_too_large);
}

TEST(Splicer, says_the_error_again) {
    const Buffer document = patient();
    Buffer out;
    Splicer splicer(document, out, 20);
    splicer.open_document(0);
    ASSERT_TRUE(splicer.advance_to(4));
    EXPECT_EQ(splicer.replace_value(Type::binary, 11).error(), Errc::output_too_large);
    EXPECT_EQ(splicer.advance_to(element_offsets(document)[1]).error(), Errc::output_too_large);
    EXPECT_EQ(splicer.copy_until(0), Errc::output_too_large);
    EXPECT_EQ(splicer.finish(), Errc::output_too_large);
}

// Goal: resting anywhere in a copy does not change the result. Method: copy to each offset before the edit
// first.
TEST(Splicer, copies_in_slices_of_any_size) {
    const Buffer document = patient();
    for (const std::size_t offset : element_offsets(document)) {
        const Edit edit = {.offset = offset, .type = Type::binary, .value = long_value};
        const Buffer expected = expected_splice(document, {&edit, 1});
        for (std::size_t rest = 0; rest <= offset; ++rest) {
            SCOPED_TRACE(testing::Message() << offset << " by way of " << rest);
            Buffer out;
            Splicer splicer(document, out, no_limit);
            splicer.open_document(0);
            ASSERT_FALSE(splicer.copy_until(rest));
            ASSERT_FALSE(splicer.copy_until(rest / 2));
            ASSERT_TRUE(splicer.advance_to(offset));
            const auto room = splicer.replace_value(edit.type, edit.value.size());
            ASSERT_TRUE(room);
            std::copy(edit.value.begin(), edit.value.end(), room->begin());
            for (std::size_t at = splicer.position(); at <= document.size(); at += 3) {
                ASSERT_FALSE(splicer.copy_until(at));
            }
            ASSERT_FALSE(splicer.finish());
            EXPECT_EQ(out, expected);
        }
    }
}

TEST(Splicer, edits_several_roots_and_copies_what_is_between) {
    const Buffer document = patient();
    const Buffer gap = {0xAA, 0xBB, 0xCC};
    const Buffer source = gap + document + gap + document + document + gap;
    const std::size_t second = gap.size() * 2 + document.size();
    const Edit edit = {.offset = element_offsets(document).back(), .type = Type::binary, .value = long_value};
    const Buffer changed = expected_splice(document, {&edit, 1});
    Buffer out;
    Splicer splicer(source, out, no_limit);
    const auto edit_root = [&](std::size_t root) {
        splicer.open_document(root);
        ASSERT_TRUE(splicer.advance_to(root + edit.offset));
        const auto room = splicer.replace_value(edit.type, edit.value.size());
        ASSERT_TRUE(room);
        std::copy(edit.value.begin(), edit.value.end(), room->begin());
    };
    edit_root(gap.size());
    splicer.open_document(second);  // and nothing in it
    edit_root(second + document.size());
    ASSERT_FALSE(splicer.finish());
    EXPECT_EQ(out, gap + changed + gap + document + changed + gap);
}

TEST(Splicer, corrects_the_length_of_a_region) {
    const Buffer document = patient();
    const Buffer inside = text("documents") + Buffer{0} + document + document;
    const Buffer source =
        Buffer{1} + le32(static_cast<std::uint32_t>(inside.size() + 4)) + inside + Buffer{0xEE};
    Buffer out;
    Splicer splicer(source, out, no_limit);
    splicer.open_region(1, source.size() - 1);
    const std::size_t second = source.size() - 1 - document.size();
    splicer.open_document(second);
    ASSERT_TRUE(splicer.advance_to(second + 4));
    splicer.remove();
    ASSERT_FALSE(splicer.finish());
    const Edit edit = {.offset = 4, .is_removal = true};
    const Buffer changed_inside =
        text("documents") + Buffer{0} + document + expected_splice(document, {&edit, 1});
    EXPECT_EQ(out, Buffer{1} + le32(static_cast<std::uint32_t>(changed_inside.size() + 4)) + changed_inside +
                       Buffer{0xEE});
}

// Goal: depth costs no stack. Method: an edit below 100,000 levels.
TEST(Splicer, survives_a_hundred_thousand_levels) {
    const std::uint32_t levels = 100000;
    const Buffer document = nested(levels);
    ASSERT_TRUE(DocumentView::check(document, Limits{levels}));
    // The innermost document is element number `levels`, empty; 7 bytes lead from one element to the next.
    const std::size_t offset = 4 + std::size_t{7} * (levels - 1);
    const Edit edit = {.offset = offset, .type = Type::binary, .value = long_value};
    Buffer out;
    ASSERT_FALSE(splice(document, {&edit, 1}, out, no_limit));
    EXPECT_EQ(out.size(), document.size() - 5 + long_value.size());
    EXPECT_TRUE(DocumentView::check(out, Limits{levels}));
}

TEST(SplicerDeathTest, asserts_offsets_that_are_not_ours) {
    const Buffer document = patient();
    const std::vector<std::size_t> offsets = element_offsets(document);
    const auto run = [&](std::initializer_list<std::size_t> at) {
        std::vector<Edit> edits;
        for (const std::size_t offset : at) edits.push_back({.offset = offset, .is_removal = true});
        Buffer out;
        (void)splice(document, edits, out, no_limit);
    };
    EXPECT_DEATH(run({offsets[1], offsets[0]}), "rising order") << "unsorted";
    EXPECT_DEATH(run({offsets[1], offsets[1]}), "rising order") << "twice";
    EXPECT_DEATH(run({offsets[3], offsets[4]}), "rising order") << "inside what was removed";
    EXPECT_DEATH(run({offsets[1] + 1}), "inside a value") << "inside an element";
    EXPECT_DEATH(run({document.size() - 1}), "not that of an element") << "the terminator";
    EXPECT_DEATH(run({document.size()}), "no open document") << "behind the end";
    EXPECT_DEATH(run({0}), "not that of an element") << "the length";
    EXPECT_DEATH(run({offsets[3] + 16}), "assertion failed") << "the length of an array";
}

TEST(SplicerDeathTest, asserts_its_call_order) {
    const Buffer document = patient();
    Buffer out;
    Splicer splicer(document, out, no_limit);
    EXPECT_DEATH((void)splicer.advance_to(4), "no open document");
    splicer.open_document(0);
    EXPECT_DEATH(splicer.remove(), "no current element");
    EXPECT_DEATH((void)splicer.replace_value(Type::null, 0), "no current element");
    ASSERT_TRUE(splicer.advance_to(4));
    splicer.remove();
    EXPECT_DEATH(splicer.remove(), "no current element");
    EXPECT_DEATH(splicer.open_document(0), "assertion failed");
    EXPECT_DEATH((void)splicer.end_value(), "end_value");
}

}  // namespace
}  // namespace fieldgate::bson
