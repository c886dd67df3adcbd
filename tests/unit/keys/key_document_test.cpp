#include "proxy/keys/key_document.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <iterator>
#include <set>

#include "proxy/keys/error.hpp"
#include "proxy/keys/master_key.hpp"
#include "tests/unit/keys/support.hpp"

namespace fieldgate::keys {
namespace {

using bson::Buffer;
using bson::Builder;
using Bytes = std::vector<std::uint8_t>;

const Bytes uuid(16, 0xAB);
const Bytes wrapped(160, 0x11);

// A sound document, of which each case replaces, drops or adds one field.
struct Parts {
    std::function<void(Builder&)> id = [](Builder& b) { b.append_binary("_id", 4, uuid); };
    std::function<void(Builder&)> alt_names = [](Builder& b) {
        b.open_array("keyAltNames").append_string("0", "a").append_string("1", "b").close();
    };
    std::function<void(Builder&)> material = [](Builder& b) { b.append_binary("keyMaterial", 0, wrapped); };
    std::function<void(Builder&)> created = [](Builder& b) { b.append_date("creationDate", 1); };
    std::function<void(Builder&)> updated = [](Builder& b) { b.append_date("updateDate", 2); };
    std::function<void(Builder&)> status = [](Builder& b) { b.append_int32("status", 0); };
    std::function<void(Builder&)> master_key = [](Builder& b) {
        b.open_document("masterKey").append_string("provider", "local").close();
    };
    std::function<void(Builder&)> more = [](Builder&) {};

    Buffer build() const {
        Buffer buffer;
        Builder builder(buffer);
        for (const auto* part :
             {&id, &alt_names, &material, &created, &updated, &status, &master_key, &more}) {
            (*part)(builder);
        }
        builder.finish();
        return buffer;
    }
};

void nothing(Builder&) {}

TEST(KeyDocument, reads_every_field) {
    const auto key = parse_key_document(Parts{}.build());
    ASSERT_TRUE(key) << key.error().message();
    EXPECT_EQ(key->id, testing::id_of(0xAB));
    EXPECT_EQ(key->alt_names, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(key->wrapped, wrapped);
    EXPECT_EQ(key->creation_unix_ms, 1);
    EXPECT_EQ(key->update_unix_ms, 2);
    EXPECT_EQ(key->status, 0);
    EXPECT_EQ(key->provider, "local");
}

TEST(KeyDocument, accepts_what_drivers_accept) {
    struct Case {
        const char* name;
        std::function<void(Parts&)> change;
    };
    const Case cases[] = {
        {"no names", [](Parts& p) { p.alt_names = nothing; }},
        {"an empty list of names",
         [](Parts& p) { p.alt_names = [](Builder& b) { b.open_array("keyAltNames").close(); }; }},
        {"version 0", [](Parts& p) { p.more = [](Builder& b) { b.append_int32("version", 0); }; }},
        {"disabled", [](Parts& p) { p.status = [](Builder& b) { b.append_int32("status", 1); }; }},
        {"status as long", [](Parts& p) { p.status = [](Builder& b) { b.append_int64("status", 0); }; }},
        {"provider that is not the first field",
         [](Parts& p) {
             p.master_key = [](Builder& b) {
                 b.open_document("masterKey")
                     .append_string("region", "r")
                     .append_string("provider", "aws:eu_1")
                     .append_string("key", "k")
                     .close();
             };
         }},
        {"material of one byte",
         [](Parts& p) { p.material = [](Builder& b) { b.append_binary("keyMaterial", 0, Bytes(1, 1)); }; }},
        {"material of 8 KiB",
         [](Parts& p) {
             p.material = [](Builder& b) { b.append_binary("keyMaterial", 0, Bytes(8192, 1)); };
         }},
        {"ten thousand names",
         [](Parts& p) {
             p.alt_names = [](Builder& b) {
                 b.open_array("keyAltNames");
                 for (int i = 0; i < 10000; ++i) b.append_string(std::to_string(i), std::to_string(i));
                 b.close();
             };
         }},
        {"names beyond ASCII",
         [](Parts& p) {
             p.alt_names = [](Builder& b) {
                 b.open_array("keyAltNames").append_string("0", "\xC3\xA9\xF0\x9F\x98\x80").close();
             };
         }},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.name);
        Parts parts;
        c.change(parts);
        const auto key = parse_key_document(parts.build());
        EXPECT_TRUE(key) << key.error().message();
    }
}

TEST(KeyDocument, names_what_is_wrong) {
    struct Case {
        const char* name;
        Errc expected;
        std::function<void(Parts&)> change;
    };
    const auto master = [](auto fill) {
        return [fill](Parts& p) {
            p.master_key = [fill](Builder& b) {
                b.open_document("masterKey");
                fill(b);
                b.close();
            };
        };
    };
    const Case cases[] = {
        {"unknown field", Errc::unknown_field,
         [](Parts& p) { p.more = [](Builder& b) { b.append_int32("x", 0); }; }},
        {"a known field in another spelling", Errc::unknown_field,
         [](Parts& p) { p.more = [](Builder& b) { b.append_int32("Version", 0); }; }},
        {"_id twice", Errc::duplicate_field, [](Parts& p) { p.more = p.id; }},
        {"names twice", Errc::duplicate_field, [](Parts& p) { p.more = p.alt_names; }},
        {"master key twice", Errc::duplicate_field, [](Parts& p) { p.more = p.master_key; }},
        {"no _id", Errc::id_missing, [](Parts& p) { p.id = nothing; }},
        {"_id of a string", Errc::id_not_uuid,
         [](Parts& p) { p.id = [](Builder& b) { b.append_string("_id", "x"); }; }},
        {"_id of subtype 3", Errc::id_not_uuid,
         [](Parts& p) { p.id = [](Builder& b) { b.append_binary("_id", 3, uuid); }; }},
        {"_id of 15 bytes", Errc::id_not_uuid,
         [](Parts& p) { p.id = [](Builder& b) { b.append_binary("_id", 4, Bytes(15, 1)); }; }},
        {"_id of 17 bytes", Errc::id_not_uuid,
         [](Parts& p) { p.id = [](Builder& b) { b.append_binary("_id", 4, Bytes(17, 1)); }; }},
        {"no material", Errc::key_material_missing, [](Parts& p) { p.material = nothing; }},
        {"material of subtype 6", Errc::key_material_not_binary,
         [](Parts& p) { p.material = [](Builder& b) { b.append_binary("keyMaterial", 6, wrapped); }; }},
        {"material of a string", Errc::key_material_not_binary,
         [](Parts& p) { p.material = [](Builder& b) { b.append_string("keyMaterial", "x"); }; }},
        {"no byte of material", Errc::key_material_length,
         [](Parts& p) { p.material = [](Builder& b) { b.append_binary("keyMaterial", 0, {}); }; }},
        {"material of 8 KiB and a byte", Errc::key_material_length,
         [](Parts& p) {
             p.material = [](Builder& b) { b.append_binary("keyMaterial", 0, Bytes(8193, 1)); };
         }},
        {"no creation date", Errc::creation_date_missing, [](Parts& p) { p.created = nothing; }},
        {"creation date of a number", Errc::creation_date_not_date,
         [](Parts& p) { p.created = [](Builder& b) { b.append_int64("creationDate", 1); }; }},
        {"no update date", Errc::update_date_missing, [](Parts& p) { p.updated = nothing; }},
        {"update date of a number", Errc::update_date_not_date,
         [](Parts& p) { p.updated = [](Builder& b) { b.append_int64("updateDate", 1); }; }},
        {"no status", Errc::status_missing, [](Parts& p) { p.status = nothing; }},
        {"status of a string", Errc::status_not_number,
         [](Parts& p) { p.status = [](Builder& b) { b.append_string("status", "0"); }; }},
        {"version 1", Errc::version_not_supported,
         [](Parts& p) { p.more = [](Builder& b) { b.append_int32("version", 1); }; }},
        {"version of a string", Errc::version_not_supported,
         [](Parts& p) { p.more = [](Builder& b) { b.append_string("version", "0"); }; }},
        {"names of a string", Errc::alt_names_not_array,
         [](Parts& p) { p.alt_names = [](Builder& b) { b.append_string("keyAltNames", "a"); }; }},
        {"a name of a number", Errc::alt_name_not_string,
         [](Parts& p) {
             p.alt_names = [](Builder& b) { b.open_array("keyAltNames").append_int32("0", 1).close(); };
         }},
        {"a name of wrong UTF-8", Errc::alt_name_not_string,
         [](Parts& p) {
             p.alt_names = [](Builder& b) {
                 b.open_array("keyAltNames").append_string("0", "a\x80").close();
             };
         }},
        {"one name twice", Errc::alt_name_twice,
         [](Parts& p) {
             p.alt_names = [](Builder& b) {
                 b.open_array("keyAltNames").append_string("0", "a").append_string("1", "a").close();
             };
         }},
        {"no master key", Errc::master_key_missing, [](Parts& p) { p.master_key = nothing; }},
        {"master key of an array", Errc::master_key_not_document,
         [](Parts& p) { p.master_key = [](Builder& b) { b.open_array("masterKey").close(); }; }},
        {"master key without provider", Errc::master_key_provider_missing, master([](Builder&) {})},
        {"provider of a number", Errc::master_key_provider_not_name,
         master([](Builder& b) { b.append_int32("provider", 1); })},
        {"provider without type", Errc::master_key_provider_not_name,
         master([](Builder& b) { b.append_string("provider", ":a"); })},
        {"provider with an empty name", Errc::master_key_provider_not_name,
         master([](Builder& b) { b.append_string("provider", "aws:"); })},
        {"provider with a line end", Errc::master_key_provider_not_name,
         master([](Builder& b) { b.append_string("provider", "aws:a\nb"); })},
        {"provider of another type", Errc::master_key_provider_unknown,
         master([](Builder& b) { b.append_string("provider", "hsm"); })},
        {"provider of another type, named", Errc::master_key_provider_unknown,
         master([](Builder& b) { b.append_string("provider", "Local:a"); })},
        {"provider longer than 256 bytes", Errc::master_key_provider_not_name,
         master([](Builder& b) { b.append_string("provider", "local:" + std::string(251, 'a')); })},
        {"an error of its fields", Errc::master_key_field_missing,
         master([](Builder& b) { b.append_string("provider", "kmip"); })},
        {"local with more", Errc::master_key_unknown_field,
         master([](Builder& b) { b.append_string("provider", "local").append_string("endpoint", "h.x"); })},
        {"named local with more", Errc::master_key_unknown_field,
         master([](Builder& b) { b.append_string("provider", "local:a").append_string("endpoint", "h.x"); })},
        {"provider twice", Errc::master_key_duplicate_field,
         master([](Builder& b) { b.append_string("provider", "local").append_string("provider", "local"); })},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.name);
        Parts parts;
        c.change(parts);
        const auto key = parse_key_document(parts.build());
        ASSERT_FALSE(key);
        EXPECT_EQ(key.error(), c.expected) << key.error().message();
    }
}

TEST(KeyDocument, refuses_bytes_that_are_no_document) {
    Buffer document = Parts{}.build();
    EXPECT_EQ(parse_key_document({}).error(), Errc::not_bson);
    EXPECT_EQ(parse_key_document(bson::Bytes(document).first(document.size() - 1)).error(), Errc::not_bson);
    document.push_back(0);
    EXPECT_EQ(parse_key_document(document).error(), Errc::not_bson);
}

TEST(KeyDocument, hostile_nesting_and_sizes_are_named) {
    const auto nested = [](int levels) {
        Parts parts;
        parts.more = [levels](Builder& b) {
            for (int i = 0; i < levels; ++i) b.open_document("x");
            for (int i = 0; i < levels; ++i) b.close();
        };
        return parse_key_document(parts.build()).error();
    };
    EXPECT_EQ(nested(4), Errc::unknown_field);
    EXPECT_EQ(nested(5), Errc::nested_too_deep);
    EXPECT_EQ(nested(10000), Errc::nested_too_deep);

    const auto filled = [](std::size_t bytes) {
        Parts parts;
        const std::size_t rest = parts.build().size() + std::string_view("1.x..2....").size();
        parts.more = [&](Builder& b) { b.append_string("x", std::string(bytes - rest + 2, 'x')); };
        const Buffer document = parts.build();
        EXPECT_EQ(document.size(), bytes);
        return parse_key_document(document).error();
    };
    EXPECT_EQ(filled(key_document_bytes_max), Errc::unknown_field);
    EXPECT_EQ(filled(key_document_bytes_max + 1), Errc::too_large);
}

TEST(KeyDocument, every_error_has_a_sentence_of_its_own) {
    std::set<std::string> sentences;
    for (int value = 1; value <= static_cast<int>(Errc::master_key_endpoint_malformed); ++value) {
        sentences.insert(error_category().message(value));
    }
    EXPECT_EQ(sentences.size(), static_cast<std::size_t>(Errc::master_key_endpoint_malformed));
    EXPECT_FALSE(sentences.contains("unknown error"));
}

TEST(KeyDocument, is_written_as_it_is_read) {
    const KeyDocument key = testing::key_of(5, {"x", "y"});
    const auto read = parse_key_document(build_key_document(key));
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_EQ(*read, key);
}

Buffer bytes_of_hex(std::string_view hex) {
    Buffer bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        bytes.push_back(static_cast<std::uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
    }
    return bytes;
}

// tests/support/key_document_vectors.py wrote them with libmongocrypt.
TEST(KeyDocument, is_byte_for_byte_what_drivers_write) {
    std::ifstream file(FIELDGATE_SOURCE_DIR "/tests/vectors/key-documents.json");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto vectors = bson::from_json(text);
    ASSERT_TRUE(vectors);
    std::set<std::string> types;
    const auto root = bson::DocumentView::unchecked(*vectors);
    for (const bson::Element& element : root.find("documents")->document()) {
        const auto row = element.document();
        SCOPED_TRACE(bson::to_json(row.find("masterKey")->document().bytes()));
        const std::string provider(row.find("provider")->string());
        types.emplace(provider_type(provider));
        const Buffer document = bytes_of_hex(row.find("document")->string());
        const auto key = parse_key_document(document);
        ASSERT_TRUE(key) << key.error().message();
        EXPECT_EQ(key->provider, provider);
        EXPECT_EQ(build_key_document(*key), document);

        // The masterKey that was asked for, plus what the key manager added.
        auto asked = parse_master_key(provider, row.find("masterKey")->document(), MasterKeyUse::wanted);
        ASSERT_TRUE(asked) << asked.error().message();
        if (auto* kmip = std::get_if<crypto::kms::KmipMasterKey>(&*asked); kmip != nullptr) {
            if (kmip->key_id.empty()) kmip->key_id = "13";
        }
        EXPECT_EQ(*asked, key->master_key);
    }
    EXPECT_EQ(types, (std::set<std::string>{"aws", "azure", "gcp", "kmip", "local"}));
}

TEST(KeyDocument, is_written_in_the_drivers_field_order) {
    const auto order = [](const KeyDocument& key) {
        const Buffer document = build_key_document(key);
        std::vector<std::string> names;
        for (const bson::Element& element : bson::DocumentView::unchecked(document))
            names.emplace_back(element.key());
        return names;
    };
    EXPECT_EQ(order(testing::key_of(5, {"x"})),
              (std::vector<std::string>{"_id", "keyAltNames", "keyMaterial", "creationDate", "updateDate",
                                        "status", "masterKey"}));
    EXPECT_EQ(order(testing::key_of(5)), (std::vector<std::string>{"_id", "keyMaterial", "creationDate",
                                                                   "updateDate", "status", "masterKey"}));
}

TEST(KeyDocument, refused_documents_still_say_whom_they_concern) {
    Parts parts;
    parts.more = [](Builder& b) { b.append_int32("x", 0); };
    const KeyClaims claims = claims_of(parts.build());
    EXPECT_EQ(claims.ids, std::vector<crypto::KeyId>{testing::id_of(0xAB)});
    EXPECT_EQ(claims.alt_names, (std::vector<std::string>{"a", "b"}));
    EXPECT_TRUE(claims_of({}).ids.empty());
}

TEST(KeyDocument, uuids_are_written_in_groups) {
    crypto::KeyId id;
    for (std::size_t i = 0; i < 16; ++i) id.bytes[i] = static_cast<std::uint8_t>(i * 17);
    EXPECT_EQ(uuid_text(id), "00112233-4455-6677-8899-aabbccddeeff");
}

TEST(Utf8, follows_the_standard) {
    struct Case {
        const char* name;
        std::string_view text;
        bool expected;
    };
    constexpr Case cases[] = {
        {"empty", "", true},
        {"ascii", "abc", true},
        {"two bytes", "\xC2\x80", true},
        {"three bytes", "\xE0\xA0\x80", true},
        {"four bytes", "\xF4\x8F\xBF\xBF", true},
        {"overlong two", "\xC1\xBF", false},
        {"overlong three", "\xE0\x9F\xBF", false},
        {"overlong four", "\xF0\x8F\xBF\xBF", false},
        {"surrogate", "\xED\xA0\x80", false},
        {"above the last", "\xF4\x90\x80\x80", false},
        {"cut", "\xE2\x82", false},
        {"lone continuation", "a\x80", false},
        {"not a first byte", "\xF5\x80\x80\x80", false},
    };
    for (const Case& c : cases) EXPECT_EQ(is_utf8(c.text), c.expected) << c.name;
}

}  // namespace
}  // namespace fieldgate::keys
