#include "proxy/cluster/key_vault.hpp"

#include <algorithm>
#include <boost/assert.hpp>
#include <utility>

#include "proxy/cluster/mongoc.hpp"
#include "proxy/cluster/uri.hpp"
#include "proxy/keys/key_document.hpp"
#include "proxy/keys/master_key.hpp"

namespace fieldgate::cluster {
namespace {

// Members are connected one after the other (checked_stream.cpp): one that swallows packets must leave time
// to ask the others before the selection ends.
constexpr std::int32_t connect_timeout_ms = 3000;
constexpr std::int32_t duplicate_key = 11000;

// Documents of ours are made by bson::Builder; libmongoc gets views of them.
class BsonView {
 public:
    explicit BsonView(const bson::Buffer& buffer) {
        const bool sound = bson_init_static(&value_, buffer.data(), buffer.size());
        BOOST_ASSERT(sound);
        static_cast<void>(sound);
    }
    const bson_t* get() const { return &value_; }

 private:
    bson_t value_;
};

bson::Buffer id_filter(const crypto::KeyId& id) {
    bson::Buffer buffer;
    bson::Builder(buffer).append_binary("_id", 4, id.bytes).finish();
    return buffer;
}

bson::Buffer name_filter(const keys::KeyRequest& request) {
    bson::Buffer buffer;
    bson::Builder filter(buffer);
    filter.open_array("$or").open_document("0").open_document("_id").open_array("$in");
    for (std::size_t i = 0; i < request.ids.size(); ++i) {
        filter.append_binary(std::to_string(i), 4, request.ids[i].bytes);
    }
    filter.close().close().close().open_document("1").open_document("keyAltNames").open_array("$in");
    for (std::size_t i = 0; i < request.alt_names.size(); ++i) {
        filter.append_string(std::to_string(i), request.alt_names[i]);
    }
    filter.close().close().close().close().finish();
    return buffer;
}

bson::Buffer rewrap_filter(const keys::KeyDocument& read) {
    bson::Buffer buffer;
    bson::Builder(buffer)
        .append_binary("_id", 4, read.id.bytes)
        .append_binary("keyMaterial", 0, read.wrapped)
        .finish();
    return buffer;
}

bson::Buffer rewrap_change(const keys::KeyDocument& rewrapped) {
    bson::Buffer buffer;
    bson::Builder builder(buffer);
    builder.open_document("$set").append_binary("keyMaterial", 0, rewrapped.wrapped);
    keys::append_master_key(builder, rewrapped.provider, rewrapped.master_key);
    builder.close().open_document("$currentDate").append_bool("updateDate", true).close().finish();
    return buffer;
}

// `writeErrors` of a bulk write's reply: {index, code, errmsg}.
template <class Visit>
void for_each_write_error(const bson_t* reply, Visit&& visit) {
    bson_iter_t errors;
    bson_iter_t entry;
    if (!bson_iter_init_find(&errors, reply, "writeErrors") || !BSON_ITER_HOLDS_ARRAY(&errors) ||
        !bson_iter_recurse(&errors, &entry))
        return;
    while (bson_iter_next(&entry)) {
        bson_iter_t document;
        bson_iter_t field;
        if (!BSON_ITER_HOLDS_DOCUMENT(&entry) || !bson_iter_recurse(&entry, &document)) continue;
        std::int64_t index = -1;
        bson_error_t error{};
        error.domain = MONGOC_ERROR_SERVER;
        for (field = document; bson_iter_next(&field);) {
            const std::string_view name = bson_iter_key(&field);
            if (name == "index") index = bson_iter_as_int64(&field);
            if (name == "code") error.code = static_cast<std::uint32_t>(bson_iter_as_int64(&field));
            if (name == "errmsg" && BSON_ITER_HOLDS_UTF8(&field))
                bson_strncpy(error.message, bson_iter_utf8(&field, nullptr), sizeof error.message);
        }
        visit(static_cast<std::size_t>(index), error);
    }
}

KeyVaultClient::Error error_of(const bson_error_t& error) {
    using Failure = KeyVaultClient::Failure;
    Failure kind = Failure::unavailable;
    if (error.domain == MONGOC_ERROR_SERVER || error.domain == MONGOC_ERROR_WRITE_CONCERN)
        kind = Failure::refused;
    if (error.domain == MONGOC_ERROR_CLIENT && error.code == MONGOC_ERROR_CLIENT_AUTHENTICATE) {
        kind = Failure::refused;
    }
    if (error.code == static_cast<std::uint32_t>(duplicate_key)) kind = Failure::duplicate;
    return {kind, error.message};
}

}  // namespace

struct KeyVaultClient::State {
    KeyVaultOptions options;
    std::string uri;
    std::chrono::milliseconds selection{};
    ClientPtr client;
    CollectionPtr collection;
    ReadPrefsPtr primary{mongoc_read_prefs_new(MONGOC_READ_PRIMARY)};
    OwnedBson majority_read;   // {readConcern: {level: "majority"}}
    OwnedBson majority_write;  // {writeConcern: {w: "majority"}}

    explicit State(KeyVaultOptions given) : options(std::move(given)), uri(options.uri) {
        const UriPtr parsed = parse_uri(options.uri);
        set_default_ms(*parsed, MONGOC_URI_CONNECTTIMEOUTMS, connect_timeout_ms);
        set_default_ms(*parsed, MONGOC_URI_SOCKETTIMEOUTMS,
                       static_cast<std::int32_t>(options.socket_timeout.count()));
        set_default_ms(*parsed, MONGOC_URI_SERVERSELECTIONTIMEOUTMS,
                       static_cast<std::int32_t>(options.selection_timeout.count()));
        if (options.patience) {
            cap_ms(*parsed, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, *options.patience);
            cap_ms(*parsed, MONGOC_URI_SOCKETTIMEOUTMS, *options.patience);
            // The selection ends with the attempt that is under way when its time is over.
            cap_ms(*parsed, MONGOC_URI_CONNECTTIMEOUTMS, *options.patience / 2);
        }
        // A client of one thread gives up after one look by default; an election takes several.
        if (!mongoc_uri_has_option(parsed.get(), MONGOC_URI_SERVERSELECTIONTRYONCE)) {
            mongoc_uri_set_option_as_bool(parsed.get(), MONGOC_URI_SERVERSELECTIONTRYONCE, false);
        }
        if (!mongoc_uri_has_option(parsed.get(), MONGOC_URI_DIRECTCONNECTION)) {
            mongoc_uri_set_option_as_bool(parsed.get(), MONGOC_URI_DIRECTCONNECTION, false);
        }
        selection = std::chrono::milliseconds(
            mongoc_uri_get_option_as_int32(parsed.get(), MONGOC_URI_SERVERSELECTIONTIMEOUTMS, 0));
        client = make_client(*parsed);
        collection.reset(
            mongoc_client_get_collection(client.get(), options.database.c_str(), options.collection.c_str()));
        const ReadConcernPtr read_concern(mongoc_read_concern_new());
        mongoc_read_concern_set_level(read_concern.get(), MONGOC_READ_CONCERN_LEVEL_MAJORITY);
        mongoc_read_concern_append(read_concern.get(), majority_read.get());
        const WriteConcernPtr write_concern(mongoc_write_concern_new());
        mongoc_write_concern_set_w(write_concern.get(), MONGOC_WRITE_CONCERN_W_MAJORITY);
        mongoc_write_concern_append(write_concern.get(), majority_write.get());
    }

    struct Bounds {
        std::size_t documents = 0;
        std::size_t bytes = 0;
        std::chrono::milliseconds time{};
    };

    // `limit` 0: none.
    keys::KeyVault::Found query(const bson_t* filter, const Bounds& bounds, std::int64_t limit = 0) {
        keys::KeyVault::Found found;
        OwnedBson find_options;
        bson_concat(find_options.get(), majority_read.get());
        if (limit > 0) BSON_APPEND_INT64(find_options.get(), "limit", limit);
        const auto deadline = std::chrono::steady_clock::now() + selection + bounds.time;
        const CursorPtr cursor(
            mongoc_collection_find_with_opts(collection.get(), filter, find_options.get(), primary.get()));
        std::size_t bytes = 0;
        while (mongoc_cursor_more(cursor.get())) {
            // An empty batch is not the end of a cursor, and a hostile server's has none.
            if (std::chrono::steady_clock::now() >= deadline) return {{}, "its answer did not end in time"};
            const bson_t* document = nullptr;
            if (!mongoc_cursor_next(cursor.get(), &document)) {
                bson_error_t error{};
                if (mongoc_cursor_error(cursor.get(), &error))
                    return {{}, without_secrets(error.message, uri)};
                continue;
            }
            bytes += document->len;
            if (found.documents.size() >= bounds.documents || bytes > bounds.bytes) {
                return {{}, "it returned more documents than one query may bring"};
            }
            const std::uint8_t* data = bson_get_data(document);
            found.documents.emplace_back(data, data + document->len);
        }
        return found;
    }

    Written write(bool done, const bson_t* reply, const char* matched, const char* changed,
                  const bson_error_t& error) const {
        if (!done) return {.error = error_of(error)};
        const auto count = [&](const char* name) {
            bson_iter_t iter;
            return bson_iter_init_find(&iter, reply, name) ? bson_iter_as_int64(&iter) : 0;
        };
        return {.matched = count(matched) > 0, .changed = count(changed) > 0, .error = {}};
    }

    Written update(const bson::Buffer& filter, const bson::Buffer& change) const {
        OwnedBson reply;
        bson_error_t error{};
        const bool done =
            mongoc_collection_update_one(collection.get(), BsonView(filter).get(), BsonView(change).get(),
                                         majority_write.get(), reply.out(), &error);
        return write(done, reply.get(), "matchedCount", "modifiedCount", error);
    }

    bool rewrap(std::span<const Rewrapped> keys, OwnedBson& reply, bson_error_t& error) const {
        OwnedBson bulk_options;
        bson_concat(bulk_options.get(), majority_write.get());
        BSON_APPEND_BOOL(bulk_options.get(), "ordered", false);
        const BulkPtr bulk(
            mongoc_collection_create_bulk_operation_with_opts(collection.get(), bulk_options.get()));
        for (const Rewrapped& key : keys) {
            const bool appended = mongoc_bulk_operation_update_one_with_opts(
                bulk.get(), BsonView(rewrap_filter(key.read)).get(),
                BsonView(rewrap_change(key.written)).get(), nullptr, &error);
            BOOST_ASSERT(appended);
            static_cast<void>(appended);
        }
        return mongoc_bulk_operation_execute(bulk.get(), reply.out(), &error) != 0;
    }
};

KeyVaultClient::KeyVaultClient(const KeyVaultOptions& options) : state_(std::make_unique<State>(options)) {}
KeyVaultClient::~KeyVaultClient() = default;

keys::KeyVault::Found KeyVaultClient::find(const keys::KeyRequest& request) {
    const bson::Buffer filter = name_filter(request);
    const KeyVaultOptions& options = state_->options;
    return renewed_after(state_->query(
        BsonView(filter).get(), {options.documents_max, options.documents_bytes_max, options.query_timeout}));
}

keys::KeyVault::Found KeyVaultClient::find_of_provider(const std::string& provider, std::size_t count_max) {
    bson::Buffer filter;
    bson::Builder(filter).append_string("masterKey.provider", provider).finish();
    const KeyVaultOptions& options = state_->options;
    return renewed_after(state_->query(
        BsonView(filter).get(), {options.documents_max, options.documents_bytes_max, options.query_timeout},
        static_cast<std::int64_t>(count_max)));
}

keys::KeyVault::Found KeyVaultClient::find_all() {
    const OwnedBson everything;
    const KeyVaultOptions& options = state_->options;
    return renewed_after(state_->query(
        everything.get(), {options.list_documents_max, options.list_bytes_max, options.list_timeout}));
}

// A client whose discovery dropped its last member would never find it again.
keys::KeyVault::Found KeyVaultClient::renewed_after(keys::KeyVault::Found found) {
    if (!found.error.empty()) state_ = std::make_unique<State>(KeyVaultOptions(state_->options));
    return found;
}

std::optional<KeyVaultClient::Error> KeyVaultClient::ensure_name_index() {
    bson::Buffer buffer;
    bson::Builder command(buffer);
    command.append_string("createIndexes", mongoc_collection_get_name(state_->collection.get()))
        .open_array("indexes")
        .open_document("0")
        .open_document("key")
        .append_int32("keyAltNames", 1)
        .close()
        .append_string("name", "keyAltNames_1")
        .append_bool("unique", true)
        .open_document("partialFilterExpression")
        .open_document("keyAltNames")
        .append_bool("$exists", true)
        .close()
        .close()
        .close()
        .close()
        .finish();
    OwnedBson reply;
    bson_error_t error{};
    if (!mongoc_collection_write_command_with_opts(state_->collection.get(), BsonView(buffer).get(),
                                                   state_->majority_write.get(), reply.out(), &error)) {
        return error_of(error);
    }
    return std::nullopt;
}

std::optional<KeyVaultClient::Error> KeyVaultClient::insert(const bson::Buffer& document) {
    OwnedBson reply;
    bson_error_t error{};
    if (!mongoc_collection_insert_one(state_->collection.get(), BsonView(document).get(),
                                      state_->majority_write.get(), reply.out(), &error)) {
        return error_of(error);
    }
    return std::nullopt;
}

KeyVaultClient::Written KeyVaultClient::add_alt_name(const crypto::KeyId& id, const std::string& name) {
    bson::Buffer change;
    bson::Builder(change).open_document("$addToSet").append_string("keyAltNames", name).close().finish();
    return state_->update(id_filter(id), change);
}

KeyVaultClient::Written KeyVaultClient::remove_alt_name(const crypto::KeyId& id, const std::string& name) {
    bson::Buffer filter;
    bson::Builder(filter).append_binary("_id", 4, id.bytes).append_string("keyAltNames", name).finish();
    // [{$set: {keyAltNames: {$cond: [{$eq: ["$keyAltNames", [name]]}, "$$REMOVE",
    //                                {$filter: {input: "$keyAltNames", cond: {$ne: ["$$this", name]}}}]}}}],
    // and the name as a literal, or "$x" would be a field's value.
    bson::Buffer change;
    bson::Builder pipeline(change);
    pipeline.open_document("0").open_document("$set").open_document("keyAltNames").open_array("$cond");
    pipeline.open_document("0").open_array("$eq").append_string("0", "$keyAltNames").open_array("1");
    pipeline.open_document("0").append_string("$literal", name).close();
    pipeline.close().close().close();
    pipeline.append_string("1", "$$REMOVE");
    pipeline.open_document("2").open_document("$filter").append_string("input", "$keyAltNames");
    pipeline.open_document("cond").open_array("$ne").append_string("0", "$$this");
    pipeline.open_document("1").append_string("$literal", name).close();
    pipeline.close().close().close().close();
    pipeline.close().close().close().close().finish();
    return state_->update(filter, change);
}

std::vector<KeyVaultClient::Written> KeyVaultClient::rewrap(std::span<const Rewrapped> keys) {
    OwnedBson reply;
    bson_error_t error{};
    const bool done = state_->rewrap(keys, reply, error);
    std::vector<Written> written(keys.size(), {.matched = true, .changed = true, .error = {}});
    std::size_t refused = 0;
    for_each_write_error(reply.get(), [&](std::size_t index, const bson_error_t& why) {
        if (index >= written.size() || written[index].error) return;
        written[index] = {.error = error_of(why)};
        ++refused;
    });
    if (!done && refused == 0) {
        for (Written& one : written) one = {.error = error_of(error)};
        return written;
    }
    bson_iter_t matched;
    const bool all = bson_iter_init_find(&matched, reply.get(), "nMatched") &&
                     static_cast<std::size_t>(bson_iter_as_int64(&matched)) >= keys.size() - refused;
    // The reply says how many it did not find, not which.
    if (!all) look_for(keys, written);
    return written;
}

void KeyVaultClient::look_for(std::span<const Rewrapped> keys, std::vector<Written>& written) {
    keys::KeyRequest request;
    for (const Rewrapped& key : keys) request.ids.push_back(key.read.id);
    const keys::KeyVault::Found found = find(request);
    std::vector<keys::KeyDocument> there;
    for (const bson::Buffer& document : found.documents) {
        if (auto key = keys::parse_key_document(document)) there.push_back(std::move(*key));
    }
    for (std::size_t i = 0; i < keys.size(); ++i) {
        if (written[i].error) continue;
        if (!found.error.empty()) {
            written[i] = {.error = Error{Failure::unavailable, found.error}};
            continue;
        }
        written[i].matched = written[i].changed =
            std::ranges::any_of(there, [&](const keys::KeyDocument& key) {
                return key.id == keys[i].written.id && key.wrapped == keys[i].written.wrapped;
            });
    }
}

KeyVaultClient::Written KeyVaultClient::remove(const crypto::KeyId& id) {
    OwnedBson reply;
    bson_error_t error{};
    const bson::Buffer filter = id_filter(id);
    const bool done = mongoc_collection_delete_one(state_->collection.get(), BsonView(filter).get(),
                                                   state_->majority_write.get(), reply.out(), &error);
    return state_->write(done, reply.get(), "deletedCount", "deletedCount", error);
}

KeyVaultThread::KeyVaultThread(const KeyVaultOptions& options) : client_(options) {}

void KeyVaultThread::find(const keys::KeyRequest& request, Done done) {
    worker_.post([this, request, done = std::move(done)] { done(client_.find(request)); });
}

}  // namespace fieldgate::cluster
