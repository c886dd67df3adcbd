#include "proxy/analysis/request.hpp"

#include <algorithm>
#include <array>
#include <boost/assert.hpp>
#include <boost/endian/conversion.hpp>

namespace fieldgate::analysis {
namespace {

// Fields that drivers add to any command: sessions, transactions, concerns, the versioned API. None carries a
// value of a document; `comment` does if the application writes one into it, which is its own doing.
constexpr std::array<std::string_view, 15> generic_fields = {
    "$db",
    "lsid",
    "txnNumber",
    "$clusterTime",
    "$readPreference",
    "readConcern",
    "writeConcern",
    "maxTimeMS",
    "comment",
    "apiVersion",
    "apiStrict",
    "apiDeprecationErrors",
    "autocommit",
    "stmtId",
    "startTransaction",
};

// More levels than this are not walked whatever the configuration says: walkers recurse.
constexpr std::uint32_t nesting_levels_ceiling = 1000;

constexpr std::size_t name_bytes_shown_max = 120;

// The length of the well-formed UTF-8 sequence at the front, or 0.
std::size_t utf8_sequence(std::string_view text) {
    const auto lead = static_cast<unsigned char>(text[0]);
    if (lead < 0x80) return 1;
    const std::size_t length = lead >= 0xC2 && lead < 0xE0   ? 2
                               : lead >= 0xE0 && lead < 0xF0 ? 3
                               : lead >= 0xF0 && lead < 0xF5 ? 4
                                                             : 0;
    if (length == 0 || text.size() < length) return 0;
    std::uint32_t code_point = lead & (0xFFu >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if ((byte & 0xC0) != 0x80) return 0;
        code_point = code_point << 6 | (byte & 0x3Fu);
    }
    const bool overlong = (length == 3 && code_point < 0x800) || (length == 4 && code_point < 0x10000);
    const bool surrogate = code_point >= 0xD800 && code_point < 0xE000;
    return overlong || surrogate || code_point > 0x10FFFF ? 0 : length;
}

}  // namespace

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const std::size_t length = utf8_sequence(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

bool is_positional(std::string_view path) {
    return path.starts_with('$') || path.find(".$") != std::string_view::npos;
}

std::string without_positions(std::string_view path) {
    std::string without;
    for (std::size_t start = 0; start <= path.size();) {
        const std::size_t dot = std::min(path.find('.', start), path.size());
        const std::string_view component = path.substr(start, dot - start);
        start = dot + 1;
        if (component.starts_with('$')) continue;
        if (!without.empty()) without += '.';
        without += component;
    }
    return without;
}

bool begins_with_operator(const bson::Element& value) {
    return value.is_document() && !value.document().empty() &&
           (*value.document().begin()).key().starts_with('$');
}

std::optional<std::string_view> name_that_repeats(bson::DocumentView document) {
    std::vector<std::string_view> names;
    for (const bson::Element& element : document) names.push_back(element.key());
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    return twice == names.end() ? std::nullopt : std::optional(*twice);
}

bool is_number_or_boolean(const bson::Element& value) {
    switch (value.type()) {
        case bson::Type::boolean:
        case bson::Type::int32:
        case bson::Type::int64:
        case bson::Type::double_:
        case bson::Type::decimal128:
            return true;
        default:
            return false;
    }
}

Resolution resolve(const config::SchemaNode& root, std::string_view path) {
    using Kind = Resolution::Kind;
    if (root.unknown) return {Kind::unknown, &root};
    if (is_positional(path)) {
        // Where array positions may be written as `$`, the path without them is meant; elsewhere it is a name
        // that only a mistaken client uses, whose value must not leave in clear either.
        const Resolution at = resolve(root, without_positions(path));
        return at.is_plain() ? at : Resolution{Kind::below, at.node};
    }
    // The outermost value is a document, never an array: a number there is a name.
    if (root.child(path.substr(0, path.find('.'))) == nullptr) return {};
    const config::PathMatch match = config::match_path(root, path);
    if (match.below_protected) return {Kind::below, match.node};
    if (match.node == nullptr) return {};

    const config::SchemaNode* node = &root;
    for (std::size_t start = 0; node != nullptr;) {
        const std::size_t dot = path.find('.', start);
        node = node->child(path.substr(start, dot == std::string_view::npos ? dot : dot - start));
        if (node != nullptr && (node->unknown || node->array || node->dotted_keys))
            return {Kind::unknown, node};
        if (dot == std::string_view::npos) break;
        start = dot + 1;
    }
    if (node != match.node) return {Kind::below, match.node};
    if (!node->is_protected() && !node->is_parent()) return {};  // stages leave such nodes
    return {node->is_protected() ? Kind::field : Kind::parent, node};
}

Resolution resolve_compared(const Request& request, std::string_view path) {
    const Resolution at = resolve(*request.tree, path);
    if (!at.is_plain() || request.tree == request.stored || request.stored == nullptr) return at;
    const Resolution in_store = resolve(*request.stored, path);
    return in_store.is_plain() ? at : Resolution{Resolution::Kind::unknown, in_store.node};
}

std::string why_unusable(const Resolution& at, std::string_view verb, std::string_view path) {
    if (at.kind == Resolution::Kind::unknown)
        return "Cannot get metadata for path whose encryption properties are not known until runtime: " +
               quote(path);
    return "Cannot " + std::string(verb) + " below or through an encrypted field: " + quote(path);
}

std::string quote(std::string_view name) {
    std::string text = "'";
    const bool shortened = name.size() > name_bytes_shown_max;
    if (shortened) name = name.substr(0, name_bytes_shown_max);
    while (!name.empty()) {
        const std::size_t length = utf8_sequence(name);
        if (length == 0 || static_cast<unsigned char>(name[0]) < 0x20 || name[0] == 0x7F) {
            text += '?';
            name.remove_prefix(1);
        } else {
            text += name.substr(0, length);
            name.remove_prefix(length);
        }
    }
    if (shortened) text += "...";
    return text + "'";
}

Request::Request(const wire::OpMsg& op_msg, const Context& ctx, Plan& plan_out, Refusal& refusal_out,
                 std::vector<NamespaceName>& needed_out)
    : message(op_msg),
      context(ctx),
      plan(plan_out),
      refusal(refusal_out),
      needed(needed_out),
      document(op_msg.body),
      message_start_(op_msg.body.bytes().data() - op_msg.body_offset) {}

bool Request::refuse(std::int32_t code, std::string errmsg) {
    refusal.code = code;
    refusal.code_name = code_name(code);
    refusal.errmsg = std::move(errmsg);
    return false;
}

bool Request::check(bson::Bytes bytes, bson::DocumentView& out, bson::Facts* facts) {
    const bson::Limits limits{std::min(context.config.limits.nesting_levels, nesting_levels_ceiling)};
    const auto checked = bson::DocumentView::check(bytes, limits, facts);
    if (!checked)
        return refuse(code::invalid_bson, "The command is not valid BSON: " + checked.error().message());
    out = *checked;
    return true;
}

bool Request::check_top_level(bson::Bytes bytes, bson::DocumentView& out) {
    const auto checked = bson::DocumentView::check_top_level(bytes);
    if (!checked)
        return refuse(code::invalid_bson, "The command is not valid BSON: " + checked.error().message());
    out = *checked;
    return true;
}

bool Request::charge(std::size_t tree_nodes) {
    if (tree_nodes <= tree_nodes_left_) {
        tree_nodes_left_ -= tree_nodes;
        return true;
    }
    return refuse(
        code::command_not_supported,
        "The pipeline copies documents with encrypted fields into each other more often than fieldgate "
        "follows");
}

bool Request::charge_child(const config::SchemaNode& parent) {
    constexpr std::size_t children_per_node = 16;  // comparing as many names costs what a node costs
    const std::size_t children = parent.children().size();
    const bool has_room = children + 1 < config::no_field;
    return charge(has_room ? 1 + children / children_per_node : tree_nodes_left_ + 1);
}

bool Request::charge_patterns(std::size_t matches) {
    if (matches <= pattern_matches_left_) {
        pattern_matches_left_ -= matches;
        return true;
    }
    return refuse(code::command_not_supported,
                  "The command has more names to match with `patternProperties` than fieldgate looks at in "
                  "one go: send "
                  "documents as a document sequence, or in batches");
}

void Request::mark_matched(std::uint16_t index) {
    use(index).matched = true;
    statement.matched.push_back(index);
}

void Request::mark_used(const config::SchemaNode& node, bool written) {
    if (node.is_protected()) {
        use(node.field).matched = true;
        use(node.field).written = use(node.field).written || written;
    }
    if (node.unknown) plan.names_index = true;  // it may be any field
    node.for_each_child([&](const config::SchemaNode& child) { mark_used(child, written); });
}

void Request::mark_erased(const config::SchemaNode& node) {
    if (node.is_protected()) use(node.field).erased = true;
    node.for_each_child([&](const config::SchemaNode& child) { mark_erased(child); });
}

void Request::add_edit(const bson::Element& element, std::uint16_t field_index, Edit::Kind kind,
                       std::uint8_t type) {
    plan.edits.push_back(
        {static_cast<std::uint32_t>(element.raw().data() - message_start_), field_index, kind, type});
}

bool Request::protect(const config::NamespaceRef& protected_namespace, std::string_view database,
                      std::string_view collection) {
    if (!plan.fields) plan.fields = std::make_shared<FieldSpace>();
    if (!plan.fields->add(protected_namespace, database, collection))
        return refuse(code::command_not_supported,
                      "The command has to do with more encrypted fields than fieldgate counts");
    plan.uses.resize(plan.fields->size());
    plan.part_uses.resize(plan.fields->parts().size());
    return true;
}

void Request::enter_part(std::size_t index) {
    part = index;
    tree = stored = own_tree().get();
}

bool Request::admit_foreign_ciphertext(bson::DocumentView walked, std::size_t edits_before) {
    std::vector<std::uint32_t> verified;
    for (std::size_t i = edits_before; i < plan.edits.size(); ++i)
        if (plan.edits[i].kind == Edit::Kind::verify_ciphertext) verified.push_back(plan.edits[i].offset);
    std::sort(verified.begin(), verified.end());
    return scan_ciphertext(walked, verified);
}

bool Request::scan_ciphertext(bson::DocumentView walked, const std::vector<std::uint32_t>& verified) {
    for (const bson::Element& element : walked) {
        if (element.is_document() || element.is_array()) {
            if (!scan_ciphertext(element.document(), verified)) return false;
            continue;
        }
        if (element.type() == bson::Type::javascript_with_scope) {
            // int32 total, int32 and bytes of the code, then the scope.
            const bson::Bytes value = element.value();
            const std::size_t code_bytes = boost::endian::load_little_u32(value.data() + 4);
            if (!scan_ciphertext(bson::DocumentView::unchecked(value.subspan(8 + code_bytes)), verified))
                return false;
            continue;
        }
        if (!element.is_encrypted_binary()) continue;
        const bson::BinaryView binary = element.binary();
        const auto offset = static_cast<std::uint32_t>(element.raw().data() - message_start_);
        if (std::binary_search(verified.begin(), verified.end(), offset)) continue;
        // Kind 0 is a marking that no server may ever get, 3 and above belong to Queryable Encryption.
        const bool stored_kind = !binary.data.empty() && (binary.data[0] == 1 || binary.data[0] == 2);
        const auto allows = [](const FieldSpace::Part& each) {
            return each.protected_namespace->explicit_encryption_allow;
        };
        // Of a bulkWrite each operation is about one namespace; else all of them may be meant.
        const auto& parts = plan.fields->parts();
        const bool allowed = bulk_parts.empty() || part == no_part
                                 ? std::all_of(parts.begin(), parts.end(), allows)
                                 : allows(parts[part]);
        if (!allowed || !stored_kind)
            return refuse(
                code::bad_value,
                "Ciphertext (binData subtype 6) at " + quote(element.key()) +
                    ", which is not an encrypted field of this namespace, is refused. A namespace with "
                    "`explicit_encryption: allow` accepts it from roles that reveal everything.");
        plan.carries_foreign_ciphertext = true;
    }
    return true;
}

void Request::set_shape(ReplyShape::Kind kind, std::shared_ptr<const config::SchemaNode> reply_tree) {
    plan.shape.kind = kind;
    plan.shape.fields = plan.fields;
    plan.shape.tree = std::move(reply_tree);
}

std::shared_ptr<const config::SchemaNode> Request::own_tree(const config::SchemaNode* node) const {
    static const auto nothing = std::make_shared<const config::SchemaNode>();
    if (part == no_part) return server_tree != nullptr ? server_tree : nothing;
    const auto& root = plan.fields->parts()[part].tree;
    return node == nullptr ? root : std::shared_ptr<const config::SchemaNode>(root, node);
}

bson::Bytes first_document(bson::Bytes documents) {
    BOOST_ASSERT(documents.size() >= 5);
    const std::size_t bytes = boost::endian::load_little_u32(documents.data());
    BOOST_ASSERT(bytes >= 5 && bytes <= documents.size());
    return documents.first(bytes);
}

bool walk_fields(Request& request, bson::DocumentView document, std::span<const FieldRow> rows,
                 std::string_view owner, bool is_command) {
    std::uint64_t seen = 0;
    std::uint64_t seen_generic = 0;
    BOOST_ASSERT(rows.size() <= 64);
    for (const FieldRow& row : rows) {
        const auto element = row.first ? document.find(row.name) : std::nullopt;
        if (element && !row.check(request, *element)) return false;
    }
    bool own_name = is_command;
    for (const bson::Element& element : document) {
        if (own_name) {
            own_name = false;
            continue;
        }
        const std::string_view key = element.key();
        const auto row =
            std::find_if(rows.begin(), rows.end(), [&](const FieldRow& r) { return r.name == key; });
        std::uint64_t* mask = &seen;
        auto index = static_cast<std::size_t>(row - rows.begin());
        if (row == rows.end()) {
            const auto generic = std::find(generic_fields.begin(), generic_fields.end(), key);
            if (!is_command || generic == generic_fields.end())
                return request.refuse(
                    code::unknown_field,
                    "BSON field " + quote(std::string(owner) + "." + std::string(key)) +
                        " is an unknown field. fieldgate refuses fields that it does not know "
                        "where they could reach an encrypted namespace.");
            mask = &seen_generic;
            index = static_cast<std::size_t>(generic - generic_fields.begin());
        }
        const std::uint64_t bit = std::uint64_t{1} << index;
        if ((*mask & bit) != 0)
            return request.refuse(
                code::failed_to_parse,
                "BSON field " + quote(std::string(owner) + "." + std::string(key)) + " is a duplicate field");
        *mask |= bit;
        if (row != rows.end() && row->check != nullptr && !row->first && !row->check(request, element))
            return false;
    }
    return true;
}

}  // namespace fieldgate::analysis
