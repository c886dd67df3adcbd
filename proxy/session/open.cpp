#include "proxy/session/open.hpp"

#include <boost/assert.hpp>
#include <optional>
#include <string>
#include <utility>

#include "proxy/session/field_reader.hpp"
#include "proxy/session/rebuild_error.hpp"
#include "proxy/session/reply_walk.hpp"

namespace fieldgate::session {
namespace {

using analysis::ReplyShape;
using bson::DocumentView;
using bson::Element;

// Why a cursor reply is none, or nothing.
std::optional<std::string> cursor_mismatch(const Element& cursor, std::int64_t& cursor_id) {
    if (!cursor.is_document()) return "'cursor' is not a document";
    const auto inside = DocumentView::check_top_level(cursor.value());
    if (!inside) return inside.error().message();
    const auto id = inside->find("id");
    if (!id || !id->whole_number() || inside->count("id") != 1) return "its cursor has no id";
    cursor_id = *id->whole_number();
    if (inside->count("firstBatch") + inside->count("nextBatch") != 1) return "its cursor has no batch";
    const auto first = inside->find("firstBatch");
    if (!(first ? first : inside->find("nextBatch"))->is_array()) return "its cursor's batch is not an array";
    return std::nullopt;
}

// Why a reply that says ok is not what its shape says, or nothing. Such a reply is not walked at all: where
// the shape's documents should be, they are not, so they could be anywhere.
std::optional<std::string> shape_mismatch(DocumentView body, ReplyShape::Kind kind, std::int64_t& cursor_id) {
    const auto carrier = [&](std::string_view key) -> std::optional<Element> {
        return body.count(key) == 1 ? body.find(key) : std::nullopt;
    };
    switch (kind) {
        case ReplyShape::Kind::cursor:
        case ReplyShape::Kind::bulk_result: {
            const auto cursor = carrier("cursor");
            return cursor ? cursor_mismatch(*cursor, cursor_id) : "it has no 'cursor', or several";
        }
        case ReplyShape::Kind::value:
            if (!carrier("value")) return "it has no 'value', or several";
            return std::nullopt;
        case ReplyShape::Kind::values: {
            const auto values = carrier("values");
            if (!values) return "it has no 'values', or several";
            if (!values->is_array()) return "its 'values' are not an array";
            return std::nullopt;
        }
        default:
            return std::nullopt;
    }
}

}  // namespace

struct Opener::State {
    State(const wire::OpMsg& message, wire::Bytes frame_bytes, const ReplyShape& reply_shape,
          const config::Role& role, const config::Config& config, std::size_t message_bytes_max)
        : reply(message),
          frame(frame_bytes),
          shape(reply_shape),
          reader(*reply_shape.fields, role, config),
          nesting_levels_max(config.limits.nesting_levels),
          output_bytes_max(message_bytes_max) {}

    bool start(std::int64_t& cursor_id);
    void rebuild_error();

    const wire::OpMsg reply;
    const wire::Bytes frame;
    const ReplyShape shape;
    FieldReader reader;
    const std::uint32_t nesting_levels_max;
    const std::size_t output_bytes_max;
    std::optional<ReplyWalk> walk;
    wire::Buffer result;
    bool finished = false;
    analysis::Refusal refusal;
};

// Looks at the top level, before anything is written.
bool Opener::State::start(std::int64_t& cursor_id) {
    const auto ok = reply.body.find("ok");
    std::optional<std::string> mismatch;
    if (!reply.sequences().empty()) {
        mismatch = "it has document sequences";
    } else if (!ok || reply.body.count("ok") != 1) {
        mismatch = "it has no 'ok', or several";
    } else if (!ok->truthy()) {
        rebuild_error();
        return true;
    } else {
        mismatch = shape_mismatch(reply.body, shape.kind, cursor_id);
    }
    if (mismatch) {
        refusal = {analysis::code::invalid_bson, "InvalidBSON",
                   "the server's reply cannot be read: " + *mismatch};
        return false;
    }
    walk.emplace(reply, frame, shape, reader, nesting_levels_max, output_bytes_max);
    return true;
}

void Opener::State::rebuild_error() {
    const wire::Bytes envelope = frame.first(reply.body_offset);
    result.assign(envelope.begin(), envelope.end());
    rebuild_command_error(reply.body, result);
    if ((reply.flags & wire::flag_checksum_present) != 0) result.resize(result.size() + 4);
    wire::finish_message(result);
    finished = true;
}

Opener::Opener(const wire::OpMsg& reply, wire::Bytes frame, const analysis::ReplyShape& shape,
               const config::Role& role, const config::Config& config, std::size_t message_bytes_max) {
    BOOST_ASSERT_MSG(shape.fields != nullptr, "a reply without a protected namespace is streamed");
    state_ = std::make_unique<State>(reply, frame, shape, role, config, message_bytes_max);
}

Opener::~Opener() = default;

Work Opener::step(keys::KeyRing& ring, keys::Clock::time_point now, const SliceBudget& budget) {
    State& state = *state_;
    BOOST_ASSERT_MSG(state.refusal.code == 0, "step after a refusal");
    needed_ = {};
    if (!state.finished && !state.walk && !state.start(cursor_id_)) {
        refusal_ = state.refusal;
        return Work::refused;
    }
    if (state.finished) return Work::done;
    state.reader.begin(ring, now);
    const Work work = state.walk->step(budget);
    switch (work) {
        case Work::more:
            break;
        case Work::done:
            state.result = state.walk->take();
            state.finished = true;
            break;
        case Work::need_keys:
            state.reader.collect_keys(needed_);
            BOOST_ASSERT(!needed_.empty());
            break;
        case Work::refused:
            state.refusal = state.walk->refusal();
            refusal_ = state.refusal;
            break;
    }
    return work;
}

wire::Buffer Opener::take() {
    BOOST_ASSERT_MSG(state_->finished, "take() before done");
    return std::move(state_->result);
}

}  // namespace fieldgate::session
