#include "proxy/session/reply_walk.hpp"

#include <algorithm>
#include <boost/assert.hpp>
#include <charconv>
#include <cstring>
#include <utility>

#include "proxy/bson/error.hpp"
#include "proxy/session/rebuild_error.hpp"

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

bool is_container(Type type) {
    return type == Type::document || type == Type::array;
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
        } else if (!config::is_array_position(name)) {
            return nullptr;
        }
        if (node->is_protected() || node->unknown || dot == std::string_view::npos) return node;
        key.remove_prefix(dot + 1);
    }
}

// For paths that may mean one field or another, or something inside one: who may not see everything gets the
// strictest, and nothing is opened.
const SchemaNode& undecided() {
    static const SchemaNode node = [] {
        SchemaNode made;
        made.unknown = true;
        return made;
    }();
    return node;
}

}  // namespace

ReplyWalk::ReplyWalk(const wire::OpMsg& reply, wire::Bytes frame, const ReplyShape& shape,
                     FieldReader& reader, std::uint32_t nesting_levels_max, std::size_t output_bytes_max)
    : reply_(reply),
      shape_(shape),
      reader_(reader),
      id_node_(shape.tree != nullptr ? shape.tree->child("_id") : nullptr),
      levels_max_(nesting_levels_max + envelope_levels),
      output_bytes_max_(output_bytes_max),
      writer_(frame) {
    const wire::Bytes body = reply.body.bytes();
    open_.reserve(16);
    open_.push_back({body.data(), body.data() + body.size() - 1, writer_.position(body.data()), nullptr, 0,
                     Where::reply, Place::exact, false, false});
    at_ = body.data() + 4;
}

ReplyWalk::Next ReplyWalk::refuse(std::int32_t code, std::string_view code_name, std::string errmsg) {
    refusal_ = {code, code_name, std::move(errmsg)};
    return Next::refused;
}

ReplyWalk::Next ReplyWalk::refuse_malformed(std::string_view why) {
    return refuse(analysis::code::invalid_bson, "InvalidBSON",
                  "the server's reply cannot be read: " + std::string(why));
}

Work ReplyWalk::too_large() {
    refuse(analysis::code::bson_object_too_large, "BSONObjectTooLarge",
           "the reply would exceed the size of a message");
    return Work::refused;
}

Work ReplyWalk::step(const SliceBudget& budget) {
    const std::uint8_t* const slice_start = at_;
    values_written_ = 0;
    for (;;) {
        const Frame& inside = open_.back();
        if (*at_ == 0) {
            if (at_ != inside.end) {
                refuse_malformed(bson::make_error_code(bson::Errc::document_length_mismatch));
                return Work::refused;
            }
            close_document();
            if (!open_.empty()) continue;
            writer_.flush(at_);
            if ((reply_.flags & wire::flag_checksum_present) != 0)
                writer_.out().resize(writer_.out().size() + 4);
            wire::finish_message(writer_.out());
            return writer_.out().size() <= output_bytes_max_ ? Work::done : too_large();
        }
        const std::uint8_t* const key = at_ + 1;
        const void* const zero =
            key < inside.end ? std::memchr(key, 0, static_cast<std::size_t>(inside.end - key)) : nullptr;
        if (zero == nullptr) {
            refuse_malformed(bson::make_error_code(bson::Errc::key_unterminated));
            return Work::refused;
        }
        const auto key_bytes = static_cast<std::size_t>(static_cast<const std::uint8_t*>(zero) - key);
        const std::uint8_t* const value = key + key_bytes + 1;
        const auto value_bytes = bson::value_size(static_cast<Type>(*at_), {value, inside.end});
        if (!value_bytes) {
            refuse_malformed(value_bytes.error());
            return Work::refused;
        }
        switch (
            visit({at_, static_cast<std::uint32_t>(key_bytes), static_cast<std::uint32_t>(*value_bytes)})) {
            case Next::element_done:
                break;
            case Next::key_missing:
                return Work::need_keys;
            case Next::refused:
                return Work::refused;
        }
        // Only rebuilt errors can be longer than what they replace; a hostile reply could hold a million of
        // them.
        if (writer_.position(at_) > output_bytes_max_) return too_large();
        if (values_written_ >= budget.values || static_cast<std::size_t>(at_ - slice_start) >= budget.bytes) {
            return Work::more;
        }
    }
}

void ReplyWalk::close_document() {
    const Frame closed = open_.back();
    open_.pop_back();
    ++at_;
    const std::size_t length = writer_.position(at_) - closed.out_start;
    if (length != static_cast<std::size_t>(at_ - closed.start)) {
        // Something inside was replaced or left out, so everything before that, this length included, was
        // flushed.
        writer_.patch_length(closed.out_start, length);
    }
}

ReplyWalk::Target ReplyWalk::target_of(const Frame& inside, const Element& element) const {
    if (inside.node == nullptr) return {inside.where};
    if (inside.array || inside.node->unknown) return {Where::result, inside.node, inside.place};
    if (inside.node->dotted_keys) return target_of_path(inside, element.key());
    if (const SchemaNode* child = inside.node->child(element.key()))
        return {Where::result, child, inside.place};
    if (reader_.withholds()) {
        if (const SchemaNode* alike = node_alike(*inside.node, element.key())) {
            return {Where::result, alike, Place::alike};
        }
    }
    return {};
}

ReplyWalk::Target ReplyWalk::target_of_path(const Frame& inside, std::string_view path) const {
    // The outermost value is a document: a number there is a name.
    if (inside.node->child(path.substr(0, path.find('.'))) == nullptr) {
        const SchemaNode* const alike = reader_.withholds() ? node_alike(*inside.node, path) : nullptr;
        return alike == nullptr ? Target{} : Target{Where::result, alike, Place::alike};
    }
    const config::PathMatch match = config::match_path(*inside.node, path);
    if (match.below_protected) return {Where::result, &undecided(), Place::alike};
    if (match.node == nullptr) return {};
    return {Where::result, match.node, inside.place};
}

ReplyWalk::Next ReplyWalk::visit(const Element& element) {
    const Frame& inside = open_.back();
    switch (inside.where) {
        case Where::reply:
            return visit_reply(element);
        case Where::cursor:
            if (element.key() == "firstBatch" || element.key() == "nextBatch") {
                if (shape_.kind == ReplyShape::Kind::bulk_result) return enter(element, {Where::bulk_batch});
                return enter(element, {Where::result, shape_.tree.get()});
            }
            return visit_plain(element, Where::verbatim);
        case Where::result:
            return visit_result(element, target_of(inside, element));
        case Where::verbatim:
            return visit_plain(element, Where::verbatim);
        case Where::bulk_batch:
            return visit_bulk_entry(element);
        case Where::bulk_entry:
            if (element.key() == "upserted" && element.is_document())
                return enter(element, {Where::upserted_entry});
            return visit_plain(element, Where::verbatim);
        case Where::upserted:
            if (element.is_document()) return enter(element, {Where::upserted_entry});
            return visit_plain(element, Where::verbatim);
        case Where::upserted_entry:
            if (element.key() == "_id") return visit_result(element, {Where::result, id_node_});
            return visit_plain(element, Where::verbatim);
        case Where::last_error:
            if (element.key() == "upserted") return visit_result(element, {Where::result, id_node_});
            return visit_plain(element, Where::verbatim);
        case Where::write_errors:
            return rebuild(element, rebuild_write_error);
        case Where::write_concern_errors:
            return rebuild(element, rebuild_write_concern_error);
    }
    return drop(element);
}

ReplyWalk::Next ReplyWalk::visit_reply(const Element& element) {
    const std::string_view key = element.key();
    if (key == "writeErrors" || key == "writeConcernErrors") {
        if (!element.is_array()) return refuse_malformed("its write errors are not an array");
        return enter(element, {key == "writeErrors" ? Where::write_errors : Where::write_concern_errors});
    }
    if (key == "writeConcernError") return rebuild(element, rebuild_write_concern_error);
    // Some servers say ok: 1 and yet quote what went wrong.
    if (key == "errmsg" || key == "errInfo" || key == "keyValue") return drop(element);
    switch (shape_.kind) {
        case ReplyShape::Kind::cursor:
        case ReplyShape::Kind::bulk_result:
            if (key == "cursor") return enter(element, {Where::cursor});
            break;
        case ReplyShape::Kind::values:
            if (key == "values") return enter(element, {Where::result, shape_.tree.get()});
            break;
        case ReplyShape::Kind::value:
            if (key == "value") return visit_result(element, {Where::result, shape_.tree.get()});
            if (key == "lastErrorObject" && element.is_document()) return enter(element, {Where::last_error});
            break;
        case ReplyShape::Kind::write_result:
            if (key == "upserted" && element.is_array()) return enter(element, {Where::upserted});
            break;
        default:
            break;
    }
    return visit_plain(element, Where::verbatim);
}

// What failed is written anew whole: only that quotes values.
ReplyWalk::Next ReplyWalk::visit_bulk_entry(const Element& element) {
    if (!element.is_document()) return refuse_malformed("a result of a bulkWrite in it is not a document");
    const auto entry = DocumentView::check_top_level(element.value());
    if (!entry) return refuse_malformed(entry.error());
    bool failed = false;
    for (const Element each : *entry) {
        const std::string_view key = each.key();
        failed = failed || (key == "ok" && !each.truthy()) || key == "code" || key == "errmsg" ||
                 key == "errInfo" || key == "keyValue";
    }
    return failed ? rebuild(element, rebuild_bulk_error) : enter(element, {Where::bulk_entry});
}

ReplyWalk::Next ReplyWalk::visit_result(const Element& element, const Target& target) {
    if (target.node == nullptr) return visit_plain(element, target.where);
    if (target.node->unknown) return visit_unknown(element, target);
    // Its elements are what the node says.
    if (target.node->array && element.is_array()) return enter(element, target);
    if (target.node->is_protected()) return visit_protected(element, target);
    if (is_container(element.type())) return enter(element, target);
    return visit_plain(element, Where::result);
}

ReplyWalk::Next ReplyWalk::visit_protected(const Element& element, const Target& target) {
    // No store has an array there, but a path that a stage computed may lead through one of the documents:
    // below { $addFields: { "visits.ssn": "$ssn" } }, "$visits.ssn" is an array where `visits` is one.
    if (element.is_array() && target.place == Place::exact && reader_.reveals(target.node->field))
        return enter(element, target);
    return carry_out(reader_.judge(target.node->field, target.place, element.type(), element.value()),
                     element);
}

// What a stage computed: it may be a value of a field, hold some, or neither.
ReplyWalk::Next ReplyWalk::visit_unknown(const Element& element, const Target& target) {
    if (!reader_.withholds()) {
        if (target.place == Place::alike) return visit_plain(element, Where::verbatim);
        if (is_container(element.type())) return enter(element, target);
    }
    return carry_out(reader_.judge_unknown(element.type(), element.value()), element);
}

ReplyWalk::Next ReplyWalk::carry_out(Fate fate, const Element& element) {
    switch (fate) {
        case Fate::keep:
            return visit_plain(element, Where::verbatim);
        case Fate::drop:
            return drop(element);
        case Fate::null:
            begin_replacement(element, Type::null);
            return end_replacement(element);
        case Fate::open:
            return open(element, false);
        case Fate::mask:
            return open(element, true);
        case Fate::key_missing:
            return Next::key_missing;
        case Fate::key_failed:
            refusal_ = reader_.refusal();
            return Next::refused;
    }
    return drop(element);
}

// Nothing above it is protected. Its structure is checked all the way down, and it is copied.
ReplyWalk::Next ReplyWalk::visit_plain(const Element& element, Where where) {
    const bool may_open = where == Where::result && reader_.opens_plain();
    // How many levels may begin here, this value's own included.
    const auto levels = static_cast<std::uint32_t>(levels_max_ + 1 - std::min(levels_max_ + 1, open_.size()));
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
            switch (reader_.judge_plain(element.type(), element.value())) {
                case Fate::open:
                    return open(element, false);
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
    at_ = element.raw().data() + element.raw().size();
    return Next::element_done;
}

ReplyWalk::Next ReplyWalk::open(const Element& element, bool masked) {
    ++values_written_;
    const std::size_t type_at = begin_replacement(element, element.type());
    const auto type = masked ? reader_.write_masked(element.type(), element.value(), writer_.out())
                             : reader_.write_opened(element.value(), writer_.out());
    if (type) {
        writer_.out()[type_at] = static_cast<std::uint8_t>(*type);
        return end_replacement(element);
    }
    if (reader_.refusal().code != 0) {
        refusal_ = reader_.refusal();
        return Next::refused;
    }
    // At a plain path: not made with the key that it names. It stays as stored.
    at_ = element.raw().data() + element.raw().size();
    return Next::element_done;
}

ReplyWalk::Next ReplyWalk::rebuild(const Element& element, Rebuild write) {
    if (!element.is_document()) return refuse_malformed("a write error in it is not a document");
    const auto entry = DocumentView::check_top_level(element.value());
    if (!entry) return refuse_malformed(entry.error());
    ++values_written_;  // it costs about as much
    begin_replacement(element, Type::document);
    write(*entry, writer_.out());
    return end_replacement(element);
}

ReplyWalk::Next ReplyWalk::enter(const Element& element, const Target& target) {
    if (open_.size() > levels_max_)
        return refuse_malformed(bson::make_error_code(bson::Errc::nested_too_deep));
    keep_header(element);
    const wire::Bytes document = element.value();
    open_.push_back({document.data(), document.data() + document.size() - 1,
                     writer_.position(document.data()), target.node, 0, target.where, target.place,
                     element.is_array(), false});
    at_ = document.data() + 4;
    return Next::element_done;
}

ReplyWalk::Next ReplyWalk::drop(const Element& element) {
    writer_.flush(element.raw().data());
    at_ = element.raw().data() + element.raw().size();
    writer_.skip_to(at_);
    if (open_.back().array) open_.back().renumber = true;
    return Next::element_done;
}

// The header of an element that stays: in place, unless its array lost an element before it.
void ReplyWalk::keep_header(const Element& element) {
    if (open_.back().renumber) {
        begin_replacement(element, element.type());
    } else {
        ++open_.back().next_index;
    }
}

// Writes the header alone; the source goes on behind the key. Returns where the type byte stands.
std::size_t ReplyWalk::begin_replacement(const Element& element, Type type) {
    Frame& inside = open_.back();
    writer_.flush(element.raw().data());
    const std::size_t type_at = writer_.out().size();
    if (inside.renumber) {
        char digits[10];
        const char* const digits_end = std::to_chars(digits, digits + sizeof digits, inside.next_index).ptr;
        writer_.append_element_header(static_cast<std::uint8_t>(type),
                                      {digits, static_cast<std::size_t>(digits_end - digits)});
    } else {
        writer_.append_element_header(static_cast<std::uint8_t>(type), element.key());
    }
    ++inside.next_index;
    writer_.skip_to(element.value().data());
    return type_at;
}

ReplyWalk::Next ReplyWalk::end_replacement(const Element& element) {
    at_ = element.raw().data() + element.raw().size();
    writer_.skip_to(at_);
    return Next::element_done;
}

}  // namespace fieldgate::session
