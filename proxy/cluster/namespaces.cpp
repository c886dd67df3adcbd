#include "proxy/cluster/namespaces.hpp"

#include <boost/assert.hpp>
#include <iterator>

#include "proxy/bson/builder.hpp"
#include "proxy/cluster/mongoc.hpp"
#include "proxy/cluster/uri.hpp"

namespace fieldgate::cluster {
namespace {
constexpr std::int32_t socket_timeout_ms = 10000;
// Members are connected one after the other (checked_stream.cpp): one that swallows packets must leave time
// to ask the others before the selection ends.
constexpr std::int32_t connect_timeout_ms = 3000;
constexpr std::size_t names_in_question_max = 1000;
// Of one answer. A server that goes on for ever must neither fill the memory nor keep everybody waiting.
constexpr std::size_t descriptions_max = names_in_question_max;
constexpr std::size_t descriptions_bytes_max = std::size_t{64} * 1024 * 1024;
constexpr std::uint32_t unauthorized = 13;
}  // namespace

struct NamespaceResolver::Connection {
    UriPtr uri;
    ClientPtr client;
};

NamespaceResolver::NamespaceResolver(NamespaceOptions options)
    : options_(std::move(options)), connection_(std::make_unique<Connection>()) {
    UriPtr uri = parse_uri(options_.uri);
    set_default_ms(*uri, MONGOC_URI_SOCKETTIMEOUTMS, socket_timeout_ms);
    set_default_ms(*uri, MONGOC_URI_CONNECTTIMEOUTMS, connect_timeout_ms);
    set_default_ms(*uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS,
                   static_cast<std::int32_t>(options_.selection_timeout.count()));
    if (!mongoc_uri_has_option(uri.get(), MONGOC_URI_SERVERSELECTIONTRYONCE)) {
        mongoc_uri_set_option_as_bool(uri.get(), MONGOC_URI_SERVERSELECTIONTRYONCE, false);
    }
    if (!mongoc_uri_has_option(uri.get(), MONGOC_URI_DIRECTCONNECTION)) {
        mongoc_uri_set_option_as_bool(uri.get(), MONGOC_URI_DIRECTCONNECTION, false);
    }
    const ReadPrefsPtr primary(mongoc_read_prefs_new(MONGOC_READ_PRIMARY));
    mongoc_uri_set_read_prefs_t(uri.get(), primary.get());
    connection_->client = make_client(*uri);
    connection_->uri = std::move(uri);
}

NamespaceResolver::~NamespaceResolver() {
    stop();
}

void NamespaceResolver::stop() {
    worker_.stop();
}

void NamespaceResolver::resolve(const std::vector<analysis::NamespaceName>& names, Done done) {
    if (names.empty()) return done({});
    if (queue_.add(names, std::move(done))) {
        worker_.post([this] { ask_queued(); });
    }
}

void NamespaceResolver::ask_queued() {
    std::map<std::string, Database> databases;
    for (const analysis::NamespaceName& name : queue_.take()) databases[name.database][name.collection];
    for (auto& [database, collections] : databases) {
        ask(database, collections);
        NamespaceAnswers answers;
        for (auto& [collection, facts] : collections) {
            answers.emplace_back(analysis::NamespaceName{database, collection}, std::move(facts));
        }
        queue_.settle(answers);
    }
}

// Every request to a namespace that cannot be resolved ends here: the same news every five seconds will do.
void NamespaceResolver::warn(std::string message, const std::string& database) {
    const auto now = std::chrono::steady_clock::now();
    if (!options_.log || (message == last_warning_ && now < last_warning_at_ + std::chrono::seconds(5)))
        return;
    options_.log(Severity::warning, message, database);
    last_warning_ = std::move(message);
    last_warning_at_ = now;
}

// What goes wrong leaves the facts absent. The names come from clients, many of which share one question, so
// one name that the server refuses must not cost the others their answer: the question is halved until it
// stands alone.
void NamespaceResolver::ask(const std::string& database, Database& collections) {
    // libmongoc takes what stands before a zero byte for the whole.
    if (database.empty() || database.find('\0') != std::string::npos) return;
    const bool too_many = collections.size() > names_in_question_max;
    const Outcome outcome = too_many ? Outcome::refused : ask_server(database, collections);
    // A client whose discovery dropped its last member would never find it again.
    if (outcome == Outcome::failed) connection_->client = make_client(*connection_->uri);
    if (outcome != Outcome::refused || (!too_many && collections.size() == 1)) return;
    Database second;
    for (std::size_t left = collections.size() / 2; left != 0; --left)
        second.insert(collections.extract(std::prev(collections.end())));
    ask(database, collections);
    ask(database, second);
    collections.merge(second);
}

NamespaceResolver::Outcome NamespaceResolver::ask_server(const std::string& database, Database& collections) {
    bson::Buffer options;
    bson::Builder builder(options);
    builder.open_document("filter").open_document("name").open_array("$in");
    std::size_t index = 0;
    for (const auto& [collection, facts] : collections)
        builder.append_string(std::to_string(index++), collection);
    builder.close().close().close().finish();
    bson_t view;
    const bool sound = bson_init_static(&view, options.data(), options.size());
    BOOST_ASSERT(sound);
    static_cast<void>(sound);

    const DatabasePtr handle(mongoc_client_get_database(connection_->client.get(), database.c_str()));
    const CursorPtr cursor(mongoc_database_find_collections_with_opts(handle.get(), &view));
    Database answers;
    const bson_t* entry = nullptr;
    std::size_t count = 0;
    std::size_t byte_count = 0;
    while (mongoc_cursor_next(cursor.get(), &entry)) {
        byte_count += entry->len;
        if (++count > descriptions_max || byte_count > descriptions_bytes_max) {
            warn("listCollections returned more than was asked for", database);
            return Outcome::failed;
        }
        const auto document = bson::DocumentView::check({bson_get_data(entry), entry->len}, bson::Limits{});
        const auto name = document ? document->find("name") : std::nullopt;
        if (!name || !name->is_string()) {
            // What cannot be read could be the view that was asked for.
            warn("listCollections returned what is no description of a collection", database);
            return Outcome::failed;
        }
        std::optional<analysis::NamespaceFacts>& answer = answers[std::string(name->string())];
        if (auto facts = options_.facts_of(database, *document)) {
            answer = std::move(*facts);
        } else {
            warn("a collection's description is not understood: " + facts.error().message(), database);
        }
    }
    bson_error_t error{};
    const bson_t* said = nullptr;
    if (mongoc_cursor_error_document(cursor.get(), &error, &said)) {
        warn("listCollections failed: " + without_secrets(error.message, options_.uri) +
                 (has_credentials(options_.uri) ? "" : " (upstream.uri names no user)"),
             database);
        // Only what the server itself said can be about a name; and a missing right is about all of them.
        const bool by_server = said != nullptr && !bson_empty(said);
        return by_server && error.code != unauthorized ? Outcome::refused : Outcome::failed;
    }
    // libmongoc takes two empty batches for the end. What was not read could be the view that was asked for.
    if (mongoc_cursor_get_id(cursor.get()) != 0) {
        warn("listCollections did not come to an end", database);
        return Outcome::failed;
    }
    for (auto& [collection, facts] : collections) {
        const auto answer = answers.find(collection);
        if (answer == answers.end()) {
            facts = pins_.apply({database, collection}, {});
        } else if (answer->second) {
            facts = pins_.apply({database, collection}, std::move(*answer->second));
        }
    }
    return Outcome::answered;
}

}  // namespace fieldgate::cluster
