#include "proxy/cluster/library.hpp"

#include <mutex>
#include <stdexcept>
#include <utility>
#include <vector>

#include "proxy/cluster/checked_stream.hpp"
#include "proxy/cluster/mongoc.hpp"
#include "proxy/cluster/uri.hpp"

namespace fieldgate::cluster {
namespace {

thread_local LogCapture* current_capture = nullptr;

// Never destroyed: libmongoc's threads may speak until the process ends.
std::function<void(Severity, std::string_view)>& library_log() {
    static auto* const log = new std::function<void(Severity, std::string_view)>;
    return *log;
}

Severity severity_of(mongoc_log_level_t level) {
    switch (level) {
        case MONGOC_LOG_LEVEL_ERROR:
        case MONGOC_LOG_LEVEL_CRITICAL:
        case MONGOC_LOG_LEVEL_WARNING:
            return Severity::warning;
        case MONGOC_LOG_LEVEL_MESSAGE:
        case MONGOC_LOG_LEVEL_INFO:
            return Severity::info;
        default:
            return Severity::debug;
    }
}

}  // namespace

void set_library_log(std::function<void(Severity, std::string_view)> log) {
    library_log() = std::move(log);
}

void start_library() {
    static std::once_flag once;
    std::call_once(once, [] {
        mongoc_log_set_handler(
            [](mongoc_log_level_t level, const char*, const char* message, void*) {
                std::string_view text = message;
                while (text.ends_with('\n')) text.remove_suffix(1);
                const Severity severity = severity_of(level);
                if (current_capture != nullptr) {
                    if (severity == Severity::warning) current_capture->messages_.emplace_back(text);
                } else if (library_log()) {
                    library_log()(severity, text);
                }
            },
            nullptr);
        // Its counters in shared memory would outlive a process that a signal ends, and nobody reads them.
        ::setenv("MONGOC_DISABLE_SHM", "1", 0);
        mongoc_init();
    });
}

LogCapture::LogCapture() : outer_(std::exchange(current_capture, this)) {}
LogCapture::~LogCapture() {
    current_capture = outer_;
}

UriPtr parse_uri(const std::string& uri) {
    start_library();
    bson_error_t error{};
    UriPtr parsed(mongoc_uri_new_with_error(uri.c_str(), &error));
    if (!parsed) throw std::runtime_error(without_secrets(error.message, uri));
    // Few and small questions: nothing to gain, and one parser of foreign bytes less.
    mongoc_uri_set_compressors(parsed.get(), nullptr);
    return parsed;
}

void set_default_ms(mongoc_uri_t& uri, const char* option, std::int32_t value_ms) {
    if (!mongoc_uri_has_option(&uri, option)) mongoc_uri_set_option_as_int32(&uri, option, value_ms);
}

void cap_ms(mongoc_uri_t& uri, const char* option, std::chrono::milliseconds longest) {
    const std::int32_t given_ms = mongoc_uri_get_option_as_int32(&uri, option, 0);
    const auto longest_ms = static_cast<std::int32_t>(longest.count());
    if (given_ms <= 0 || given_ms > longest_ms) mongoc_uri_set_option_as_int32(&uri, option, longest_ms);
}

ClientPtr make_client(const mongoc_uri_t& uri) {
    bson_error_t error{};
    ClientPtr client(mongoc_client_new_from_uri_with_error(&uri, &error));
    if (!client) throw std::runtime_error(without_secrets(error.message, mongoc_uri_get_string(&uri)));
    check_replies(*client);
    mongoc_client_set_error_api(client.get(), MONGOC_ERROR_API_VERSION_2);
    if (mongoc_uri_get_appname(&uri) == nullptr) mongoc_client_set_appname(client.get(), "fieldgate");
    return client;
}

}  // namespace fieldgate::cluster
