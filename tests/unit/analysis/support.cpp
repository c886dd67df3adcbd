#include "support.hpp"

#include <boost/endian/conversion.hpp>
#include <cstring>
#include <set>

#include "proxy/wire/message.hpp"

namespace fieldgate::analysis::testing {
namespace {

constexpr auto deterministic = config::Algorithm::deterministic;
constexpr auto random_algorithm = config::Algorithm::random;

void name_offsets(bson::DocumentView document, const std::uint8_t* start, const std::string& path,
                  bool is_array, std::map<std::uint32_t, std::string>& names) {
    for (const bson::Element& element : document) {
        const std::string key(element.key());
        const std::string own = is_array ? path + "[" + key + "]" : path.empty() ? key : path + "." + key;
        names[static_cast<std::uint32_t>(element.raw().data() - start)] = own;
        if (element.is_document() || element.is_array())
            name_offsets(element.document(), start, own, element.is_array(), names);
    }
}

void append_u32(wire::Buffer& out, std::size_t value) {
    std::uint8_t bytes[4];
    boost::endian::store_little_u32(bytes, static_cast<std::uint32_t>(value));
    out.insert(out.end(), bytes, bytes + 4);
}

wire::Buffer op_msg(const bson::Buffer& body, const std::vector<Section>& sections, bool sections_first) {
    wire::Buffer message(20, 0);
    boost::endian::store_little_u32(message.data() + 12, 2013);
    const auto add_body = [&] {
        message.push_back(0);
        message.insert(message.end(), body.begin(), body.end());
    };
    if (!sections_first) add_body();
    for (const Section& section : sections) {
        message.push_back(1);
        const std::size_t size_at = message.size();
        append_u32(message, 0);
        message.insert(message.end(), section.id.begin(), section.id.end());
        message.push_back(0);
        for (const std::string& document : section.documents) {
            const bson::Buffer bytes = json(document);
            message.insert(message.end(), bytes.begin(), bytes.end());
        }
        boost::endian::store_little_u32(message.data() + size_at,
                                        static_cast<std::uint32_t>(message.size() - size_at));
    }
    if (sections_first) add_body();
    boost::endian::store_little_u32(message.data(), static_cast<std::uint32_t>(message.size()));
    return message;
}

std::string as_type(std::uint8_t type) {
    return type == 0 ? "" : " as " + std::string(bson::alias(static_cast<bson::Type>(type)));
}

}  // namespace

const NamespaceFacts* MapCatalog::find(std::string_view database, std::string_view collection) const {
    auto found = facts.find(std::string(database) + "." + std::string(collection));
    if (found == facts.end()) found = facts.find("*");
    return found == facts.end() ? nullptr : &found->second;
}

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
    if (outcome.refused()) return out << "refused " << outcome.refusal.code << ": " << outcome.refusal.errmsg;
    out << (outcome.passed() ? "passed" : "needs more") << " with edits";
    for (const std::string& edit : outcome.edits) out << " [" << edit << "]";
    return out;
}

bson::Buffer json(std::string_view text) {
    auto document = bson::from_json(text);
    if (!document) throw std::runtime_error("not extended JSON: " + std::string(text));
    return std::move(document).value();
}

std::string ciphertext(int kind, int key_filler, int type) {
    std::string bytes(1, static_cast<char>(kind));
    bytes.append(16, static_cast<char>(key_filler));
    bytes += static_cast<char>(type);
    bytes.append(64, 'c');
    static constexpr std::string_view alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string base64;
    while (bytes.size() % 3 != 0) bytes += 'c';
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const unsigned three = static_cast<unsigned char>(bytes[i]) * 65536u +
                               static_cast<unsigned char>(bytes[i + 1]) * 256u +
                               static_cast<unsigned char>(bytes[i + 2]);
        for (const unsigned shift : {18u, 12u, 6u, 0u}) base64 += alphabet[three >> shift & 63u];
    }
    return R"({"$binary": {"base64": ")" + base64 + R"(", "subType": "06"}})";
}

Clinic::Clinic() : schema(std::make_shared<config::Schema>()) {
    const config::KeyReference key = config::KeyUuid{1};
    const auto add = [&](config::SchemaNode& parent, const char* name, std::string path,
                         config::Algorithm algorithm, std::vector<std::uint8_t> types) {
        parent.add_child(name).field = static_cast<std::uint16_t>(schema->fields_.size());
        schema->fields_.push_back({std::move(path), algorithm, key, std::move(types)});
    };
    add(schema->root_, "ssn", "ssn", deterministic, {0x10});
    config::SchemaNode& insurance = schema->root_.add_child("insurance");
    add(insurance, "policyNumber", "insurance.policyNumber", deterministic, {0x10});
    config::SchemaNode& agent = insurance.add_child("agent");
    add(agent, "code", "insurance.agent.code", deterministic, {0x02});
    add(schema->root_, "bloodType", "bloodType", random_algorithm, {0x02});
    add(schema->root_, "medicalRecords", "medicalRecords", random_algorithm, {0x04});
    add(schema->root_, "dateOfBirth", "dateOfBirth", random_algorithm, {0x09});
    add(schema->root_, "note", "note", random_algorithm, {});
    add(schema->root_, "seen", "seen", deterministic, {0x11});
    config::SchemaNode& contact = schema->root_.add_child("contact");
    add(contact, "email", "contact.email", random_algorithm, {0x02});
    config.schemas.push_back({{"medicalRecords", "patients"}, schema, 0, false});
    catalog.facts["*"] = {};
}

Variants::Variants() {
    schema = std::make_shared<config::Schema>();
    const auto add = [&](config::SchemaNode& parent, const char* name, std::string path,
                         config::Algorithm algorithm, std::vector<std::uint8_t> types,
                         config::KeyReference key = config::KeyUuid{1}) {
        parent.add_child(name).field = static_cast<std::uint16_t>(schema->fields_.size());
        schema->fields_.push_back({std::move(path), algorithm, std::move(key), std::move(types)});
    };
    config::SchemaNode& root = schema->root_;
    add(root, "whole", "whole", deterministic, {0x10});
    add(root, "long", "long", deterministic, {0x12});
    add(root, "tag", "tag", deterministic, {0x02});
    add(root, "ratio", "ratio", random_algorithm, {0x01});
    add(root, "exact", "exact", random_algorithm, {0x13});
    add(root, "mixed", "mixed", random_algorithm, {0x10, 0x12});
    add(root, "any", "any", random_algorithm, {});
    add(root, "twin", "twin", deterministic, {0x10}, config::KeyUuid{2});
    add(root, "other", "other", deterministic, {0x10}, config::KeyUuid{2});
    add(root, "alias", "alias", deterministic, {0x10}, config::KeyAltName{"key-{database}"});
    add(root, "aliasToo", "aliasToo", deterministic, {0x10}, config::KeyAltName{"key-{database}"});
    for (const char* const name : {"home", "work"}) {
        config::SchemaNode& address = root.add_child(name);
        add(address, "zip", std::string(name) + ".zip", deterministic, {0x10});
        add(address, "town", std::string(name) + ".town", random_algorithm, {0x02});
    }
    add(root.add_child("club"), "zip", "club.zip", deterministic, {0x12});
    add(root, "secret", "secret", random_algorithm, {0x02}, config::KeyPointer{{"key", "name"}});
    add(root.add_child("deep"), "secret", "deep.secret", random_algorithm, {0x02},
        config::KeyPointer{{"owner"}});
    root.add_child("murky").unknown = true;
    config::SchemaNode& murky_parent = root.add_child("murkyParent");
    add(murky_parent, "zip", "murkyParent.zip", deterministic, {0x10});
    murky_parent.add_child("murky").unknown = true;
    config.schemas[0].schema = schema;
}

std::uint16_t Clinic::field(std::string_view path) const {
    for (std::size_t i = 0; i < schema->fields().size(); ++i)
        if (schema->fields()[i].path == path) return static_cast<std::uint16_t>(i);
    throw std::runtime_error("no such field: " + std::string(path));
}

bool Clinic::is_only_namespace(const std::shared_ptr<const FieldSpace>& fields) const {
    return fields != nullptr && fields->parts().size() == 1 &&
           fields->parts()[0].protected_namespace.get() == &config.schemas[0];
}

const FieldUse& Clinic::use(const Outcome& outcome, std::string_view path) const {
    return outcome.plan.uses.at(field(path));
}

Outcome Clinic::analyse(std::string_view body, const std::vector<Section>& sections,
                        bool sections_first) const {
    bson::Buffer document = json(body);
    if (!bson::DocumentView::unchecked(document).find("$db")) {
        bson::Buffer with_database;
        bson::Builder builder(with_database);
        for (const bson::Element& element : bson::DocumentView::unchecked(document))
            builder.append_element(element);
        builder.append_string("$db", "medicalRecords").finish();
        document = std::move(with_database);
    }
    return analyse(document, sections, sections_first);
}

Outcome Clinic::analyse(const bson::Buffer& body, const std::vector<Section>& sections, bool sections_first,
                        std::size_t slice_bytes) const {
    const wire::Buffer frame = op_msg(body, sections, sections_first);
    const auto message = wire::OpMsg::parse(frame);
    if (!message) throw std::runtime_error("not an OP_MSG: " + message.error().message());
    RequestAnalysis analysis(*message, Context{config, catalog});
    Outcome outcome;
    steps = 0;
    do {
        outcome.step = analysis.step(slice_bytes);
        ++steps;
    } while (outcome.step == RequestAnalysis::Step::more);
    outcome.plan = std::move(analysis.plan());
    outcome.refusal = analysis.refusal();
    outcome.needed = analysis.needed();
    // Views into the message, which ends here.
    static std::set<std::string, std::less<>> kept;
    const auto keep = [](std::string_view text) -> std::string_view { return *kept.emplace(text).first; };
    outcome.plan.database = keep(outcome.plan.database);
    outcome.plan.collection = keep(outcome.plan.collection);
    for (EditKey& key : outcome.plan.edit_keys) key.alt_name = keep(key.alt_name);
    if (!outcome.passed()) return outcome;

    std::map<std::uint32_t, std::string> names;
    if (const auto checked = bson::DocumentView::check(message->body.bytes(), {}))
        name_offsets(*checked, frame.data(), "", false, names);
    for (const wire::Sequence& sequence : message->sequences()) {
        std::size_t index = 0;
        for (std::size_t at = 0; at < sequence.documents.size(); ++index) {
            const std::size_t bytes = boost::endian::load_little_u32(sequence.documents.data() + at);
            const auto each = sequence.documents.subspan(at, bytes);
            at += bytes;
            if (const auto checked = bson::DocumentView::check(each, {}))
                name_offsets(*checked, frame.data(),
                             std::string(sequence.id) + "[" + std::to_string(index) + "]", false, names);
        }
    }
    std::size_t copied = 0;
    for (const Edit& edit : outcome.plan.edits) {
        if (edit.kind == Edit::Kind::verify_ciphertext) continue;
        const std::size_t key_bytes =
            std::strlen(reinterpret_cast<const char*>(frame.data() + edit.offset + 1));
        const auto type = static_cast<bson::Type>(frame[edit.offset]);
        const auto value = wire::Bytes(frame).subspan(edit.offset + 2 + key_bytes);
        outcome.unedited.insert(outcome.unedited.end(), frame.begin() + static_cast<std::ptrdiff_t>(copied),
                                frame.begin() + static_cast<std::ptrdiff_t>(edit.offset));
        copied = edit.offset + 2 + key_bytes + bson::value_size(type, value).value();
    }
    outcome.unedited.insert(outcome.unedited.end(), frame.begin() + static_cast<std::ptrdiff_t>(copied),
                            frame.end());
    for (const Edit& edit : outcome.plan.edits) {
        const auto name = names.find(edit.offset);
        outcome.edits.push_back((name == names.end() ? "no element here" : name->second) +
                                (edit.kind == Edit::Kind::encrypt  ? "=encrypt "
                                 : edit.kind == Edit::Kind::remove ? "=remove "
                                                                   : "=verify ") +
                                outcome.plan.fields->field(edit.field).path + as_type(edit.type));
    }
    return outcome;
}

void expect_refusal(const Outcome& outcome, std::int32_t code, std::string_view text) {
    EXPECT_TRUE(outcome.refused()) << outcome;
    EXPECT_EQ(outcome.refusal.code, code) << outcome;
    EXPECT_NE(outcome.refusal.errmsg.find(text), std::string::npos) << outcome << "\n  lacks: " << text;
    EXPECT_EQ(outcome.refusal.code_name, code_name(code));
}

}  // namespace fieldgate::analysis::testing
