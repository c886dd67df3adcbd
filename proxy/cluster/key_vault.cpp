#include "proxy/cluster/key_vault.hpp"

#include <boost/assert.hpp>
#include <utility>

#include "proxy/cluster/mongoc.hpp"
#include "proxy/cluster/uri.hpp"

namespace fieldgate::cluster {
namespace {

constexpr std::int32_t socket_timeout_ms = 10000;
// Members are connected one after the other (checked_stream.cpp): one that swallows packets must leave time
// to ask the others before the selection ends.
constexpr std::int32_t connect_timeout_ms = 3000;
// A key vault is someone else's data: what one query may bring is bounded.
constexpr std::size_t documents_max = 10000;
constexpr std::size_t documents_bytes_max = 32u << 20;
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
    ClientPtr client;
    CollectionPtr collection;
    ReadPrefsPtr primary{mongoc_read_prefs_new(MONGOC_READ_PRIMARY)};
    OwnedBson majority_read;   // {readConcern: {level: "majority"}}
    OwnedBson majority_write;  // {writeConcern: {w: "majority"}}

    explicit State(KeyVaultOptions given) : options(std::move(given)), uri(options.uri) {
        const UriPtr parsed = parse_uri(options.uri);
        set_default_ms(*parsed, MONGOC_URI_CONNECTTIMEOUTMS, connect_timeout_ms);
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

    keys::KeyVault::Found query(const bson_t* filter, bool bounded) {
        keys::KeyVault::Found found;
        const CursorPtr cursor(
            mongoc_collection_find_with_opts(collection.get(), filter, majority_read.get(), primary.get()));
        std::size_t bytes = 0;
        const bson_t* document = nullptr;
        while (mongoc_cursor_next(cursor.get(), &document)) {
            bytes += document->len;
            if (bounded && (found.documents.size() >= documents_max || bytes > documents_bytes_max)) {
                return {{}, "it returned more documents than one query may bring"};
            }
            const std::uint8_t* data = bson_get_data(document);
            found.documents.emplace_back(data, data + document->len);
        }
        bson_error_t error{};
        if (mongoc_cursor_error(cursor.get(), &error)) return {{}, without_secrets(error.message, uri)};
        return found;
    }
};

KeyVaultClient::KeyVaultClient(const KeyVaultOptions& options) : state_(std::make_unique<State>(options)) {}
KeyVaultClient::~KeyVaultClient() = default;

keys::KeyVault::Found KeyVaultClient::find(const keys::KeyRequest& request) {
    const bson::Buffer filter = name_filter(request);
    keys::KeyVault::Found found = state_->query(BsonView(filter).get(), true);
    // A client whose discovery dropped its last member would never find it again.
    if (!found.error.empty()) state_ = std::make_unique<State>(KeyVaultOptions(state_->options));
    return found;
}

keys::KeyVault::Found KeyVaultClient::find_all() {
    const OwnedBson everything;
    return state_->query(everything.get(), false);
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

KeyVaultThread::KeyVaultThread(const KeyVaultOptions& options) : client_(options) {}

void KeyVaultThread::find(const keys::KeyRequest& request, Done done) {
    worker_.post([this, request, done = std::move(done)] { done(client_.find(request)); });
}

}  // namespace fieldgate::cluster
