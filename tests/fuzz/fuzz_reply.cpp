// Whatever a server answers, opening it for a role gives a message whose body is well formed, or a refusal;
// where the slices end makes no difference; and a role that is shown nothing finds no element at a protected
// path, or at one of which nobody knows whether it is.
//
// Input: the reply's shape (and whether stages made it), the role's rule, the bytes of a slice, then a
// message behind its header.

#include <array>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>

#include "config/config.hpp"
#include "crypto/random.hpp"
#include "proxy/keys/key_ring.hpp"
#include "proxy/session/open.hpp"
#include "proxy/wire/message.hpp"

using namespace fieldgate;

namespace {

using analysis::ReplyShape;
using config::ReadRule;
using session::Work;

constexpr std::size_t output_bytes_max = 1 << 20;
// Of the reply: what a stored document may have, and the envelope's.
constexpr std::uint32_t levels_max = 100 + 3;
constexpr keys::Clock::time_point now{};

struct World {
    World() {
        auto made = std::make_shared<config::Schema>();
        config::KeyUuid key;
        key.fill(1);
        const auto add = [&](config::SchemaNode& parent, const char* name, const char* path,
                             config::Algorithm algorithm, std::uint8_t type) {
            parent.add_child(name).field = static_cast<std::uint16_t>(made->fields_.size());
            made->fields_.push_back({path, algorithm, key, {type}});
        };
        add(made->root_, "_id", "_id", config::Algorithm::deterministic, 0x10);
        add(made->root_, "ssn", "ssn", config::Algorithm::deterministic, 0x10);
        add(made->root_.add_child("insurance"), "policyNumber", "insurance.policyNumber",
            config::Algorithm::random, 0x10);
        add(made->root_, "email", "email", config::Algorithm::random, 0x02);
        add(made->root_, "note", "note", config::Algorithm::random, 0x02);
        made->fields_.back().key = config::KeyPointer{{"keyName"}};
        schema = made;
        stages.put_child("joined", made->root().clone());
        stages.put_child("updated", made->root().clone());
        stages.add_child("x").unknown = true;
        stages.add_child("values").field = 1;
        stages.put_child("ssn", made->root().child("ssn")->clone());
        for (const auto& [name, node] : stages.children()) {
            if (name == "joined" || name == "values") node->array = true;
            if (name == "updated") node->dotted_keys = true;
        }
        config.schemas.push_back({{"clinic", "patients"}, schema, 0, false});

        const std::array<std::uint8_t, crypto::key_bytes> material{};
        keys::KeyResult result;
        result.ids.emplace_back(crypto::KeyId{key},
                                keys::ReadyKey{std::make_shared<const crypto::DataKey>(std::span(material)),
                                               now + std::chrono::hours(1)});
        ring.put(result);
    }

    crypto::SystemRandom random;
    keys::KeyRing ring{random};
    std::shared_ptr<const config::Schema> schema;
    config::SchemaNode stages;  // a tree as stages make them
    config::Config config;
};

std::optional<wire::Buffer> open(World& world, const wire::OpMsg& message, wire::Bytes frame,
                                 const ReplyShape& shape, const config::Role& role,
                                 const session::SliceBudget& budget) {
    session::Opener opener(message, frame, shape, role, world.config, output_bytes_max);
    for (;;) {
        switch (opener.step(world.ring, now, budget)) {
            case Work::more:
                break;
            case Work::done:
                return opener.take();
            case Work::refused:
                if (opener.refusal().code == 0 || opener.refusal().errmsg.empty()) std::abort();
                return std::nullopt;
            case Work::need_keys:
                // The only key of a schema is there; of documents, none.
                if (opener.needed().empty() || !opener.needed().alt_names.empty()) std::abort();
                return std::nullopt;
        }
    }
}

// The depth was checked, so recursion is bounded here.
void expect_nothing_protected(const config::SchemaNode& node, const bson::Element& element) {
    if (node.unknown || (node.is_protected() && !(node.array && element.is_array()))) std::abort();
    if (!element.is_document() && !element.is_array()) return;
    for (const bson::Element inner : element.document()) {
        if (element.is_array()) {
            expect_nothing_protected(node, inner);
        } else if (node.dotted_keys) {
            const config::PathMatch match = config::match_path(node, inner.key());
            if (match.below_protected) std::abort();
            if (match.node != nullptr) expect_nothing_protected(*match.node, inner);
        } else if (const config::SchemaNode* const child = node.child(inner.key())) {
            expect_nothing_protected(*child, inner);
        }
    }
}

void expect_withheld(ReplyShape::Kind kind, const config::SchemaNode& root, bson::DocumentView body) {
    for (const bson::Element element : body) {
        const std::string_view key = element.key();
        if (key == "errInfo" || key == "keyValue") std::abort();
        if (kind == ReplyShape::Kind::value && key == "value") expect_nothing_protected(root, element);
        if (kind == ReplyShape::Kind::values && key == "values") expect_nothing_protected(root, element);
        if (kind != ReplyShape::Kind::cursor || key != "cursor") continue;
        for (const bson::Element batch : element.document()) {
            if (batch.key() == "firstBatch" || batch.key() == "nextBatch")
                expect_nothing_protected(root, batch);
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static World world;
    if (size < 3) return 0;
    constexpr ReplyShape::Kind kinds[] = {ReplyShape::Kind::write_result, ReplyShape::Kind::cursor,
                                          ReplyShape::Kind::value,        ReplyShape::Kind::values,
                                          ReplyShape::Kind::scalar,       ReplyShape::Kind::bulk_result};
    constexpr ReadRule::Kind rules[] = {ReadRule::Kind::reveal, ReadRule::Kind::ciphertext,
                                        ReadRule::Kind::null, ReadRule::Kind::omit, ReadRule::Kind::mask};
    const bool by_stages = (data[0] & 0x80) != 0;
    const ReplyShape::Kind kind = kinds[(data[0] & 0x7F) % std::size(kinds)];
    const ReadRule::Kind rule = rules[data[1] % std::size(rules)];
    const auto fields =
        analysis::FieldSpace::of(config::reference_to(world.config.schemas.front()), "clinic", "patients");
    const config::SchemaNode& tree = by_stages ? world.stages : world.schema->root();
    const ReplyShape shape{kind, fields, {world.schema, &tree}};
    world.config.schemas.front().explicit_encryption_allow = (data[1] & 0x80) != 0;
    config::Role role;
    role.encrypted_fields.read = {rule, 2};
    role.rules = {std::vector<config::FieldRule>(world.schema->fields().size(), role.encrypted_fields)};

    wire::Buffer frame;
    wire::append_header(frame, 1, 2, wire::Opcode::msg);
    frame.insert(frame.end(), data + 3, data + size);
    if (frame.size() < wire::header_bytes + 8) return 0;  // flags, and a checksum if they say so
    wire::finish_message(frame);
    const auto message = wire::OpMsg::parse(frame);
    if (!message) return 0;

    const auto opened = open(world, *message, frame, shape, role, {});
    const auto sliced = open(world, *message, frame, shape, role, {1, std::size_t{1} + data[2]});
    if (opened != sliced) std::abort();
    if (!opened) return 0;
    if (opened->size() > output_bytes_max) std::abort();
    const auto reparsed = wire::OpMsg::parse(*opened);
    if (!reparsed || reparsed->flags != message->flags || !reparsed->sequences().empty()) std::abort();
    const auto body = bson::DocumentView::check(reparsed->body.bytes(), bson::Limits{levels_max});
    if (!body) std::abort();
    if (rule == ReadRule::Kind::omit) expect_withheld(kind, tree, *body);
    return 0;
}
