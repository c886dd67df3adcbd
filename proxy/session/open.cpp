#include "proxy/session/open.hpp"

#include <algorithm>
#include <boost/assert.hpp>
#include <charconv>
#include <cstring>
#include <string>
#include <utility>

#include "proxy/bson/error.hpp"
#include "proxy/session/field_reader.hpp"
#include "proxy/session/rebuild_error.hpp"
#include "proxy/session/run_writer.hpp"

namespace fieldgate::session {
namespace {

using analysis::ReplyShape;
using bson::DocumentView;
using bson::Element;
using bson::Type;
using config::SchemaNode;

// Result documents stand in up to three levels of the reply: itself, `cursor`, the batch.
constexpr std::uint32_t envelope_levels = 3;
// A plain document up to this size is checked in one go and copied; a larger one is walked, so that a slice
// can end in it.
constexpr std::size_t checked_in_one_go_bytes_max = 1u << 16;

// What the document is whose elements are being walked.
enum class Where : std::uint8_t {
    reply,
    cursor,
    result,          // a document of the protected namespace, or something inside one: `node` says what
    verbatim,        // plain values at a protected path, shown as stored: nothing in it is opened
    upserted,        // the array of a write result ...
    upserted_entry,  // ... and one {index, _id} of it
    last_error,      // findAndModify's lastErrorObject
    write_errors,
    write_concern_errors,
};

struct Frame {
    const std::uint8_t* start;  // the length field in the source
    const std::uint8_t* end;    // the terminator in the source
    std::size_t out_start;      // the length field in the output
    const SchemaNode* node;     // of what is inside; null: plain
    std::uint32_t next_index;   // of arrays: the key of the next element kept
    Where where;
    Place place;
    bool array;
    bool renumber;  // an element was left out of this array
};

struct Target {
    Where where = Where::result;
    const SchemaNode* node = nullptr;
    Place place = Place::exact;
};

bool is_container(Type type) {
    return type == Type::document || type == Type::array;
}

bool is_array_position(std::string_view key) {
    return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// For roles that something is withheld from: the node that a key reads like although it is not that path.
// Keys with dots in them ("insurance.policyNumber"), and numbers where an array could be.
const SchemaNode* node_alike(const SchemaNode& parent, std::string_view key) {
    const SchemaNode* node = &parent;
    for (;;) {
        const std::size_t dot = key.find('.');
        const std::string_view name = key.substr(0, dot);
        if (const SchemaNode* child = node->child(name)) {
            node = child;
        } else if (!is_array_position(name)) {
            return nullptr;
        }
        if (node->is_protected() || dot == std::string_view::npos) return node;
        key.remove_prefix(dot + 1);
    }
}

}  // namespace

struct Opener::State {
    enum class Next : std::uint8_t { element_done, key_missing, refused };

    State(const wire::OpMsg& message, wire::Bytes frame_bytes, const ReplyShape& reply_shape,
          const config::Role& role, const config::Config& config, std::string_view database,
          std::size_t message_bytes_max)
        : reply(message),
          frame(frame_bytes),
          shape(reply_shape),
          reader(*reply_shape.protected_namespace, role, config, database),
          id_node(reply_shape.protected_namespace->schema->root().child("_id")),
          levels_max(config.limits.nesting_levels + envelope_levels),
          output_bytes_max(message_bytes_max),
          writer(frame_bytes) {}

    Next refuse(std::int32_t code, std::string_view code_name, std::string errmsg) {
        refusal = {code, code_name, std::move(errmsg)};
        return Next::refused;
    }
    Next refuse_malformed(std::string_view why) {
        return refuse(analysis::code::invalid_bson, "InvalidBSON",
                      "the server's reply cannot be read: " + std::string(why));
    }
    Next refuse_malformed(const boost::system::error_code& ec) { return refuse_malformed(ec.message()); }

    Work too_large() {
        refuse(analysis::code::bson_object_too_large, "BSONObjectTooLarge",
               "the reply would exceed the size of a message");
        return Work::refused;
    }

    bool start(std::int64_t& cursor_id);
    bool check_cursor(const Element& cursor, std::int64_t& cursor_id);
    void rebuild_error();
    Work walk(const SliceBudget& budget);
    void close_document();
    void finish();

    Next element(const Element& element);
    Next reply_element(const Element& element);
    Next result_element(const Element& element, const Target& target);
    Next protected_element(const Element& element, const Target& target);
    Next plain_element(const Element& element, Where where);
    Next opened_element(const Element& element, bool masked);
    Next rebuilt_entry(const Element& element, void (*rebuild)(DocumentView, bson::Buffer&));
    Next enter(const Element& element, const Target& target);
    Next drop(const Element& element);
    Target target_of(const Frame& inside, const Element& element) const;
    std::size_t begin_replacement(const Element& element, Type type);
    void keep_header(const Element& element);
    Next done(const Element& element);

    const wire::OpMsg reply;
    const wire::Bytes frame;
    const ReplyShape shape;
    FieldReader reader;
    const SchemaNode* const id_node;
    const std::size_t levels_max;
    const std::size_t output_bytes_max;
    RunWriter writer;
    std::vector<Frame> open;
    const std::uint8_t* at = nullptr;
    std::size_t values_opened = 0;  // in this slice
    bool started = false;
    bool finished = false;
    analysis::Refusal refusal;
};

// The top level, before anything is written: what does not look like the shape is not walked at all.
bool Opener::State::start(std::int64_t& cursor_id) {
    started = true;
    if (!reply.sequences().empty()) {
        refuse_malformed("it has document sequences");
        return false;
    }
    const auto once = [&](std::string_view key) { return reply.body.count(key) <= 1; };
    for (const std::string_view key : {"ok", "cursor", "value", "values"}) {
        if (!once(key)) {
            refuse_malformed("'" + std::string(key) + "' is in it twice");
            return false;
        }
    }
    const auto ok = reply.body.find("ok");
    if (!ok) {
        refuse_malformed("it has no 'ok'");
        return false;
    }
    if (!ok->truthy()) {
        rebuild_error();
        return true;
    }
    std::string_view carrier;
    switch (shape.kind) {
        case ReplyShape::Kind::cursor:
            carrier = "cursor";
            break;
        case ReplyShape::Kind::value:
            carrier = "value";
            break;
        case ReplyShape::Kind::values:
            carrier = "values";
            break;
        default:
            break;
    }
    if (!carrier.empty()) {
        const auto element = reply.body.find(carrier);
        if (!element) {
            refuse_malformed("it has no '" + std::string(carrier) + "'");
            return false;
        }
        if (shape.kind == ReplyShape::Kind::cursor && !check_cursor(*element, cursor_id)) return false;
        if (shape.kind == ReplyShape::Kind::values && !element->is_array()) {
            refuse_malformed("'values' is not an array");
            return false;
        }
    }
    open.reserve(16);
    const wire::Bytes body = reply.body.bytes();
    open.push_back({body.data(), body.data() + body.size() - 1, writer.position(body.data()), nullptr, 0,
                    Where::reply, Place::exact, false, false});
    at = body.data() + 4;
    return true;
}

bool Opener::State::check_cursor(const Element& cursor, std::int64_t& cursor_id) {
    if (!cursor.is_document()) {
        refuse_malformed("'cursor' is not a document");
        return false;
    }
    const auto inside = DocumentView::check_top_level(cursor.value());
    if (!inside) {
        refuse_malformed(inside.error());
        return false;
    }
    const auto id = inside->find("id");
    if (!id || !id->whole_number() || inside->count("id") != 1) {
        refuse_malformed("its cursor has no id");
        return false;
    }
    cursor_id = *id->whole_number();
    const auto first = inside->find("firstBatch");
    const auto next = inside->find("nextBatch");
    if (inside->count("firstBatch") + inside->count("nextBatch") != 1 ||
        !(first ? first : next)->is_array()) {
        refuse_malformed("its cursor has no batch");
        return false;
    }
    return true;
}

void Opener::State::rebuild_error() {
    writer.flush(reply.body.bytes().data());
    rebuild_command_error(reply.body, writer.out());
    writer.skip_to(reply.body.bytes().data() + reply.body.bytes().size());
    finish();
}

void Opener::State::finish() {
    wire::Buffer& out = writer.out();
    if ((reply.flags & wire::flag_checksum_present) != 0) out.resize(out.size() + 4);
    wire::finish_message(out);
    finished = true;
}

Work Opener::State::walk(const SliceBudget& budget) {
    const std::uint8_t* const slice_start = at;
    values_opened = 0;
    for (;;) {
        const Frame& inside = open.back();
        if (*at == 0) {
            if (at != inside.end) {
                refuse_malformed(bson::make_error_code(bson::Errc::document_length_mismatch));
                return Work::refused;
            }
            close_document();
            if (!open.empty()) continue;
            writer.flush(at);
            finish();
            return writer.out().size() <= output_bytes_max ? Work::done : too_large();
        }
        const std::uint8_t* const key = at + 1;
        const void* const zero =
            key < inside.end ? std::memchr(key, 0, static_cast<std::size_t>(inside.end - key)) : nullptr;
        if (zero == nullptr) {
            refuse_malformed(bson::make_error_code(bson::Errc::key_unterminated));
            return Work::refused;
        }
        const auto key_bytes = static_cast<std::size_t>(static_cast<const std::uint8_t*>(zero) - key);
        const std::uint8_t* const value = key + key_bytes + 1;
        const auto value_bytes = bson::value_size(static_cast<Type>(*at), {value, inside.end});
        if (!value_bytes) {
            refuse_malformed(value_bytes.error());
            return Work::refused;
        }
        switch (
            element({at, static_cast<std::uint32_t>(key_bytes), static_cast<std::uint32_t>(*value_bytes)})) {
            case Next::element_done:
                break;
            case Next::key_missing:
                return Work::need_keys;
            case Next::refused:
                return Work::refused;
        }
        // Only rebuilt errors can be longer than what they replace; a hostile reply could hold a million of
        // them.
        if (writer.position(at) > output_bytes_max) return too_large();
        if (values_opened >= budget.values || static_cast<std::size_t>(at - slice_start) >= budget.bytes) {
            return Work::more;
        }
    }
}

void Opener::State::close_document() {
    const Frame closed = open.back();
    open.pop_back();
    ++at;
    const std::size_t length = writer.position(at) - closed.out_start;
    if (length != static_cast<std::size_t>(at - closed.start)) {
        // Something inside was replaced or left out, so everything before that, this length included, was
        // flushed.
        writer.patch_length(closed.out_start, length);
    }
}

Target Opener::State::target_of(const Frame& inside, const Element& element) const {
    if (inside.node == nullptr) return {inside.where};
    if (inside.array) return {Where::result, inside.node, inside.place};
    if (const SchemaNode* child = inside.node->child(element.key()))
        return {Where::result, child, inside.place};
    if (reader.withholds()) {
        if (const SchemaNode* alike = node_alike(*inside.node, element.key())) {
            return {Where::result, alike, Place::alike};
        }
    }
    return {};
}

Opener::State::Next Opener::State::element(const Element& element) {
    const Frame& inside = open.back();
    switch (inside.where) {
        case Where::reply:
            return reply_element(element);
        case Where::cursor:
            if (element.key() == "firstBatch" || element.key() == "nextBatch") {
                return enter(element, {Where::result, shape.tree.get()});
            }
            return plain_element(element, Where::verbatim);
        case Where::result:
            return result_element(element, target_of(inside, element));
        case Where::verbatim:
            return plain_element(element, Where::verbatim);
        case Where::upserted:
            if (element.is_document()) return enter(element, {Where::upserted_entry});
            return plain_element(element, Where::verbatim);
        case Where::upserted_entry:
            if (element.key() == "_id") return result_element(element, {Where::result, id_node});
            return plain_element(element, Where::verbatim);
        case Where::last_error:
            if (element.key() == "upserted") return result_element(element, {Where::result, id_node});
            return plain_element(element, Where::verbatim);
        case Where::write_errors:
            return rebuilt_entry(element, rebuild_write_error);
        case Where::write_concern_errors:
            return rebuilt_entry(element, rebuild_write_concern_error);
    }
    return drop(element);
}

Opener::State::Next Opener::State::reply_element(const Element& element) {
    const std::string_view key = element.key();
    if (key == "writeErrors" || key == "writeConcernErrors") {
        if (!element.is_array()) return refuse_malformed("its write errors are not an array");
        return enter(element, {key == "writeErrors" ? Where::write_errors : Where::write_concern_errors});
    }
    if (key == "writeConcernError") return rebuilt_entry(element, rebuild_write_concern_error);
    // Some servers say ok: 1 and yet quote what went wrong.
    if (key == "errmsg" || key == "errInfo" || key == "keyValue") return drop(element);
    switch (shape.kind) {
        case ReplyShape::Kind::cursor:
            if (key == "cursor") return enter(element, {Where::cursor});
            break;
        case ReplyShape::Kind::values:
            if (key == "values") return enter(element, {Where::result, shape.tree.get()});
            break;
        case ReplyShape::Kind::value:
            if (key == "value") return result_element(element, {Where::result, shape.tree.get()});
            if (key == "lastErrorObject" && element.is_document()) return enter(element, {Where::last_error});
            break;
        case ReplyShape::Kind::write_result:
            if (key == "upserted" && element.is_array()) return enter(element, {Where::upserted});
            break;
        default:
            break;
    }
    return plain_element(element, Where::verbatim);
}

Opener::State::Next Opener::State::result_element(const Element& element, const Target& target) {
    if (target.node == nullptr) return plain_element(element, target.where);
    if (target.node->is_protected()) return protected_element(element, target);
    if (is_container(element.type())) return enter(element, target);
    return plain_element(element, Where::result);
}

Opener::State::Next Opener::State::protected_element(const Element& element, const Target& target) {
    switch (reader.judge(target.node->field, target.place, element.type(), element.value())) {
        case Fate::keep:
            return plain_element(element, Where::verbatim);
        case Fate::drop:
            return drop(element);
        case Fate::null:
            begin_replacement(element, Type::null);
            return done(element);
        case Fate::open:
            return opened_element(element, false);
        case Fate::mask:
            return opened_element(element, true);
        case Fate::key_missing:
            return Next::key_missing;
        case Fate::key_failed:
            refusal = reader.refusal();
            return Next::refused;
    }
    return drop(element);
}

// Nothing above it is protected. Its structure is checked all the way down, and it is copied.
Opener::State::Next Opener::State::plain_element(const Element& element, Where where) {
    const bool may_open = where == Where::result && reader.opens_plain();
    // How many levels may begin here, this value's own included.
    const auto levels = static_cast<std::uint32_t>(levels_max + 1 - std::min(levels_max + 1, open.size()));
    switch (element.type()) {
        case Type::document:
        case Type::array: {
            if (element.value().size() > checked_in_one_go_bytes_max) return enter(element, {where});
            if (levels == 0) return refuse_malformed(bson::make_error_code(bson::Errc::nested_too_deep));
            bson::Facts facts;
            const auto checked = DocumentView::check(element.value(), bson::Limits{levels - 1}, &facts);
            if (!checked) return refuse_malformed(checked.error());
            if (may_open && facts.has_encrypted_binary) return enter(element, {where});
            break;
        }
        case Type::javascript_with_scope:
            if (const auto ec = bson::check_value(element.type(), element.value(), bson::Limits{levels})) {
                return refuse_malformed(ec);
            }
            break;
        case Type::binary:
            if (!may_open) break;
            switch (reader.judge_plain(element.type(), element.value())) {
                case Fate::open:
                    return opened_element(element, false);
                case Fate::key_missing:
                    return Next::key_missing;
                default:
                    break;
            }
            break;
        default:
            break;
    }
    keep_header(element);
    at = element.raw().data() + element.raw().size();
    return Next::element_done;
}

Opener::State::Next Opener::State::opened_element(const Element& element, bool masked) {
    ++values_opened;
    const std::size_t type_at = begin_replacement(element, element.type());
    const auto type = masked ? reader.write_masked(element.type(), element.value(), writer.out())
                             : reader.write_opened(element.value(), writer.out());
    if (type) {
        writer.out()[type_at] = static_cast<std::uint8_t>(*type);
        return done(element);
    }
    if (reader.refusal().code != 0) {
        refusal = reader.refusal();
        return Next::refused;
    }
    // At a plain path: not made with the key that it names. It stays as stored.
    at = element.raw().data() + element.raw().size();
    return Next::element_done;
}

Opener::State::Next Opener::State::rebuilt_entry(const Element& element,
                                                 void (*rebuild)(DocumentView, bson::Buffer&)) {
    if (!element.is_document()) return refuse_malformed("a write error in it is not a document");
    const auto entry = DocumentView::check_top_level(element.value());
    if (!entry) return refuse_malformed(entry.error());
    ++values_opened;  // it costs about as much
    begin_replacement(element, Type::document);
    rebuild(*entry, writer.out());
    return done(element);
}

Opener::State::Next Opener::State::enter(const Element& element, const Target& target) {
    if (open.size() > levels_max) return refuse_malformed(bson::make_error_code(bson::Errc::nested_too_deep));
    keep_header(element);
    const wire::Bytes document = element.value();
    open.push_back({document.data(), document.data() + document.size() - 1, writer.position(document.data()),
                    target.node, 0, target.where, target.place, element.is_array(), false});
    at = document.data() + 4;
    return Next::element_done;
}

Opener::State::Next Opener::State::drop(const Element& element) {
    writer.flush(element.raw().data());
    at = element.raw().data() + element.raw().size();
    writer.skip_to(at);
    if (open.back().array) open.back().renumber = true;
    return Next::element_done;
}

// The header of an element that stays: in place, unless its array lost an element before it.
void Opener::State::keep_header(const Element& element) {
    if (open.back().renumber) {
        begin_replacement(element, element.type());
    } else {
        ++open.back().next_index;
    }
}

// Writes the header alone; the source goes on behind the key. Returns where the type byte stands.
std::size_t Opener::State::begin_replacement(const Element& element, Type type) {
    Frame& inside = open.back();
    writer.flush(element.raw().data());
    const std::size_t type_at = writer.out().size();
    if (inside.renumber) {
        char digits[10];
        const char* const digits_end = std::to_chars(digits, digits + sizeof digits, inside.next_index).ptr;
        writer.append_element_header(static_cast<std::uint8_t>(type),
                                     {digits, static_cast<std::size_t>(digits_end - digits)});
    } else {
        writer.append_element_header(static_cast<std::uint8_t>(type), element.key());
    }
    ++inside.next_index;
    writer.skip_to(element.value().data());
    return type_at;
}

Opener::State::Next Opener::State::done(const Element& element) {
    at = element.raw().data() + element.raw().size();
    writer.skip_to(at);
    return Next::element_done;
}

Opener::Opener(const wire::OpMsg& reply, wire::Bytes frame, const analysis::ReplyShape& shape,
               const config::Role& role, const config::Config& config, std::string_view database,
               std::size_t message_bytes_max) {
    BOOST_ASSERT_MSG(shape.protected_namespace != nullptr,
                     "a reply without a protected namespace is streamed");
    state_ = std::make_unique<State>(reply, frame, shape, role, config, database, message_bytes_max);
}

Opener::~Opener() = default;

Work Opener::step(keys::KeyRing& ring, keys::Clock::time_point now, const SliceBudget& budget) {
    State& state = *state_;
    BOOST_ASSERT_MSG(state.refusal.code == 0, "step after a refusal");
    needed_ = {};
    state.reader.begin(ring, now);
    Work work = Work::more;
    if (!state.started && !state.start(cursor_id_)) work = Work::refused;
    if (state.finished) return Work::done;
    if (work == Work::more) work = state.walk(budget);
    if (work == Work::need_keys) {
        state.reader.collect_keys(needed_);
        BOOST_ASSERT(!needed_.empty());
    }
    if (work == Work::refused) refusal_ = state.refusal;
    return work;
}

wire::Buffer Opener::take() {
    BOOST_ASSERT_MSG(state_->finished, "take() before done");
    return std::move(state_->writer.out());
}

}  // namespace fieldgate::session
