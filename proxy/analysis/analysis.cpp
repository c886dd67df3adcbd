#include "proxy/analysis/analysis.hpp"

#include <algorithm>

#include "proxy/analysis/commands.hpp"
#include "proxy/analysis/handlers.hpp"
#include "proxy/analysis/namespaces.hpp"
#include "proxy/analysis/request.hpp"
#include "proxy/analysis/server_check.hpp"

namespace fieldgate::analysis {
namespace {

// `$db` and the command itself must stand in the body once: readers disagree about which of two counts.
bool read_database(Request& request) {
    const bson::DocumentView body = request.message.body;
    const std::string_view name = (*body.begin()).key();
    bool has_database = false;
    bool own_name = true;
    for (const bson::Element& element : body) {
        const std::string_view key = element.key();
        if (own_name) {
            own_name = false;
        } else if (key == name) {
            return request.refuse(code::failed_to_parse, quote(name) + " is a duplicate field");
        }
        if (key != "$db") continue;
        if (has_database || !element.is_string())
            return request.refuse(code::failed_to_parse, "BSON field '$db' must be a string, once");
        has_database = true;
        request.plan.database = element.string();
    }
    if (!has_database) return request.refuse(code::failed_to_parse, "BSON field '$db' is missing");
    // Users of X.509 and LDAP log in there; it holds no collections.
    return request.plan.database == "$external" || admit_database_name(request, request.plan.database);
}

bool admit_sequences(Request& request) {
    const Command& command = *request.command;
    for (const wire::Sequence& sequence : request.message.sequences())
        if (sequence.id.empty() ||
            (sequence.id != command.sequence.name && sequence.id != command.second_sequence))
            return request.refuse(code::failed_to_parse, "The command " + quote(command.name) +
                                                             " cannot have a document sequence " +
                                                             quote(sequence.id));
    return true;
}

bool refuse_name(Request& request) {
    return request.refuse(code::invalid_namespace,
                          "The command " + quote(request.command->name) +
                              " needs the name of a collection as a string: collections by UUID are refused");
}

bool admit_whole_database(Request& request) {
    const std::string_view database = request.plan.database;
    if (database == "local" || database == "config") request.plan.requires_reveal_everything = true;
    return true;
}

// Cursors of commands about a whole database belong to no collection.
bool is_database_cursor(std::string_view collection) {
    return collection == "$cmd.listCollections" || collection == "$cmd.aggregate" ||
           collection == "$cmd.bulkWrite";
}

bool find_namespace(Request& request) {
    const bson::Element own = *request.document.begin();
    const std::string_view database = request.plan.database;
    switch (request.command->where) {
        case Where::nowhere:
        case Where::handler:
            return true;
        case Where::database:
            return admit_whole_database(request);
        case Where::first_or_database:
            if (own.whole_number() == 1) return admit_whole_database(request);
            break;
        case Where::first:
            break;
        case Where::collection_field: {
            const auto collection = request.document.find("collection");
            if (!collection || !collection->is_string() || request.document.count("collection") > 1)
                return refuse_name(request);
            if (!is_database_cursor(collection->string()))
                return admit_namespace(request, database, collection->string());
            if (collection->string() == "$cmd.aggregate") request.plan.requires_reveal_everything = true;
            if (collection->string() == "$cmd.bulkWrite") {
                // Whoever wrote may know what came of it, whatever else of the database it may use.
                request.plan.continues_bulk_write = true;
                request.plan.access = Access::none;
                return true;
            }
            return admit_whole_database(request);
        }
        case Where::full_name: {
            if (!own.is_string()) return refuse_name(request);
            const auto split = split_full_name(own.string());
            return split ? admit_namespace(request, split->database, split->collection)
                         : refuse_name(request);
        }
    }
    if (!own.is_string()) return refuse_name(request);
    if (request.command->name == "killCursors" && is_database_cursor(own.string()))
        return admit_whole_database(request);
    return admit_namespace(request, database, own.string());
}

// A command that is not in the table: vouched for by the operator, or refused.
bool admit_unknown(Request& request, std::string_view name) {
    const auto& vouched = request.context.config.commands_pass;
    if (std::find(vouched.begin(), vouched.end(), name) == vouched.end())
        return request.refuse(code::command_not_supported,
                              "command not supported for auto encryption: " + quote(name) +
                                  ". fieldgate does not know it; `commands: { pass: [...] }` vouches for it");
    request.plan.command = "(vouched for)";
    if (!request.message.sequences().empty())
        return request.refuse(code::failed_to_parse,
                              "A command of `commands.pass` cannot have a document sequence");
    return read_database(request);
}

bool refuse_on_protected(Request& request) {
    const Plan& plan = request.plan;
    std::string text = "command not supported for auto encryption: " + std::string(plan.command) + " on " +
                       quote(std::string(plan.database) + "." + std::string(plan.collection));
    if (!request.command->why.empty()) text += ": " + std::string(request.command->why);
    return request.refuse(code::command_not_supported, std::move(text));
}

// From the body to the namespaces: what can be said before a schema is looked at.
bool route(Request& request) {
    const bson::DocumentView body = request.message.body;
    if (body.empty()) return request.refuse(code::failed_to_parse, "The command is empty");
    const std::string_view name = (*body.begin()).key();
    const Command* command = find_command(name);
    request.command = command;
    if (command == nullptr) return admit_unknown(request, name);

    Plan& plan = request.plan;
    plan.command = command->name;
    plan.access = command->access;
    plan.deletes = command->deletes;
    if (command->standing == Standing::closed)
        return request.refuse(code::command_not_supported, "The command " + quote(command->name) +
                                                               " is refused: " + std::string(command->why));
    plan.requires_reveal_everything = command->standing == Standing::reveals;
    if (!read_database(request) || !admit_sequences(request) || !find_namespace(request)) return false;
    const bool looks = command->look != nullptr && (!plan.touches_protected() || command->joins);
    if (looks && !command->look(request)) return false;
    if (plan.touches_protected() && command->on_protected == OnProtected::refuse)
        return refuse_on_protected(request);
    if (!plan.own_is_protected) request.enter_part(Request::no_part);
    // What is missing of other namespaces is asked for first.
    return request.server_documents.empty() || !request.needed.empty() || command->where == Where::nowhere ||
           admit_server_documents(request);
}

bool analyse_body(Request& request) {
    const Command& command = *request.command;
    bson::Facts facts;
    bson::DocumentView body;
    if (!request.check(request.message.body.bytes(), body, &facts)) return false;
    request.document = body;
    request.has_ciphertext = facts.has_encrypted_binary;
    if (!walk_fields(request, body, command.fields, command.name, true)) return false;
    if (!command.finish(request)) return false;
    // Each operation of a bulkWrite is looked at alone: some may be about unprotected namespaces.
    return !facts.has_encrypted_binary || !request.bulk_parts.empty() ||
           request.admit_foreign_ciphertext(body, 0);
}

bool analyse_item(Request& request, bson::Bytes bytes) {
    request.next_statement();
    bson::Facts facts;
    bson::DocumentView statement;
    if (!request.check(bytes, statement, &facts)) return false;
    const std::size_t edits_before = request.plan.edits.size();
    request.has_ciphertext = facts.has_encrypted_binary;
    if (!walk_item(request, statement)) return false;
    return !facts.has_encrypted_binary || !request.bulk_parts.empty() ||
           request.admit_foreign_ciphertext(statement, edits_before);
}

bool look_at_item(Request& request, bson::Bytes bytes) {
    bson::DocumentView statement;
    return request.check_top_level(bytes, statement) &&
           request.command->sequence.plain_item(request, statement);
}

}  // namespace

// Where the walk over the sequences stands.
struct RequestAnalysis::State {
    Request request;
    std::size_t sequence = 0;
    std::size_t offset = 0;

    bool at_end() const { return sequence == request.message.sequence_count; }

    // The next statement; false if it was refused.
    bool next(std::size_t& bytes_left) {
        const wire::Sequence& current = request.message.sequences()[sequence];
        if (current.id != request.command->sequence.name || offset == current.documents.size()) {
            ++sequence;
            offset = 0;
            return true;
        }
        const bson::Bytes bytes = first_document(current.documents.subspan(offset));
        offset += bytes.size();
        bytes_left -= std::min(bytes_left, bytes.size());
        return request.plan.touches_protected() ? analyse_item(request, bytes) : look_at_item(request, bytes);
    }
};

RequestAnalysis::RequestAnalysis(const wire::OpMsg& message, const Context& context)
    : message_(message), context_(context) {}

RequestAnalysis::~RequestAnalysis() = default;

RequestAnalysis::Step RequestAnalysis::start() {
    started_ = true;
    Request request(message_, context_, plan_, refusal_, needed_);
    if (!route(request)) return Step::refused;
    if (!needed_.empty()) return Step::need_namespaces;

    const bool is_protected = plan_.touches_protected();
    if (is_protected && !analyse_body(request)) return Step::refused;
    const bool looks_at_items =
        request.command != nullptr && (is_protected ? request.command->on_protected == OnProtected::analyse
                                                    : request.command->sequence.plain_item != nullptr);
    if (looks_at_items && message_.sequence_count > 0) {
        state_ = std::make_unique<State>(State{std::move(request)});
        return Step::more;
    }
    return Step::done;
}

RequestAnalysis::Step RequestAnalysis::step(std::size_t bytes_max) {
    if (!started_) {
        const Step first = start();
        if (first == Step::refused || first == Step::need_namespaces) return first;
    }
    for (std::size_t bytes_left = std::max<std::size_t>(bytes_max, 1); state_ && !state_->at_end();) {
        if (bytes_left == 0) return Step::more;
        if (!state_->next(bytes_left)) return Step::refused;
    }
    // Sections come in any order, and statements are walked field by field.
    const auto by_offset = [](const Edit& a, const Edit& b) { return a.offset < b.offset; };
    if (!std::is_sorted(plan_.edits.begin(), plan_.edits.end(), by_offset))
        std::sort(plan_.edits.begin(), plan_.edits.end(), by_offset);
    std::sort(plan_.edit_keys.begin(), plan_.edit_keys.end(),
              [](const EditKey& a, const EditKey& b) { return a.offset < b.offset; });
    return Step::done;
}

}  // namespace fieldgate::analysis
