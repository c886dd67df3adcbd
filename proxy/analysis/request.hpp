#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/schema.hpp"
#include "proxy/analysis/analysis.hpp"
#include "proxy/bson/view.hpp"

// What the walkers of this folder share while they look at one command. Internal to analysis/.
//
// A walker returns false after it refused; its caller returns false at once. Nothing else is an error here.
namespace fieldgate::analysis {

struct Command;
class Request;

// What one query-and-write statement gathers while its fields are looked at: an update or delete statement,
// or the whole command for those that have one statement.
struct Statement {
    bool collation = false;  // other than the simple one
    bool upsert = false;
    bool removes = false;
    bool null_where_omitted = false;     // the query equals null a field whose nulls are never stored
    std::vector<std::uint16_t> matched;  // protected fields that the query decides by
    // The whole document that is about to be inserted, where JSON pointers find names of keys; empty
    // otherwise.
    std::optional<bson::DocumentView> inserted;
    // What the JSON pointer that was followed last named in it.
    struct KeyName {
        const config::KeyPointer* pointer = nullptr;
        std::string_view name = {};
    };
    KeyName key_name;

    void clear() {
        collation = upsert = removes = null_where_omitted = false;
        matched.clear();
        inserted.reset();
        key_name = {};
    }
};

// What a dotted path is to a tree. `below`: it goes through a protected field, or reaches one only by reading
// a number as an array position; `unknown`: whether it is encrypted is not known until runtime, or it goes
// through an array that a stage made. Nothing can be done at either on ciphertext.
struct Resolution {
    enum class Kind : std::uint8_t { plain, parent, field, below, unknown } kind = Kind::plain;
    const config::SchemaNode* node = nullptr;
    bool is_plain() const { return kind == Kind::plain; }
};
Resolution resolve(const config::SchemaNode& root, std::string_view path);
// Whether a path has components that stand for elements of arrays (`$`, `$[]`, `$[name]`), and the path
// without them: a protected field never stands in an array, so what that names decides.
bool is_positional(std::string_view path);
std::string without_positions(std::string_view path);
// The same for a path that a value is compared with in a pipeline.
Resolution resolve_compared(const Request& request, std::string_view path);
// Why a path that is neither plain, nor a field, nor a parent cannot be used: "Cannot query below ..." with
// its verb.
std::string why_unusable(const Resolution& at, std::string_view verb, std::string_view path);

// A client's name inside an error text: quoted, shortened, and valid UTF-8 whatever the client sent.
std::string quote(std::string_view name);
bool is_utf8(std::string_view text);

// A name that stands more than once at the document's own level, if any. In the time of sorting them: clients
// send documents with any number of names.
std::optional<std::string_view> name_that_repeats(bson::DocumentView document);

// An object whose first name begins with `$`: operators or an expression, not a literal.
bool begins_with_operator(const bson::Element& value);

// What options and projections take: a boolean or a number of any type.
bool is_number_or_boolean(const bson::Element& value);

// A variable of aggregation ($let, $lookup's let, $map): what its value is.
struct Variable {
    std::string_view name;  // in the message, without $$
    config::SchemaNode node;
    bool literals = false;  // constants of the client may stand in it
};

class Request {
 public:
    Request(const wire::OpMsg& op_msg, const Context& ctx, Plan& plan_out, Refusal& refusal_out,
            std::vector<NamespaceName>& needed_out);

    const wire::OpMsg& message;
    const Context& context;
    Plan& plan;
    Refusal& refusal;
    std::vector<NamespaceName>& needed;
    const Command* command = nullptr;
    bson::DocumentView document;  // of the command: the message's body, or what stands inside an explain
    // What documents look like where the walker stands: a namespace's own tree, or what stages made of it.
    const config::SchemaNode* tree = nullptr;
    // What they looked like in the store, before any stage. A value sent for a path that was protected there
    // never leaves in clear, whatever stages have put in its place.
    const config::SchemaNode* stored = nullptr;
    // Of the plan's FieldSpace: whose documents are stored, replaced and deleted. Those of an unprotected
    // namespace are of none.
    static constexpr std::size_t no_part = static_cast<std::size_t>(-1);
    std::size_t part = no_part;
    // bulkWrite: the part of each entry of nsInfo.
    std::vector<std::size_t> bulk_parts;
    // What the server keeps of other namespaces' documents (server_documents.hpp): the tree of the command's
    // own documents, if they are of that kind; the first such namespace or stage that the command reaches,
    // for error texts; views over any.
    std::shared_ptr<const config::SchemaNode> server_tree;
    std::string server_documents;
    std::vector<NamespaceName> server_views;
    bool has_ciphertext = false;  // of what is being walked: a binary of subtype 6 somewhere in it
    std::shared_ptr<const config::SchemaNode>
        stored_events;                // keeps it, where it is that of a change stream's events
    std::vector<Variable> variables;  // in scope, innermost last
    // What a projection that computes makes of the documents that a find-like command returns; null: nothing.
    std::shared_ptr<const config::SchemaNode> projected;
    // Constants of expressions that were walked so far and may become part of a value. What decides only
    // (conditions, comparisons) is not counted.
    std::size_t literals = 0;
    // Where stages of the pipeline so far put such constants: dotted paths. With a dot at the end: anywhere
    // at or below it. Noted only for commands that unite documents with others somewhere ($unionWith).
    std::set<std::string> literal_paths;
    bool unites = false;
    // Constants that were encrypted because they stand in for a field's value.
    std::set<const std::uint8_t*> stood_in;
    // The expressions are those of an update, which must leave every protected field as it is.
    bool updates_by_pipeline = false;
    Statement statement;

    [[nodiscard]] bool refuse(std::int32_t code, std::string errmsg);
    // Stages copy trees, and a short pipeline can double them again and again: that many nodes are about to
    // be copied.
    [[nodiscard]] bool charge(std::size_t tree_nodes);
    // That many names are about to be matched with patterns, which takes a while each: so many in one
    // document (or in a body, which is looked at in one go) that others would wait are refused.
    [[nodiscard]] bool charge_patterns(std::size_t matches);
    void next_statement() { pattern_matches_left_ = pattern_matches_max; }
    // A child is about to be put into a node, which costs more the more it has.
    [[nodiscard]] bool charge_child(const config::SchemaNode& parent);
    // Deep check of bytes of the message; refuses what is not BSON or nests too deep.
    [[nodiscard]] bool check(bson::Bytes bytes, bson::DocumentView& out, bson::Facts* facts = nullptr);
    [[nodiscard]] bool check_top_level(bson::Bytes bytes, bson::DocumentView& out);

    const config::EncryptedField& field(std::uint16_t index) const { return plan.fields->field(index); }
    const config::ProtectedNamespace& namespace_of(std::uint16_t index) const {
        return *plan.fields->part_of(index).protected_namespace;
    }
    // Makes a protected namespace part of the plan. False: refused.
    [[nodiscard]] bool protect(const config::NamespaceRef& protected_namespace, std::string_view database,
                               std::string_view collection);
    // From here on the documents of that part are meant; `no_part`: those of an unprotected namespace.
    void enter_part(std::size_t index);
    FieldUse& use(std::uint16_t index) { return plan.uses[index]; }
    void mark_matched(std::uint16_t index);
    // Every protected field at or below the node is decided by an index (`written`: and bound to be unique).
    void mark_used(const config::SchemaNode& node, bool written);
    // Every protected field at or below the node may disappear.
    void mark_erased(const config::SchemaNode& node);
    void add_edit(const bson::Element& element, std::uint16_t field_index, Edit::Kind kind,
                  std::uint8_t type = 0);

    // After a document of a protected namespace was walked: ciphertext anywhere but where the walk left a
    // verify_ciphertext edit is refused, or noted where the namespace allows it. `edits_before` is the number
    // of edits before that walk.
    [[nodiscard]] bool admit_foreign_ciphertext(bson::DocumentView walked, std::size_t edits_before);

    // `tree` null: no documents, or plain values.
    void set_shape(ReplyShape::Kind kind, std::shared_ptr<const config::SchemaNode> tree);
    // The tree of the documents of the part that was entered, or a node of it.
    std::shared_ptr<const config::SchemaNode> own_tree(const config::SchemaNode* node = nullptr) const;
    // The tree of the documents that a find-like command returns: its own, or what its projection makes of
    // it.
    std::shared_ptr<const config::SchemaNode> returned_tree() const {
        return projected ? projected : own_tree();
    }

 private:
    bool scan_ciphertext(bson::DocumentView walked, const std::vector<std::uint32_t>& verified);
    std::size_t tree_nodes_left_ = 200000;
    static constexpr std::size_t pattern_matches_max = 1'000'000;
    std::size_t pattern_matches_left_ = pattern_matches_max;
    const std::uint8_t* message_start_;
};

// The first of the documents of a sequence, whose lengths the wire codec has checked.
bson::Bytes first_document(bson::Bytes documents);

// A field of a command or statement, and what is done with its value on a protected namespace.
struct FieldRow {
    std::string_view name;
    bool (*check)(Request&, const bson::Element&) = nullptr;  // null: passes as it is
    bool first = false;  // checked before the others, wherever it stands: they build on it
};

// Every field of `document` must be in `rows` (or be one that every command may have, if `generic`), once;
// each is checked in the order of the document, but for those that come first. The command's own name, first
// in the document, is not looked at.
[[nodiscard]] bool walk_fields(Request& request, bson::DocumentView document, std::span<const FieldRow> rows,
                               std::string_view owner, bool is_command);

}  // namespace fieldgate::analysis
