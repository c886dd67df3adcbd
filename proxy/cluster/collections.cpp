#include "proxy/cluster/collections.hpp"

#include <boost/assert.hpp>

#include "proxy/cluster/mongoc.hpp"
#include "proxy/cluster/uri.hpp"

namespace fieldgate::cluster {
namespace {

constexpr std::int32_t socket_timeout_ms = 10000;
// One is asked for; a server that goes on for ever must not keep the command from ending.
constexpr std::size_t descriptions_max = 1000;

}  // namespace

struct CollectionClient::State {
    std::string uri;
    ClientPtr client;

    explicit State(const CollectionOptions& options) : uri(options.uri) {
        const UriPtr parsed = parse_uri(options.uri);
        set_default_ms(*parsed, MONGOC_URI_SOCKETTIMEOUTMS, socket_timeout_ms);
        set_default_ms(*parsed, MONGOC_URI_SERVERSELECTIONTIMEOUTMS,
                       static_cast<std::int32_t>(options.selection_timeout.count()));
        // A client of one thread gives up after one look by default; an election takes several.
        if (!mongoc_uri_has_option(parsed.get(), MONGOC_URI_SERVERSELECTIONTRYONCE))
            mongoc_uri_set_option_as_bool(parsed.get(), MONGOC_URI_SERVERSELECTIONTRYONCE, false);
        if (!mongoc_uri_has_option(parsed.get(), MONGOC_URI_DIRECTCONNECTION))
            mongoc_uri_set_option_as_bool(parsed.get(), MONGOC_URI_DIRECTCONNECTION, false);
        const ReadPrefsPtr primary(mongoc_read_prefs_new(MONGOC_READ_PRIMARY));
        mongoc_uri_set_read_prefs_t(parsed.get(), primary.get());
        client = make_client(*parsed);
    }
};

CollectionClient::CollectionClient(const CollectionOptions& options)
    : state_(std::make_unique<State>(options)) {}
CollectionClient::~CollectionClient() = default;

CollectionClient::Description CollectionClient::describe(const std::string& database,
                                                         const std::string& collection) {
    bson::Buffer options;
    bson::Builder(options).open_document("filter").append_string("name", collection).close().finish();
    bson_t view;
    const bool sound = bson_init_static(&view, options.data(), options.size());
    BOOST_ASSERT(sound);
    static_cast<void>(sound);
    const DatabasePtr handle(mongoc_client_get_database(state_->client.get(), database.c_str()));
    const CursorPtr cursor(mongoc_database_find_collections_with_opts(handle.get(), &view));
    Description description;
    const bson_t* entry = nullptr;
    for (std::size_t count = 1; mongoc_cursor_next(cursor.get(), &entry); ++count) {
        if (count > descriptions_max) return {{}, "listCollections returned more than was asked for"};
        const bson::Bytes bytes{bson_get_data(entry), entry->len};
        const auto document = bson::DocumentView::check(bytes, bson::Limits{});
        const auto name = document ? document->find("name") : std::nullopt;
        if (!name || !name->is_string())
            return {{}, "listCollections returned no description of a collection"};
        if (name->string() == collection) description.entry.emplace(bytes.begin(), bytes.end());
    }
    bson_error_t error{};
    if (mongoc_cursor_error(cursor.get(), &error)) return {{}, without_secrets(error.message, state_->uri)};
    return description;
}

std::string CollectionClient::run(const std::string& database, const bson::Buffer& command) {
    bson_t view;
    const bool sound = bson_init_static(&view, command.data(), command.size());
    BOOST_ASSERT(sound);
    static_cast<void>(sound);
    OwnedBson options;
    const WriteConcernPtr write_concern(mongoc_write_concern_new());
    mongoc_write_concern_set_w(write_concern.get(), MONGOC_WRITE_CONCERN_W_MAJORITY);
    mongoc_write_concern_append(write_concern.get(), options.get());
    OwnedBson reply;
    bson_error_t error{};
    if (mongoc_client_write_command_with_opts(state_->client.get(), database.c_str(), &view, options.get(),
                                              reply.out(), &error))
        return {};
    return without_secrets(error.message, state_->uri);
}

}  // namespace fieldgate::cluster
