#include "proxy/commands/validator.hpp"

#include <algorithm>
#include <boost/assert.hpp>
#include <set>
#include <string_view>

#include "config/schema_builder.hpp"
#include "config/schema_writer.hpp"
#include "proxy/bson/node.hpp"
#include "proxy/commands/text.hpp"
#include "proxy/session/describe.hpp"

namespace fieldgate::commands {
namespace {

using bson::DocumentView;
using bson::Element;

bool is_string(const Element& element, std::string_view text) {
    return element.is_string() && element.string() == text;
}

std::string keys_text(DocumentView document) {
    std::string text;
    for (const Element& element : document)
        text += (text.empty() ? "`" : ", `") + std::string(element.key()) + "`";
    return text;
}

class Merger {
 public:
    explicit Merger(MergedValidator& result) : result_(result) {}

    // The keywords of one object schema, into a document that is open. `ours` is no encrypted field.
    void merge_object(bson::Builder& out, DocumentView existing, DocumentView ours, const std::string& path) {
        std::set<std::string_view> written;
        for (const Element& keyword : existing) {
            const std::string_view key = keyword.key();
            const std::string at = below(path, key);
            if (key == "bsonType") {
                if (!is_string(keyword, "object"))
                    note(at + " becomes \"object\", which encrypted fields need");
                out.append_string(key, "object");
                written.insert("bsonType");
            } else if (key == "type" && is_string(keyword, "object")) {
                out.append_element(keyword);
                written.insert("bsonType");
            } else if (key == "type") {
                note(at + " gives way to bsonType \"object\", which encrypted fields need");
            } else if (key == "encryptMetadata") {
                note(at + " goes: every field names its own algorithm and key");
            } else if (key == "properties" || key == "patternProperties") {
                merge_names(out, key, keyword, ours, at);
                written.insert(key);
            } else {
                out.append_element(keyword);
            }
        }
        for (const Element& keyword : ours)
            if (!written.contains(keyword.key())) out.append_element(keyword);
    }

 private:
    static std::string below(const std::string& path, std::string_view key) {
        return path + "." + std::string(key);
    }
    void note(std::string text) { result_.notes.push_back(std::move(text)); }

    void merge_names(bson::Builder& out, std::string_view keyword, const Element& existing, DocumentView ours,
                     const std::string& path) {
        const auto own = ours.find(keyword);
        if (!existing.is_document() || !own) {
            if (own) result_.problems.push_back(path + " is no object");
            out.append_element(existing);
            return;
        }
        out.open_document(keyword);
        for (const Element& named : existing.document()) {
            const auto mine = own->document().find(named.key());
            if (mine)
                merge_schema(out, named, *mine, below(path, named.key()));
            else
                out.append_element(named);
        }
        for (const Element& named : own->document())
            if (!existing.document().find(named.key())) out.append_element(named);
        out.close();
    }

    void merge_schema(bson::Builder& out, const Element& existing, const Element& ours,
                      const std::string& path) {
        if (!existing.is_document()) {
            result_.problems.push_back(path + " is no object");
            return;
        }
        if (ours.document().find("encrypt")) {
            const bool same = std::ranges::equal(existing.value(), ours.value());
            if (!same && !existing.document().empty())
                note(path + ": " + keys_text(existing.document()) +
                     " gives way to `encrypt`, which may have no siblings");
            out.append_element(ours);
            return;
        }
        out.open_document(existing.key());
        merge_object(out, existing.document(), ours.document(), path);
        out.close();
    }

    MergedValidator& result_;
};

// Every protected path with all that is said of it, as a line.
std::set<std::string> lines_of(const config::Schema& schema) {
    std::set<std::string> lines;
    const auto add = [&](const std::string& path, const config::EncryptedField& field) {
        auto sorted = field;
        std::ranges::sort(sorted.bson_types);
        lines.insert("'" + path + "' as " + types_text(sorted) + ", " + std::string(algorithm_text(field)) +
                     " and " + session::key_name(field.key, ""));
    };
    for (const config::EncryptedField& field : schema.fields()) add(field.path, field);
    for (const auto& [path, index] : schema.other_paths()) add(path, schema.fields()[index]);
    return lines;
}

// What a driver, or fieldgate itself, would read from the validator must be the schema and nothing else.
void check(const config::Schema& schema, MergedValidator& result) {
    const auto validator = DocumentView::check(result.validator, bson::Limits{});
    const auto merged = validator ? validator->find("$jsonSchema") : std::nullopt;
    const auto node = merged ? bson::to_node(merged->document(), "$jsonSchema")
                             : boost::system::result<config::Node>(validator.error());
    if (!node) {
        result.problems.push_back("$jsonSchema: " + node.error().message());
        return;
    }
    const config::BuiltSchema built = config::build_schema(*node, config::SchemaOrigin::remote);
    for (const config::SchemaProblem& problem : built.problems)
        result.problems.push_back((problem.path.empty() ? "$jsonSchema" : "$jsonSchema." + problem.path) +
                                  ": " + problem.what);
    if (!built.schema) return;
    const std::set<std::string> wanted = lines_of(schema);
    const std::set<std::string> found = lines_of(*built.schema);
    for (const std::string& line : found)
        if (!wanted.contains(line))
            result.problems.push_back(
                "the validator encrypts " + line +
                ", which the configuration's schema does not: take it out of one, or put it "
                "into the other");
    for (const std::string& line : wanted)
        if (!found.contains(line)) result.problems.push_back("the validator would not encrypt " + line);
}

}  // namespace

MergedValidator merge_validator(std::optional<DocumentView> existing, const config::Schema& schema) {
    MergedValidator result;
    const auto ours = bson::from_json(config::to_extended_json(config::write_schema(schema)));
    if (!ours) {
        result.problems.emplace_back("the schema is nested too deeply for a validator");
        return result;
    }
    const DocumentView own = DocumentView::unchecked(*ours);
    bson::Builder out(result.validator);
    bool written = false;
    for (const Element& rule : existing.value_or(DocumentView())) {
        if (rule.key() != "$jsonSchema") {
            const config::PathMatch match = schema.match(rule.key());
            if (match.node != nullptr && !match.node->is_parent())
                result.notes.push_back("the rule on '" + std::string(rule.key()) +
                                       "' beside $jsonSchema stays, and will see ciphertext");
            out.append_element(rule);
            continue;
        }
        if (written || !rule.is_document()) {
            result.problems.emplace_back(written ? "$jsonSchema stands twice" : "$jsonSchema is no object");
            continue;
        }
        written = true;
        out.open_document("$jsonSchema");
        Merger(result).merge_object(out, rule.document(), own, "$jsonSchema");
        out.close();
    }
    if (!written) out.append_document("$jsonSchema", own.bytes());
    out.finish();
    if (result.problems.empty()) check(schema, result);
    return result;
}

}  // namespace fieldgate::commands
