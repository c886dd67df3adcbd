#include "proxy/session/query_analyser.hpp"

#include <algorithm>
#include <array>
#include <boost/assert.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "proxy/analysis/analysis.hpp"
#include "proxy/bson/builder.hpp"
#include "proxy/session/analysis_request.hpp"
#include "proxy/session/answer.hpp"
#include "proxy/session/gateway_hello.hpp"
#include "proxy/session/mark.hpp"
#include "proxy/session/recent_schemas.hpp"

namespace fieldgate::session {
namespace {

using analysis::Refusal;
using Outcome = QueryAnalyser::Outcome;

// The protocol of mongocryptd 8.1: csfleEncryptionSchemas, but no Queryable Encryption beside it.
constexpr std::int32_t wire_version_max = 26;
constexpr std::string_view version = "8.1.0";

constexpr std::int32_t document_bytes_max = 16 * 1024 * 1024;
// What servers take beside the 16 MiB of a document: the bound of a command, and of one with its markings.
constexpr std::size_t command_bytes_max = std::size_t{16} * 1024 * 1024 + std::size_t{16} * 1024;
constexpr std::size_t reply_overhead_bytes = 1024;
constexpr std::int32_t message_bytes_max = 48000000;

constexpr std::size_t analysis_slice_bytes = std::size_t{256} * 1024;

// Commands that change nothing here, which drivers send to whatever they are connected to.
constexpr std::array<std::string_view, 5> nothing_to_do = {"ping", "endSessions", "killSessions",
                                                           "refreshSessions", "logout"};

// A driver asks about collections only, never about views: those it refuses itself.
class PlainCollections final : public analysis::Catalog {
 public:
    const analysis::NamespaceFacts* find(std::string_view, std::string_view) const override {
        static const analysis::NamespaceFacts facts;
        return &facts;
    }
};

bool has_markings(const analysis::Plan& plan) {
    return std::any_of(plan.edits.begin(), plan.edits.end(),
                       [](const analysis::Edit& edit) { return edit.kind == analysis::Edit::Kind::encrypt; });
}

wire::Buffer hello_document(const HelloRequest& hello, std::uint64_t connection_id,
                            std::int64_t now_unix_ms) {
    wire::Buffer out;
    bson::Builder doc(out);
    if (hello.hello_ok) doc.append_bool("helloOk", true);
    // Without logicalSessionTimeoutMinutes: a driver that read one would send sessions of its own.
    doc.append_bool(hello.command == "hello" ? "isWritablePrimary" : "ismaster", true)
        .append_bool("iscryptd", true)
        .append_int32("maxBsonObjectSize", document_bytes_max)
        .append_int32("maxMessageSizeBytes", message_bytes_max)
        .append_date("localTime", now_unix_ms)
        .append_int32("connectionId", static_cast<std::int32_t>(connection_id & 0x7FFFFFFF))
        .append_int32("minWireVersion", 0)
        .append_int32("maxWireVersion", wire_version_max)
        .append_double("ok", 1.0)
        .finish();
    return out;
}

wire::Buffer build_info_document() {
    wire::Buffer out;
    bson::Builder doc(out);
    doc.append_string("version", version).open_array("versionArray");
    std::size_t index = 0;
    for (const std::int32_t part : {8, 1, 0, 0}) doc.append_int32(bson::index_key(index++), part);
    doc.close().append_int32("maxBsonObjectSize", document_bytes_max).append_double("ok", 1.0).finish();
    return out;
}

wire::Buffer ok_document() {
    wire::Buffer out;
    bson::Builder(out).append_double("ok", 1.0).finish();
    return out;
}

}  // namespace

// One command under analysis. The request's frame outlives it; everything else is its own.
struct AnalysisJob {
    AnalysisReply reply;
    wire::OpMsg command;  // inside the reply's frame
    std::vector<GivenSchema> given;
    config::Config config;  // made for this request: its schemas, literally named
    PlainCollections catalog;
    std::optional<analysis::RequestAnalysis> analysis;
    wire::OpMsg envelope;
    std::optional<Marker> marker;
};

struct QueryAnalyser::State {
    State(std::shared_ptr<const config::Config> served, std::uint64_t id)
        : config(std::move(served)), connection_id(id) {}

    std::optional<Outcome> answer_at_once(const wire::OpMsg& message);
    std::optional<Refusal> begin(const wire::OpMsg& message);
    std::optional<Refusal> take_schemas();
    std::optional<Refusal> check_namespaces() const;
    Outcome advance();
    Outcome answer(wire::Bytes document) const;
    Outcome refuse(const Refusal& refusal);

    const std::shared_ptr<const config::Config> config;
    const std::uint64_t connection_id;
    wire::Header header;  // of the request
    std::int32_t next_id = 1;
    RecentSchemas schemas;
    std::unique_ptr<AnalysisJob> job;  // only while a command is analysed
    std::string_view last_command = "unknown";
    std::int64_t now_unix_ms = 0;
};

Outcome QueryAnalyser::State::answer(wire::Bytes document) const {
    Outcome outcome;
    outcome.answer = header.opcode == wire::Opcode::query
                         ? wire::make_op_reply(next_id, header.request_id, document)
                         : wire::make_op_msg(next_id, header.request_id, document);
    return outcome;
}

Outcome QueryAnalyser::State::refuse(const Refusal& refusal) {
    Outcome outcome;
    outcome.answer = error_reply(header, next_id, error_document(refusal));
    outcome.refusal = refusal.errmsg;
    job.reset();
    return outcome;
}

std::optional<Outcome> QueryAnalyser::State::answer_at_once(const wire::OpMsg& message) {
    last_command = "unknown";
    if (message.body.empty())
        return refuse({analysis::code::failed_to_parse, "FailedToParse", "The command is empty"});
    const std::string_view name = (*message.body.begin()).key();
    if (const auto hello = parse_hello(message.body)) {
        last_command = "handshake";
        return answer(hello_document(*hello, connection_id, now_unix_ms));
    }
    if (name == "buildInfo" || name == "buildinfo") {
        last_command = "buildInfo";
        return answer(build_info_document());
    }
    const auto idle = std::find(nothing_to_do.begin(), nothing_to_do.end(), name);
    if (idle != nothing_to_do.end()) {
        last_command = *idle;
        return answer(ok_document());
    }
    if (!is_analysed_for_drivers(name))
        return refuse({analysis::code::command_not_supported, "CommandNotSupported",
                       "command not supported for auto encryption: this listener of fieldgate is no database "
                       "server, but analyses commands for a driver that encrypts by itself (its "
                       "mongocryptdURI)"});
    return std::nullopt;
}

// From the request to an analysis that can start.
std::optional<Refusal> QueryAnalyser::State::begin(const wire::OpMsg& message) {
    std::size_t command_bytes = message.body.bytes().size();
    for (const wire::Sequence& sequence : message.sequences()) command_bytes += sequence.documents.size();
    if (command_bytes > command_bytes_max)
        return Refusal{analysis::code::bson_object_too_large, "BSONObjectTooLarge",
                       "the command is larger than 16 MiB + 16 KiB, which no server takes: send fewer "
                       "documents at once, or smaller ones"};
    job = std::make_unique<AnalysisJob>();
    job->reply = fold_into_reply(message, next_id);
    job->command = job->reply.command();
    const bson::Limits limits{config->limits.nesting_levels};
    const auto checked = bson::DocumentView::check(job->command.body.bytes(), limits);
    if (!checked)
        return Refusal{analysis::code::invalid_bson, "InvalidBSON",
                       "The command is not valid BSON: " + checked.error().message()};
    if (auto refusal = read_given_schemas(message.body, *checked, limits, job->given)) return refusal;
    if (auto refusal = take_schemas()) return refusal;
    job->analysis.emplace(job->command, analysis::Context{job->config, job->catalog});
    return std::nullopt;
}

std::optional<Refusal> QueryAnalyser::State::take_schemas() {
    config::Config& made = job->config;
    made.limits = config->limits;
    made.unlisted_namespaces = config::Config::Unlisted::pass;
    // The driver has a key vault of its own, at a place that it does not tell.
    made.key_vault.database.clear();
    made.key_vault.collection.clear();
    for (const GivenSchema& given : job->given) {
        auto schema = schemas.get(given);
        if (schema.has_error()) return schema.error();
        if ((*schema)->empty()) continue;
        if (given.name.collection.find('*') != std::string::npos)
            return Refusal{analysis::code::invalid_namespace, "InvalidNamespace",
                           "a collection with a star in its name cannot have encrypted fields"};
        config::ProtectedNamespace& entry = made.schemas.emplace_back();
        entry.pattern = {given.name.database, given.name.collection};
        entry.schema = std::move(*schema);
        entry.index = config::ProtectedNamespace::not_listed;
        // Values that the application encrypted itself may stand outside the schema.
        entry.explicit_encryption_allow = true;
    }
    return std::nullopt;
}

// A namespace whose schema the driver did not send could have encrypted fields all the same.
std::optional<Refusal> QueryAnalyser::State::check_namespaces() const {
    const analysis::Plan& plan = job->analysis->plan();
    std::vector<analysis::NamespaceName> names = plan.others;
    names.push_back({std::string(plan.database), std::string(plan.collection)});
    for (const analysis::NamespaceName& name : names) {
        const auto is_this = [&](const GivenSchema& given) { return given.name == name; };
        if (std::none_of(job->given.begin(), job->given.end(), is_this))
            return Refusal{analysis::code::bad_value, "BadValue",
                           "Missing encryption schema for namespace: " + name.database + "." +
                               name.collection +
                               " (the driver's encryption library may be too old to send several)"};
    }
    return std::nullopt;
}

Outcome QueryAnalyser::State::advance() {
    Outcome again;
    again.kind = Outcome::Kind::again;
    AnalysisJob& current = *job;
    if (!current.marker) {
        using Step = analysis::RequestAnalysis::Step;
        const Step step = current.analysis->step(analysis_slice_bytes);
        const analysis::Plan& plan = current.analysis->plan();
        if (!plan.command.empty()) last_command = plan.command;
        if (step == Step::more) return again;
        if (step == Step::refused) return refuse(current.analysis->refusal());
        BOOST_ASSERT_MSG(step == Step::done, "every namespace is known");
        if (const auto refusal = check_namespaces()) return refuse(*refusal);
        AnalysisReply& reply = current.reply;
        reply.frame[reply.requires_encryption_offset] = current.config.schemas.empty() ? 0 : 1;
        reply.frame[reply.has_placeholders_offset] = has_markings(plan) ? 1 : 0;
        const auto envelope = wire::OpMsg::parse(reply.frame);
        BOOST_ASSERT_MSG(envelope, "a message of our own");
        current.envelope = *envelope;
        current.marker.emplace(current.envelope, reply.frame, plan, reply.database_offset,
                               command_bytes_max + reply_overhead_bytes);
    }
    const Work work = current.marker->step(SliceBudget{});
    if (work == Work::more) return again;
    if (work == Work::refused) return refuse(current.marker->refusal());
    Outcome outcome;
    outcome.answer = current.marker->take();
    job.reset();
    return outcome;
}

QueryAnalyser::QueryAnalyser(std::shared_ptr<const config::Config> config, std::uint64_t connection_id)
    : state_(std::make_unique<State>(std::move(config), connection_id)) {}

QueryAnalyser::~QueryAnalyser() = default;

std::string_view QueryAnalyser::last_command() const {
    return state_->last_command;
}

Outcome QueryAnalyser::on_request(wire::Bytes frame, std::int64_t now_unix_ms) {
    State& state = *state_;
    if (state.job) return state.advance();
    state.header = wire::Header::parse(frame);
    state.now_unix_ms = now_unix_ms;
    state.next_id = state.next_id == 0x7FFFFFFF ? 1 : state.next_id + 1;

    const auto malformed = [&](const boost::system::error_code& ec) {
        Outcome outcome = state.refuse(
            {analysis::code::failed_to_parse, "FailedToParse", "malformed message: " + ec.message()});
        outcome.kind = Outcome::Kind::close;
        return outcome;
    };
    if (state.header.opcode == wire::Opcode::query) {
        const auto query = wire::OpQuery::parse(frame);
        if (!query) return malformed(query.error());
        const auto hello = query->is_command() ? parse_hello(query->query) : std::nullopt;
        if (hello) {
            state.last_command = "handshake";
            return state.answer(hello_document(*hello, state.connection_id, now_unix_ms));
        }
        return state.refuse({analysis::code::unsupported_op_query_command, "UnsupportedOpQueryCommand",
                             "Unsupported OP_QUERY: fieldgate takes only hello and isMaster as OP_QUERY"});
    }
    if (state.header.opcode != wire::Opcode::msg) {
        Outcome outcome = state.refuse({analysis::code::command_not_supported, "CommandNotSupported",
                                        "only OP_MSG, and OP_QUERY for hello and isMaster, are supported"});
        if (outcome.answer.empty()) outcome.kind = Outcome::Kind::close;
        return outcome;
    }
    const auto message = wire::OpMsg::parse(frame);
    if (!message) return malformed(message.error());
    if (message->more_to_come()) return {};  // nobody waits for an answer, and there is nothing to do
    if (auto outcome = state.answer_at_once(*message)) return std::move(*outcome);
    if (const auto refusal = state.begin(*message)) return state.refuse(*refusal);
    return state.advance();
}

}  // namespace fieldgate::session
