#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/is_error_code_enum.hpp>
#include <boost/system/result.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "proxy/analysis/field_space.hpp"
#include "proxy/wire/message.hpp"

// A command and its schemas in, a plan or a refusal out. Pure: no keys, no clock, no waiting, no role. What a
// role may do with a plan is policy/'s business.
namespace fieldgate::analysis {

enum class Errc {
    ok = 0,
    collection_info_unreadable,  // a listCollections entry whose type, options or view pipeline make no sense
};
const boost::system::error_category& error_category();
boost::system::error_code make_error_code(Errc error);

struct NamespaceName {
    std::string database;
    std::string collection;
    friend auto operator<=>(const NamespaceName&, const NamespaceName&) = default;
};

// What the server says about a namespace (listCollections), fetched through fieldgate's own connections.
struct NamespaceFacts {
    bool is_view = false;
    // For a view: every namespace its definition reads, viewOn first, then those its pipeline names.
    std::vector<NamespaceName> reads = {};
    // The collection's own $jsonSchema validator contains `encrypt`.
    bool validator_encrypts = false;
    // What that validator protects; null if it does not, or if `schema_problem` says why it cannot be
    // applied.
    config::NamespaceRef server_schema = {};
    std::string schema_problem = {};
};

// What is known of namespaces so far. A namespace without an answer must be resolved before a plan can be
// made.
class Catalog {
 public:
    virtual ~Catalog() = default;
    virtual const NamespaceFacts* find(std::string_view database, std::string_view collection) const = 0;
};

// A command error as the client will see it. errmsg names the field path and the rule, never a value.
struct Refusal {
    std::int32_t code = 0;
    std::string_view code_name;
    std::string errmsg;
};

// The codes of refusals. MongoDB's own where one fits; stable, tabled in the README.
namespace code {
inline constexpr std::int32_t bad_value = 2;
inline constexpr std::int32_t failed_to_parse = 9;
inline constexpr std::int32_t unauthorized = 13;
inline constexpr std::int32_t type_mismatch = 14;
inline constexpr std::int32_t invalid_bson = 22;
inline constexpr std::int32_t cursor_not_found = 43;
inline constexpr std::int32_t command_not_supported = 115;
inline constexpr std::int32_t invalid_namespace = 73;
inline constexpr std::int32_t unsupported_op_query_command = 352;
inline constexpr std::int32_t field_cannot_be_encrypted = 31041;  // a value of the wrong type for its field
inline constexpr std::int32_t operation_not_on_encrypted =
    51092;  // an operator that ciphertext cannot answer
inline constexpr std::int32_t bson_object_too_large = 10334;
inline constexpr std::int32_t key_not_available = 96;  // OperationFailed: key vault or KMS
inline constexpr std::int32_t unknown_field = 40415;   // a field that the command is not known to have
}  // namespace code
std::string_view code_name(std::int32_t code);

// One value of the message that must not leave as it is.
struct Edit {
    std::uint32_t offset = 0;  // of the element (its type byte) from the start of the message
    std::uint16_t field = 0;   // as the plan's FieldSpace numbers them
    enum class Kind : std::uint8_t {
        encrypt,            // replace the value by its ciphertext under the field's algorithm and key
        verify_ciphertext,  // the client sent ciphertext: leave it if it authenticates and fits the field,
                            // else refuse
        remove,             // leave the element out (a null under `nulls: omit`)
    } kind = Kind::encrypt;
    // Not 0: the number is turned into one of this BSON type first, which can hold it exactly.
    std::uint8_t type = 0;
};

// The key of an edit whose field names it by a JSON pointer: an alternative name, which the document itself
// gives.
struct EditKey {
    std::uint32_t offset = 0;   // of the edit
    std::string_view alt_name;  // in the message
};

// How a command uses a protected field; what a role must be allowed.
struct FieldUse {
    bool matched = false;  // a query decides by it, $exists included
    bool written = false;  // a value is stored
    bool erased = false;   // a stored value may disappear: $unset, replacement, a parent overwritten
    bool named = false;    // its values come back by name: distinct, $group
};

// Where documents of protected namespaces stand in the reply.
struct ReplyShape {
    enum class Kind : std::uint8_t {
        pass,          // nothing protected behind it: streamed
        write_result,  // insert, update, delete: errors are rebuilt; upserted[]._id
        bulk_result,   // bulkWrite: cursor.firstBatch / cursor.nextBatch, one result an operation
        cursor,        // cursor.firstBatch / cursor.nextBatch
        value,         // findAndModify: value
        values,        // distinct: each element of `values` is what `tree` describes
        scalar,        // count and other replies of a protected namespace that carry no documents: errors are
                       // rebuilt
    } kind = Kind::pass;
    std::shared_ptr<const FieldSpace> fields;  // null exactly for pass
    // The tree of one document (or of one value of `values`; null there: plain values). Points into a schema
    // or owns what stages made of it. Its fields are numbered as in `fields`.
    std::shared_ptr<const config::SchemaNode> tree;
};

enum class Access : std::uint8_t { none, read, write };

// What a command does to the documents of one part of the FieldSpace.
struct PartUse {
    bool replaces_whole_documents = false;  // replacement update: what it does not name is gone
    bool deletes = false;
};

// What to do with a command that is not refused.
struct Plan {
    std::string_view command;     // as in the table, lives forever: for logs and metrics
    std::string_view database;    // views into the message
    std::string_view collection;  // empty for commands without one
    // Every protected namespace the command has to do with; null: none. The command's own comes first if it
    // is protected.
    std::shared_ptr<FieldSpace> fields;
    bool own_is_protected = false;
    std::vector<Edit> edits;         // sorted by offset
    std::vector<EditKey> edit_keys;  // sorted by offset
    std::vector<FieldUse> uses;      // by number of the field
    std::vector<PartUse> part_uses;  // by part
    Access access = Access::none;
    // Removes documents, of every part or of a whole database; see PartUse for those of one part.
    bool deletes = false;
    bool requires_reveal_everything = false;  // closed to restricted roles: `local`, explain, ...
    bool touches_key_vault = false;
    bool names_index = false;  // by its name, which may stand for any path: only for who may match them all
    // Ciphertext outside of protected paths, which the namespace's explicit_encryption: allow let in. Only
    // for roles that reveal everything.
    bool carries_foreign_ciphertext = false;
    bool is_get_more = false;
    bool continues_bulk_write = false;  // the getMore is about the results of a bulkWrite, of no collection
    std::int64_t cursor_id = 0;         // getMore
    ReplyShape shape;
    // Every other namespace the command names.
    std::vector<NamespaceName> others;

    bool touches_protected() const { return fields != nullptr; }
};

struct Context {
    const config::Config& config;
    const Catalog& catalog;
};

// The analysis of one request. The message's bytes and the context must outlive it.
//
//     RequestAnalysis analysis(msg, context);
//     switch (analysis.step(budget)) { more: call again; done: plan(); refused: refusal(); need: needed() }
//
// `need` is only returned before any sequence was looked at; the caller resolves the namespaces and starts
// anew.
class RequestAnalysis {
 public:
    enum class Step : std::uint8_t { more, done, refused, need_namespaces };

    RequestAnalysis(const wire::OpMsg& message, const Context& context);
    ~RequestAnalysis();
    RequestAnalysis(const RequestAnalysis&) = delete;
    RequestAnalysis& operator=(const RequestAnalysis&) = delete;

    // Looks at about `bytes_max` bytes of sequence documents (the body is looked at whole in the first step).
    Step step(std::size_t bytes_max);
    Plan& plan() { return plan_; }
    const Refusal& refusal() const { return refusal_; }
    const std::vector<NamespaceName>& needed() const { return needed_; }

 private:
    struct State;
    Step start();

    const wire::OpMsg& message_;
    Context context_;
    std::unique_ptr<State> state_;  // only once a message has sequences that must be looked at
    bool started_ = false;
    Plan plan_;
    Refusal refusal_;
    std::vector<NamespaceName> needed_;
};

// Parses a listCollections reply entry ({name, type, options}), checked all the way down, into facts. For
// cluster/, which asks the server. A name without an entry does not exist: default facts.
boost::system::result<NamespaceFacts> facts_of(std::string_view database, bson::DocumentView collection_info);

}  // namespace fieldgate::analysis

template <>
struct boost::system::is_error_code_enum<fieldgate::analysis::Errc> : std::true_type {};
