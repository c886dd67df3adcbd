#include "proxy/session/analysis_request.hpp"

#include <algorithm>
#include <array>
#include <boost/assert.hpp>
#include <boost/endian/conversion.hpp>
#include <string>
#include <utility>

#include "proxy/bson/builder.hpp"

namespace fieldgate::session {
namespace {

using analysis::NamespaceName;
using analysis::Refusal;
using bson::Element;

constexpr std::array<std::string_view, 14> analysed_commands = {
    "aggregate", "bulkWrite", "collMod", "count",         "create",        "createIndexes", "delete",
    "distinct",  "explain",   "find",    "findAndModify", "findandmodify", "insert",        "update",
};

constexpr std::string_view json_schema = "jsonSchema";
constexpr std::string_view is_remote_schema = "isRemoteSchema";
constexpr std::string_view many_schemas = "csfleEncryptionSchemas";
constexpr std::string_view queryable_encryption = "encryptionInformation";

// A command names at most as many namespaces: its own and those that analysis takes beside it.
constexpr std::size_t schemas_max = 65;
// Of all schemas of a command together: each is read in one go, into a tree that is much larger.
constexpr std::size_t schema_bytes_max = std::size_t{2} * 1024 * 1024;

bool is_for_analyser(std::string_view key) {
    return key == json_schema || key == is_remote_schema || key == many_schemas;
}

Refusal refusal_of(std::int32_t code, std::string errmsg) {
    return {code, analysis::code_name(code), std::move(errmsg)};
}

Refusal too_large(std::string_view what) {
    return refusal_of(analysis::code::bson_object_too_large,
                      std::string(what) + " is larger than " + std::to_string(schema_bytes_max) + " bytes");
}

Refusal failed_to_parse(std::string errmsg) {
    return refusal_of(analysis::code::failed_to_parse, std::move(errmsg));
}

std::optional<NamespaceName> split(std::string_view full_name) {
    const std::size_t dot = full_name.find('.');
    if (dot == std::string_view::npos || dot == 0 || dot + 1 == full_name.size()) return std::nullopt;
    return NamespaceName{std::string(full_name.substr(0, dot)), std::string(full_name.substr(dot + 1))};
}

// The entries of a bulkWrite's nsInfo; none for other commands.
std::vector<bson::DocumentView> namespace_infos(bson::DocumentView command) {
    std::vector<bson::DocumentView> infos;
    const auto array = command.find("nsInfo");
    if ((*command.begin()).key() != "bulkWrite" || !array || !array->is_array()) return infos;
    for (const Element& entry : array->document())
        if (entry.is_document()) infos.push_back(entry.document());
    return infos;
}

bool asks_for_queryable_encryption(bson::DocumentView command) {
    const auto names_it = [](bson::DocumentView document) {
        return document.find(queryable_encryption).has_value();
    };
    if (names_it(command)) return true;
    const Element own = *command.begin();
    if (own.key() == "explain" && own.is_document() && names_it(own.document())) return true;
    const auto infos = namespace_infos(command);
    return std::any_of(infos.begin(), infos.end(), names_it);
}

// The one namespace that a lone jsonSchema is of; nothing where the command has none or several.
std::optional<NamespaceName> namespace_of(bson::DocumentView command) {
    const Element own = *command.begin();
    if (own.key() == "bulkWrite") {
        const auto infos = namespace_infos(command);
        const auto name = infos.size() == 1 ? infos.front().find("ns") : std::nullopt;
        return name && name->is_string() ? split(name->string()) : std::nullopt;
    }
    const auto database = command.find("$db");
    Element named = own;
    if (own.key() == "explain") {
        if (!own.is_document() || own.document().empty()) return std::nullopt;
        named = *own.document().begin();
    }
    if (!database || !database->is_string() || !named.is_string() || named.string().empty())
        return std::nullopt;
    return NamespaceName{std::string(database->string()), std::string(named.string())};
}

// {jsonSchema, isRemoteSchema} at the top of the command or of an entry of csfleEncryptionSchemas.
std::optional<Refusal> read_pair(bson::DocumentView from, std::string_view where, const bson::Limits& limits,
                                 GivenSchema& given) {
    const auto at = [&](std::string_view field) { return std::string(where) + std::string(field); };
    for (const std::string_view field : {json_schema, is_remote_schema})
        if (from.count(field) > 1) return failed_to_parse(at(field) + " is a duplicate field");
    const auto schema = from.find(json_schema);
    if (!schema)
        return failed_to_parse(at(json_schema) +
                               " is required: this is no database server, but analyses commands for a "
                               "driver that encrypts by itself (its mongocryptdURI)");
    const auto remote = from.find(is_remote_schema);
    if (!remote) return failed_to_parse(at(is_remote_schema) + " is required");
    if (!schema->is_document())
        return refusal_of(analysis::code::type_mismatch, at(json_schema) + " must be an object");
    if (remote->type() != bson::Type::boolean)
        return refusal_of(analysis::code::type_mismatch, at(is_remote_schema) + " must be a boolean");
    if (schema->value().size() > schema_bytes_max) return too_large(at(json_schema));
    const auto checked = bson::DocumentView::check(schema->value(), limits);
    if (!checked)
        return refusal_of(analysis::code::invalid_bson,
                          at(json_schema) + " is not valid BSON: " + checked.error().message());
    given.schema = *checked;
    given.remote = remote->boolean();
    return std::nullopt;
}

std::optional<Refusal> read_many(const Element& many, const bson::Limits& limits,
                                 std::vector<GivenSchema>& schemas) {
    const std::string name(many_schemas);
    const auto entries =
        many.is_document() ? bson::DocumentView::check_top_level(many.value()) : bson::DocumentView();
    if (!entries || entries->empty())
        return refusal_of(analysis::code::type_mismatch,
                          name + " must be an object with a schema for each namespace");
    if (many.value().size() > schema_bytes_max) return too_large(name);
    for (const Element& entry : *entries) {
        if (schemas.size() == schemas_max)
            return refusal_of(
                analysis::code::command_not_supported,
                name + " has schemas of more than " + std::to_string(schemas_max) + " namespaces");
        auto split_name = split(entry.key());
        if (!split_name)
            return refusal_of(analysis::code::invalid_namespace,
                              name + ": a key must be the full name of a collection");
        const auto taken = [&](const GivenSchema& earlier) { return earlier.name == *split_name; };
        if (std::any_of(schemas.begin(), schemas.end(), taken))
            return failed_to_parse(name + " has two schemas of one namespace");
        const auto pair =
            entry.is_document() ? bson::DocumentView::check_top_level(entry.value()) : bson::DocumentView();
        if (!pair) return refusal_of(analysis::code::invalid_bson, name + " is not valid BSON");
        for (const Element& field : *pair)
            if (field.key() != json_schema && field.key() != is_remote_schema)
                return refusal_of(analysis::code::unknown_field,
                                  name + ": an entry has jsonSchema and isRemoteSchema, and nothing else");
        GivenSchema& given = schemas.emplace_back();
        given.name = std::move(*split_name);
        if (auto refusal = read_pair(*pair, name + ": ", limits, given)) return refusal;
    }
    return std::nullopt;
}

}  // namespace

bool is_analysed_for_drivers(std::string_view command) {
    return std::find(analysed_commands.begin(), analysed_commands.end(), command) != analysed_commands.end();
}

wire::OpMsg AnalysisReply::command() const {
    wire::OpMsg message;
    message.header = wire::Header::parse(frame);
    const wire::Bytes bytes = wire::Bytes(frame).subspan(command_offset);
    const auto body =
        bson::DocumentView::check_top_level(bytes.first(boost::endian::load_little_u32(bytes.data())));
    BOOST_ASSERT_MSG(body, "the builder's own document");
    message.body = *body;
    message.body_offset = command_offset;
    return message;
}

AnalysisReply fold_into_reply(const wire::OpMsg& request, std::int32_t reply_id) {
    AnalysisReply reply;
    wire::Buffer& out = reply.frame;
    wire::append_header(out, reply_id, request.header.request_id, wire::Opcode::msg);
    out.resize(out.size() + 4 + 1);  // no flags; one section, of kind 0
    bson::Builder doc(out);
    doc.append_bool("hasEncryptionPlaceholders", false);
    reply.has_placeholders_offset = out.size() - 1;
    doc.append_bool("schemaRequiresEncryption", false);
    reply.requires_encryption_offset = out.size() - 1;
    doc.open_document("result");
    reply.command_offset = out.size() - 4;
    for (const Element& element : request.body)
        if (element.key() != "$db" && !is_for_analyser(element.key())) doc.append_element(element);
    for (const wire::Sequence& sequence : request.sequences()) {
        doc.open_array(sequence.id);
        std::size_t index = 0;
        for (wire::Bytes rest = sequence.documents; !rest.empty();) {
            const wire::Bytes document = rest.first(boost::endian::load_little_u32(rest.data()));
            doc.append_document(bson::index_key(index++), document);
            rest = rest.subspan(document.size());
        }
        doc.close();
    }
    reply.database_offset = out.size();
    for (const Element& element : request.body)
        if (element.key() == "$db") doc.append_element(element);
    doc.close().append_double("ok", 1.0).finish();
    wire::finish_message(out);
    return reply;
}

std::optional<Refusal> read_given_schemas(bson::DocumentView body, bson::DocumentView command,
                                          const bson::Limits& limits, std::vector<GivenSchema>& schemas) {
    if (asks_for_queryable_encryption(command))
        return refusal_of(
            analysis::code::command_not_supported,
            "encryptionInformation is of Queryable Encryption, which fieldgate does not analyse");
    if (const auto many = body.find(many_schemas)) {
        if (body.count(many_schemas) > 1 || body.find(json_schema) || body.find(is_remote_schema))
            return failed_to_parse(
                "csfleEncryptionSchemas must stand alone, without jsonSchema and isRemoteSchema");
        return read_many(*many, limits, schemas);
    }
    GivenSchema given;
    if (auto refusal = read_pair(body, "", limits, given)) return refusal;
    auto name = namespace_of(command);
    if (!name)
        return refusal_of(
            analysis::code::invalid_namespace,
            "non-collection command not supported for auto encryption: the command must be about one "
            "collection of its $db, named as a string");
    given.name = std::move(*name);
    schemas.push_back(std::move(given));
    return std::nullopt;
}

}  // namespace fieldgate::session
