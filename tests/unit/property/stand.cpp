#include "stand.hpp"

#include <gtest/gtest.h>

#include "config/load.hpp"
#include "tests/unit/config/temporary_directory.hpp"

namespace fieldgate::property {
namespace {

// Every third collection takes numbers and nulls as they come, every third leaves nulls out.
std::string options_of(const Collection& collection) {
    if (collection.name.back() % 3 == 0) return {};
    return collection.name.back() % 3 == 1 ? ", coerce_numbers: true, nulls: store" : ", nulls: omit";
}

std::shared_ptr<config::Config> load(const std::vector<Collection>& collections) {
    const config::TemporaryDirectory directory;
    directory.write("key.bin", std::string(96, 'k'));
    std::string yaml =
        "upstream: { uri: \"mongodb://h\" }\n"
        "kms_providers: { local: { key_file: key.bin } }\n"
        "unlisted_namespaces: pass\n"
        "roles: { doctor: { encrypted_fields: { read: reveal, match: allow, write: allow } } }\n"
        "listeners: [{ name: doctors, address: \"127.0.0.1:0\", role: doctor }]\n"
        "schemas:\n";
    for (const Collection& collection : collections)
        yaml += "  " + std::string(database) + "." + collection.name +
                ": { schema: " + schema_json(collection.tree) + options_of(collection) + " }\n";
    const config::Loaded loaded = config::load(directory.write("fieldgate.yaml", yaml), {});
    return std::make_shared<config::Config>(*loaded.config);
}

void append_int32(wire::Buffer& out, std::size_t number) {
    for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::uint8_t>(number >> shift));
}

void append_sequence(wire::Buffer& out, const Sequence& sequence) {
    wire::Buffer payload(sequence.name.begin(), sequence.name.end());
    payload.push_back(0);
    for (const Member& member : sequence.documents.members) {
        const Buffer document = to_bson(member.value);
        payload.insert(payload.end(), document.begin(), document.end());
    }
    out.push_back(1);
    append_int32(out, payload.size() + 4);
    out.insert(out.end(), payload.begin(), payload.end());
}

Value whole_body(const Command& command) {
    Value body = command.body;
    for (const Sequence& sequence : command.sequences)
        if (!sequence.in_section) body.add(sequence.name, sequence.documents);
    return body;
}

void collect_ciphertexts(bson::DocumentView document, std::vector<Buffer>& found) {
    for (const bson::Element& element : document) {
        if (element.is_document() || element.is_array())
            collect_ciphertexts(element.document(), found);
        else if (element.type() == Type::binary && element.binary().subtype == 6)
            found.emplace_back(element.value().begin(), element.value().end());
    }
}

// A document with every field of the tree, of a type that it takes.
Value full_document(Canaries& canaries, const Tree& node) {
    Value document = object();
    for (const TreeMember& member : node.members) {
        const Tree& child = member.tree;
        const Type type =
            child.is_field() && !child.field->types.empty() ? child.field->types[0] : Type::string;
        document.add(member.written_name(),
                     child.is_field() ? canaries.make(type, false) : full_document(canaries, child));
    }
    return document;
}

}  // namespace

wire::Buffer frame_of(const Command& command) {
    wire::Buffer frame;
    wire::append_header(frame, 77, 0, wire::Opcode::msg);
    append_int32(frame, command.flags);
    const auto append_sections = [&](bool before_body) {
        for (const Sequence& sequence : command.sequences)
            if (sequence.in_section && sequence.before_body == before_body) append_sequence(frame, sequence);
    };
    append_sections(true);
    frame.push_back(0);
    const Buffer body = to_bson(whole_body(command));
    frame.insert(frame.end(), body.begin(), body.end());
    append_sections(false);
    if ((command.flags & wire::flag_checksum_present) != 0) frame.resize(frame.size() + 4);
    wire::finish_message(frame);
    return frame;
}

std::string json_of(const Command& command) {
    std::string text = bson::to_json(to_bson(whole_body(command)));
    for (const Sequence& sequence : command.sequences) {
        if (!sequence.in_section) continue;
        text += "\n  section '" + sequence.name + "'" + (sequence.before_body ? " before the body:" : ":");
        for (const Member& member : sequence.documents.members)
            text += "\n    " + bson::to_json(to_bson(member.value));
    }
    return text;
}

Stand::Stand(std::uint64_t seed, std::size_t count) {
    Random random = Random::of_case(seed, ~std::uint64_t{0});
    for (std::size_t i = 0; i < count; ++i)
        collections_.push_back({"c" + std::to_string(i), random_tree(random), {}});
    process_ = std::make_unique<session::testing::Process>(load(collections_));
    for (Collection& collection : collections_) {
        collection.refuses_nulls = options_of(collection).empty();
        harvest_ciphertexts(random, collection);
    }
}

void Stand::harvest_ciphertexts(Random& random, Collection& collection) {
    Canaries canaries(random);
    Command insert{"insert", object({{"insert", text(collection.name)}, {"$db", text(database)}}), {}};
    Value whole = full_document(canaries, collection.tree);
    whole.add(key_pointer, text(pointed_key));
    insert.sequences.push_back({"documents", list({std::move(whole)})});
    const Outcome outcome = send(frame_of(insert));
    const auto message = wire::OpMsg::parse(outcome.frame);
    ASSERT_TRUE(outcome.forwarded && message) << json_of(insert) << schema_json(collection.tree);
    collect_ciphertexts(message->body, collection.ciphertexts);
    ASSERT_FALSE(collection.ciphertexts.empty());
}

Outcome Stand::send(const wire::Buffer& frame) {
    session::testing::Transcript transcript(*process_, 0);
    auto result = transcript.request_bytes(frame);
    return {result.action == session::RequestAction::forward, std::move(result.bytes), transcript.received()};
}

}  // namespace fieldgate::property
