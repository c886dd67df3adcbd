#include "transcript.hpp"

#include <gtest/gtest.h>

#include "proxy/bson/builder.hpp"

namespace fieldgate::session::testing {

namespace {

constexpr std::string_view member = "db1:27017";

void add_field(config::Schema& schema, std::vector<std::string> path, config::Algorithm algorithm,
               std::uint8_t type) {
    config::SchemaNode* node = &schema.root_;
    std::string dotted;
    for (std::string& name : path) {
        dotted += (dotted.empty() ? "" : ".") + name;
        node = &node->add_child(std::move(name));
    }
    node->field = static_cast<std::uint16_t>(schema.fields_.size());
    schema.fields_.push_back({dotted, algorithm, config::KeyAltName{"clinic"}, {type}});
}

config::Role role_of(const config::Config& config, std::string name, config::FieldRule rule) {
    config::Role role;
    role.name = std::move(name);
    role.encrypted_fields = rule;
    for (const config::ProtectedNamespace& ns : config.schemas)
        role.rules.emplace_back(ns.schema->fields().size(), rule);
    return role;
}

}  // namespace

std::shared_ptr<config::Config> clinic() {
    using config::Algorithm;
    auto config = std::make_shared<config::Config>();
    auto schema = std::make_shared<config::Schema>();
    add_field(*schema, {"ssn"}, Algorithm::deterministic, 0x10);
    add_field(*schema, {"bloodType"}, Algorithm::random, 0x02);
    add_field(*schema, {"medicalRecords"}, Algorithm::random, 0x04);
    add_field(*schema, {"insurance", "policyNumber"}, Algorithm::deterministic, 0x10);
    add_field(*schema, {"dateOfBirth"}, Algorithm::random, 0x09);
    add_field(*schema, {"email"}, Algorithm::random, 0x02);
    config->schemas.push_back({{"medicalRecords", "patients"}, schema, 0, false});
    config->roles.push_back(role_of(*config, "doctor", {{config::ReadRule::Kind::reveal, 0}, true, true}));
    config->roles.push_back(
        role_of(*config, "receptionist", {{config::ReadRule::Kind::omit, 0}, false, false}));
    config->listeners.resize(2);
    config->listeners[0].name = "doctors";
    config->listeners[0].role = 0;
    config->listeners[1].name = "receptionists";
    config->listeners[1].role = 1;
    return config;
}

const analysis::NamespaceFacts* MapCatalog::find(std::string_view database,
                                                 std::string_view collection) const {
    const auto found = facts.find(std::string(database) + "." + std::string(collection));
    return found == facts.end() ? nullptr : &found->second;
}

Transcript::Transcript(Process& process, std::size_t listener) : process_(process) {
    Shared shared;
    shared.config = process.config;
    shared.catalog = &process.catalog;
    shared.ring = &process.ring;
    shared.cursors = &process.cursors;
    shared.upstream = &process.facts;
    shared.connection_id = 7;
    shared.listener = listener;
    session_ = std::make_unique<Session>(std::move(shared));
}

wire::Buffer Transcript::json(std::string_view text) {
    auto document = bson::from_json(text);
    EXPECT_TRUE(document) << text;
    return document ? *document : wire::Buffer{};
}

Transcript::Result Transcript::request(std::string_view text, std::uint32_t flags) {
    return request_bytes(wire::make_op_msg(next_request_id_++, 0, json(text), flags));
}

Transcript::Result Transcript::request_bytes(wire::Buffer frame) {
    kept_.push_back(std::move(frame));
    const wire::Buffer& bytes = kept_.back();
    for (int turn = 0; turn < 10000; ++turn) {
        RequestOutcome outcome = session_->on_request(bytes, now_);
        switch (outcome.action) {
            case RequestAction::need_upstream: {
                ++handshakes;
                if (!upstream_down.empty()) {
                    session_->upstream_unavailable(upstream_down);
                    break;
                }
                last_upstream_hello = session_->upstream_hello();
                const auto answer = wire::make_op_msg(1, wire::Header::parse(last_upstream_hello).request_id,
                                                      json(upstream_hello_reply));
                if (session_->on_upstream_hello(answer, member) != UpstreamState::ready)
                    session_->upstream_unavailable("no primary");
                break;
            }
            case RequestAction::need_keys:
                ++key_fetches;
                put_keys(outcome.keys);
                break;
            case RequestAction::need_namespaces:
                ++namespace_lookups;
                for (const analysis::NamespaceName& name : outcome.namespaces)
                    process_.catalog.facts.try_emplace(name.database + "." + name.collection);
                break;
            case RequestAction::again:
                ++slices;
                break;
            case RequestAction::forward: {
                Result result{outcome.action, {outcome.bytes.begin(), outcome.bytes.end()}, {}};
                const auto message = wire::OpMsg::parse(result.bytes);
                EXPECT_TRUE(message);
                if (message && !message->more_to_come()) upstream_.push_back(message->header.request_id);
                session_->request_written();
                flush();
                return result;
            }
            case RequestAction::answered:
            case RequestAction::close:
                flush();
                return {outcome.action, {}, std::move(outcome.reason)};
        }
    }
    ADD_FAILURE() << "the session keeps asking";
    return {};
}

ReplyOutcome Transcript::reply(std::string_view text, std::uint32_t flags) {
    return reply_document(json(text), flags);
}

ReplyOutcome Transcript::reply_document(wire::Bytes document, std::uint32_t flags) {
    if (upstream_.empty()) {
        ADD_FAILURE() << "no request is upstream";
        return {};
    }
    const std::int32_t id = next_server_id_++;
    kept_.push_back(wire::make_op_msg(id, upstream_.front(), document, flags));
    const wire::Buffer& bytes = kept_.back();
    if ((flags & wire::flag_more_to_come) != 0)
        upstream_.front() = id;
    else
        upstream_.erase(upstream_.begin());

    const ReplyRoute route = session_->route_reply(wire::Bytes(bytes).first(20));
    if (route == ReplyRoute::close) {
        ADD_FAILURE() << "the session does not expect this reply";
        return {};
    }
    if (route == ReplyRoute::stream) {
        session_->reply_started(wire::Bytes(bytes).first(20));
        received_.push_back(body_of(bytes));
        session_->reply_finished();
        flush();
        ReplyOutcome outcome;
        outcome.action = ReplyAction::forward;
        return outcome;
    }
    for (int turn = 0; turn < 10000; ++turn) {
        ReplyOutcome outcome = session_->on_reply(bytes, now_);
        if (outcome.action == ReplyAction::need_keys) {
            ++key_fetches;
            put_keys(outcome.keys);
            continue;
        }
        if (outcome.action == ReplyAction::again) {
            ++slices;
            continue;
        }
        if (outcome.action == ReplyAction::forward) received_.push_back(body_of(outcome.bytes));
        if (!outcome.to_server.empty()) {
            kept_.push_back({outcome.to_server.begin(), outcome.to_server.end()});
            upstream_.push_back(wire::Header::parse(kept_.back()).request_id);
            outcome.to_server = kept_.back();
        }
        session_->reply_finished();
        flush();
        return outcome;
    }
    ADD_FAILURE() << "the session keeps asking";
    return {};
}

void Transcript::flush() {
    while (auto answer = session_->pop_answer()) {
        if (wire::Header::parse(*answer).opcode == wire::Opcode::reply) {
            const auto reply = wire::OpReply::parse(*answer);
            ASSERT_TRUE(reply);
            received_.emplace_back(reply->documents.begin(), reply->documents.end());
        } else {
            received_.push_back(body_of(*answer));
        }
    }
}

void Transcript::put_keys(const keys::KeyRequest& request) {
    keys::KeyResult result;
    const auto expires = now_ + std::chrono::minutes(1);
    const auto answer_for = [&](std::uint8_t seed) -> std::variant<keys::ReadyKey, keys::FailedKey> {
        if (process_.key_error) return keys::FailedKey{*process_.key_error, expires};
        std::array<std::uint8_t, 96> bytes{};
        for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(seed + i);
        return keys::ReadyKey{std::make_shared<const crypto::DataKey>(bytes), expires};
    };
    for (const crypto::KeyId& id : request.ids) result.ids.emplace_back(id, answer_for(id.bytes[0]));
    for (const std::string& name : request.alt_names) {
        if (process_.key_error) {
            result.alt_names.emplace_back(name, keys::FailedKey{*process_.key_error, expires});
            continue;
        }
        crypto::KeyId id;
        for (std::size_t i = 0; i < id.bytes.size() && i < name.size(); ++i)
            id.bytes[i] = static_cast<std::uint8_t>(name[i]);
        result.alt_names.emplace_back(name, id);
        result.ids.emplace_back(id, answer_for(id.bytes[0]));
    }
    process_.ring.put(result);
}

std::vector<wire::Buffer> Transcript::received() {
    return std::exchange(received_, {});
}

wire::Buffer Transcript::received_one() {
    auto all = received();
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? wire::Buffer{} : std::move(all.front());
}

wire::Buffer Transcript::body_of(wire::Bytes frame) {
    const auto message = wire::OpMsg::parse(frame);
    EXPECT_TRUE(message);
    if (!message) return {};
    const auto bytes = message->body.bytes();
    return {bytes.begin(), bytes.end()};
}

std::int32_t code_of(wire::Bytes document) {
    const auto view = bson::DocumentView::check(document, {});
    const auto code = view ? view->find("code") : std::nullopt;
    return code ? code->int32() : 0;
}

std::string errmsg_of(wire::Bytes document) {
    const auto view = bson::DocumentView::check(document, {});
    const auto errmsg = view ? view->find("errmsg") : std::nullopt;
    return errmsg ? std::string(errmsg->string()) : std::string();
}

}  // namespace fieldgate::session::testing
