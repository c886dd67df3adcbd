#include <array>

#include "proxy/analysis/commands.hpp"
#include "proxy/analysis/handlers.hpp"
#include "proxy/analysis/match.hpp"
#include "proxy/analysis/namespaces.hpp"
#include "proxy/analysis/validator.hpp"

namespace fieldgate::analysis {
namespace {

bool refuse_index(Request& request, std::string_view what, std::string_view path) {
    return request.refuse(code::operation_not_on_encrypted,
                          "Comparison to encrypted fields not supported: " + std::string(what) +
                              " on encrypted field " + quote(path));
}

// What of an index's key matters: whether ciphertext can serve it.
struct IndexKey {
    bool protected_path = false;
    bool random = false;
    bool parent = false;
    bool unique = false;    // given
    std::string_view path;  // of the first protected one
};

bool read_index_key(Request& request, bson::DocumentView key, IndexKey& index) {
    for (const bson::Element& part : key) {
        std::string_view path = part.key();
        const bool wildcard = path == "$**" || path.ends_with(".$**");
        if (wildcard) path.remove_suffix(path == "$**" ? 3 : 4);
        const bool whole_document = path.empty();
        const Resolution at = resolve(*request.tree, path);
        if (!whole_document && at.is_plain()) continue;
        if (wildcard || whole_document) return refuse_index(request, "a wildcard or text index", part.key());
        if (at.kind == Resolution::Kind::below || at.kind == Resolution::Kind::unknown)
            return refuse_index(request, "an index below or through", path);
        const auto direction = part.whole_number();
        if (direction != 1 && direction != -1)
            return refuse_index(request, "an index that is neither ascending nor descending", path);
        index.protected_path = true;
        index.path = path;
        // An index answers which documents have the field, and a unique one whose values are equal.
        request.mark_used(*at.node, index.unique);
        if (at.kind == Resolution::Kind::parent)
            index.parent = true;
        else if (request.field(at.node->field).algorithm == config::Algorithm::random)
            index.random = true;
    }
    return true;
}

bool check_index_key(Request& request, const bson::Element& element) {
    IndexKey index;
    if (!element.is_document())
        return request.refuse(code::type_mismatch, "An index's key must be an object");
    return read_index_key(request, element.document(), index);
}

// Names of fields that an index option lists: plain ones only.
bool check_option_paths(Request& request, const bson::Element& element) {
    if (!element.is_document())
        return request.refuse(code::type_mismatch, "An index option must be an object");
    for (const bson::Element& path : element.document())
        if (path.key().starts_with('$') || !resolve(*request.tree, path.key()).is_plain())
            return refuse_index(request, "an index option", path.key());
    return true;
}

bool check_name(Request& request, const bson::Element& element) {
    return element.is_string() ||
           request.refuse(code::type_mismatch, "BSON field " + quote(element.key()) + " must be a string");
}

bool check_partial_filter(Request& request, const bson::Element& element) {
    if (!element.is_document())
        return request.refuse(code::type_mismatch, "A partialFilterExpression must be an object");
    for (const bson::Element& predicate : element.document())
        if (!walk_kept_predicate(request, predicate, "a partialFilterExpression")) return false;
    return true;
}

constexpr std::array index_rows{
    FieldRow{"key", check_index_key},
    FieldRow{"name", check_name},
    FieldRow{"v", check_scalar},
    FieldRow{"unique", check_scalar},
    FieldRow{"sparse", check_scalar},
    FieldRow{"background", check_scalar},
    FieldRow{"hidden", check_scalar},
    FieldRow{"dropDups", check_scalar},
    FieldRow{"prepareUnique", check_scalar},
    FieldRow{"expireAfterSeconds", check_scalar},
    FieldRow{"collation", check_collation},
    FieldRow{"partialFilterExpression", check_partial_filter},
    FieldRow{"weights", check_option_paths},
    FieldRow{"wildcardProjection", check_absent},
    FieldRow{"default_language", check_name},
    FieldRow{"language_override", check_name},
    FieldRow{"textIndexVersion", check_scalar},
    FieldRow{"2dsphereIndexVersion", check_scalar},
    FieldRow{"bits", check_scalar},
    FieldRow{"min", check_scalar},
    FieldRow{"max", check_scalar},
    FieldRow{"ns", check_name},
};

bool asks_for_unique(bson::DocumentView spec) {
    const auto unique = spec.find("unique");
    const auto prepare_unique = spec.find("prepareUnique");
    return (unique && unique->truthy()) || (prepare_unique && prepare_unique->truthy());
}

// What may be asked of an index with that key.
bool check_index_properties(Request& request, bson::DocumentView spec,
                            const std::optional<bson::Element>& key) {
    const bool is_unique = asks_for_unique(spec);
    // The server deletes documents by such an index, in the name of nobody.
    if (spec.find("expireAfterSeconds")) request.plan.deletes = true;
    if (!key) return true;
    IndexKey index;
    index.unique = is_unique;
    if (!read_index_key(request, key->document(), index)) return false;
    if (!index.protected_path) return true;
    // Equal values have different ciphertexts there: the index could not keep its promise.
    if (is_unique && (index.random || index.parent))
        return refuse_index(request, "a unique index", index.path);
    if (spec.find("expireAfterSeconds")) return refuse_index(request, "an expiring (TTL) index", index.path);
    if (request.statement.collation) return refuse_index(request, "an index with a collation", index.path);
    return true;
}

bool check_index(Request& request, bson::DocumentView spec) {
    request.statement.clear();
    if (!walk_fields(request, spec, index_rows, "indexes", false)) return false;
    const auto key = spec.find("key");
    if (!key)
        return request.refuse(code::failed_to_parse,
                              "BSON field 'indexes.key' is missing but a required field");
    return check_index_properties(request, spec, key);
}

bool check_indexes(Request& request, const bson::Element& element) {
    if (!element.is_array())
        return request.refuse(code::type_mismatch, "BSON field 'indexes' must be an array");
    for (const bson::Element& spec : element.document()) {
        if (!spec.is_document()) return request.refuse(code::type_mismatch, "An index must be an object");
        if (!check_index(request, spec.document())) return false;
    }
    return true;
}

// A collection's default collation applies to every query that names none.
bool check_default_collation(Request& request, const bson::Element& element) {
    if (!check_collation(request, element)) return false;
    return !request.statement.collation || check_absent(request, element);
}

// { enabled: true } and the like.
bool check_switches(Request& request, const bson::Element& element) {
    return check_cursor(request, element);
}

constexpr std::array clustered_index_rows{
    FieldRow{"key", check_option_paths},
    FieldRow{"unique", check_scalar},
    FieldRow{"name", check_name},
    FieldRow{"v", check_scalar},
};

bool check_clustered_index(Request& request, const bson::Element& element) {
    if (!element.is_document()) return check_scalar(request, element);
    return walk_fields(request, element.document(), clustered_index_rows, "clusteredIndex", false);
}

// How strictly the validator is meant: it decides what other roles may store.
bool check_validation(Request& request, const bson::Element& element) {
    request.plan.requires_reveal_everything = true;
    return check_name(request, element);
}

// { keyPattern or name, hidden, expireAfterSeconds, unique, prepareUnique }
constexpr std::array modified_index_rows{
    FieldRow{"keyPattern", check_index_key}, FieldRow{"name", check_name},
    FieldRow{"hidden", check_scalar},        FieldRow{"expireAfterSeconds", check_scalar},
    FieldRow{"unique", check_scalar},        FieldRow{"prepareUnique", check_scalar},
};

bool check_modified_index(Request& request, const bson::Element& element) {
    if (!element.is_document()) return request.refuse(code::type_mismatch, "An index must be an object");
    const bson::DocumentView index = element.document();
    if (!walk_fields(request, index, modified_index_rows, "collMod.index", false)) return false;
    // Which paths it is on, and so whether ciphertext could be unique there or expire, only the server knows.
    if (index.find("name")) request.plan.names_index = true;
    if (asks_for_unique(index) && index.find("name"))
        return refuse_index(request, "a unique index that is given by its name and may be", "name");
    return check_index_properties(request, index, index.find("keyPattern"));
}

// A smaller capped collection loses documents.
bool check_capped(Request& request, const bson::Element& element) {
    request.plan.deletes = true;
    return check_scalar(request, element);
}

constexpr std::array coll_mod_rows{
    FieldRow{"index", check_modified_index},
    FieldRow{"validator", check_validator},
    FieldRow{"validationLevel", check_validation},
    FieldRow{"validationAction", check_validation},
    FieldRow{"changeStreamPreAndPostImages", check_switches},
    FieldRow{"recordPreImages", check_scalar},
    FieldRow{"cappedSize", check_capped},
    FieldRow{"cappedMax", check_capped},
    FieldRow{"noPadding", check_scalar},
    FieldRow{"usePowerOf2Sizes", check_scalar},
    FieldRow{"dryRun", check_scalar},
    FieldRow{"viewOn", check_absent},
    FieldRow{"pipeline", check_absent},
    FieldRow{"timeseries", check_absent},
    FieldRow{"expireAfterSeconds", check_absent},
};

constexpr std::array create_rows{
    FieldRow{"capped", check_scalar},
    FieldRow{"size", check_scalar},
    FieldRow{"max", check_scalar},
    FieldRow{"autoIndexId", check_scalar},
    FieldRow{"flags", check_scalar},
    FieldRow{"storageEngine"},
    FieldRow{"changeStreamPreAndPostImages", check_switches},
    FieldRow{"collation", check_default_collation},
    FieldRow{"validator", check_validator},
    FieldRow{"validationLevel", check_validation},
    FieldRow{"validationAction", check_validation},
    FieldRow{"clusteredIndex", check_clustered_index},
    FieldRow{"expireAfterSeconds", check_absent},
    FieldRow{"viewOn", check_absent},
    FieldRow{"pipeline", check_absent},
    FieldRow{"timeseries", check_absent},
    FieldRow{"encryptedFields", check_absent},
};

constexpr std::array create_indexes_rows{
    FieldRow{"indexes", check_indexes},
    FieldRow{"commitQuorum"},
    FieldRow{"ignoreUnknownIndexOptions", check_scalar},
};

// Names of indexes, or the key of one.
bool check_index_names(Request& request, const bson::Element& element) {
    if (!element.is_array()) return check_hint(request, element);
    request.plan.names_index = true;
    for (const bson::Element& name : element.document())
        if (!name.is_string())
            return request.refuse(code::type_mismatch, "BSON field 'index' must be names of indexes");
    return true;
}

bool check_cursor_ids(Request& request, const bson::Element& element) {
    if (!element.is_array())
        return request.refuse(code::type_mismatch, "BSON field 'cursors' must be an array");
    for (const bson::Element& id : element.document())
        if (id.type() != bson::Type::int64)
            return request.refuse(code::type_mismatch, "BSON field 'cursors' must be an array of longs");
    return true;
}

constexpr std::array kill_cursors_rows{FieldRow{"cursors", check_cursor_ids}};
constexpr std::array drop_indexes_rows{FieldRow{"index", check_index_names}};
constexpr std::array list_indexes_rows{FieldRow{"cursor", check_cursor},
                                       FieldRow{"includeBuildUUIDs", check_scalar},
                                       FieldRow{"includeIndexBuildInfo", check_scalar}};
constexpr std::array compact_rows{FieldRow{"force", check_scalar},
                                  FieldRow{"freeSpaceTargetMB", check_scalar},
                                  FieldRow{"dryRun", check_scalar}};
constexpr std::array validate_rows{
    FieldRow{"full", check_scalar},     FieldRow{"repair", check_scalar},
    FieldRow{"metadata", check_scalar}, FieldRow{"checkBSONConformance", check_scalar},
    FieldRow{"scandata", check_scalar}, FieldRow{"background", check_scalar},
};
constexpr std::array coll_stats_rows{FieldRow{"scale", check_scalar}, FieldRow{"verbose", check_scalar}};
constexpr std::array search_index_rows{FieldRow{"name", check_name}, FieldRow{"id", check_name}};
constexpr std::array rename_rows{FieldRow{"to", check_name}, FieldRow{"dropTarget", check_scalar},
                                 FieldRow{"stayTemp", check_scalar}};

bool admit_target(Request& request, std::string_view field) {
    if (request.document.count(field) > 1)
        return request.refuse(code::failed_to_parse, quote(field) + " is a duplicate field");
    const auto target = request.document.find(field);
    if (!target || !target->is_string())
        return request.refuse(code::invalid_namespace, quote(field) + " must be the name of a collection");
    return admit_other(request, request.plan.database, target->string());
}

bool admit_output_document(Request& request, bson::DocumentView out) {
    std::string_view database = request.plan.database;
    std::string_view collection;
    for (const bson::Element& option : out) {
        const std::string_view key = option.key();
        const bool action = key == "replace" || key == "merge" || key == "reduce";
        if (key == "inline" || key == "sharded" || key == "nonAtomic") continue;
        if (!option.is_string() || out.count(key) > 1 || !(action || key == "db") ||
            (action && !collection.empty()))
            return request.refuse(code::invalid_namespace, "The output of mapReduce cannot be told");
        (action ? collection : database) = option.string();
    }
    return collection.empty()
               ? out.find("inline").has_value() ||
                     request.refuse(code::invalid_namespace, "The output of mapReduce cannot be told")
               : admit_other(request, database, collection);
}

}  // namespace

const std::span<const FieldRow> create_fields = create_rows;
const std::span<const FieldRow> coll_mod_fields = coll_mod_rows;
const std::span<const FieldRow> create_indexes_fields = create_indexes_rows;
const std::span<const FieldRow> kill_cursors_fields = kill_cursors_rows;
const std::span<const FieldRow> drop_indexes_fields = drop_indexes_rows;
const std::span<const FieldRow> list_indexes_fields = list_indexes_rows;
const std::span<const FieldRow> compact_fields = compact_rows;
const std::span<const FieldRow> validate_fields = validate_rows;
const std::span<const FieldRow> coll_stats_fields = coll_stats_rows;
const std::span<const FieldRow> search_index_fields = search_index_rows;
const std::span<const FieldRow> rename_fields = rename_rows;

bool finish_structure(Request& request) {
    request.set_shape(ReplyShape::Kind::scalar, nullptr);
    return true;
}

bool finish_reindex(Request& request) {
    request.plan.names_index = true;  // all of them
    return finish_structure(request);
}

bool look_at_view_definition(Request& request) {
    for (const bson::Element& element : request.document) {
        if (element.key() == "viewOn" && !admit_target(request, "viewOn")) return false;
        if (element.key() != "pipeline") continue;
        bson::DocumentView checked;
        if (!element.is_array())
            return request.refuse(code::type_mismatch, "BSON field 'pipeline' must be an array");
        if (!request.check(element.value(), checked)) return false;
        if (!admit_named(request, element, request.plan.database, false)) return false;
    }
    return true;
}

bool look_at_rename(Request& request) {
    const bson::Element from = *request.document.begin();
    const auto to = request.document.find("to");
    if (!from.is_string() || !to || !to->is_string() || request.document.count("to") > 1)
        return request.refuse(code::invalid_namespace, "renameCollection needs two full names");
    const auto source = split_full_name(from.string());
    const auto target = split_full_name(to->string());
    if (!source || !target)
        return request.refuse(code::invalid_namespace, "renameCollection needs two full names");
    for (const bson::Element& element : request.document)
        if (element.key() == "dropTarget" && element.type() != bson::Type::null &&
            (element.type() == bson::Type::binary || element.truthy()))
            request.plan.deletes = true;

    if (!admit_namespace(request, source->database, source->collection)) return false;
    if (!request.plan.own_is_protected) return admit_other(request, target->database, target->collection);
    // Under another schema, or under the key that another database's name chooses, the documents would be
    // read wrongly.
    if (request.context.config.find(target->database, target->collection) !=
            request.plan.fields->parts()[0].protected_namespace.get() ||
        source->database != target->database)
        return request.refuse(
            code::command_not_supported,
            "renameCollection between a protected namespace and one with another schema is refused");
    if (!admit_collection_name(request, target->database, target->collection)) return false;
    request.plan.others.push_back({std::string(target->database), std::string(target->collection)});
    request.plan.requires_reveal_everything = true;
    return true;
}

bool look_at_clone(Request& request) {
    return admit_target(request, "toCollection");
}

bool look_at_map_reduce(Request& request) {
    for (const bson::Element& element : request.document) {
        if (element.key() != "out") continue;
        if (element.is_string()) {
            if (!admit_other(request, request.plan.database, element.string())) return false;
            continue;
        }
        bson::DocumentView out;
        if (!element.is_document())
            return request.refuse(code::type_mismatch, "BSON field 'out' cannot be read");
        if (!request.check_top_level(element.value(), out) || !admit_output_document(request, out))
            return false;
    }
    return true;
}

bool look_at_drop_database(Request& request) {
    // Without its keys nothing can be read again.
    if (request.plan.database == request.context.config.key_vault.database)
        request.plan.touches_key_vault = true;
    return true;
}

}  // namespace fieldgate::analysis
