#pragma once

#include <mongoc/mongoc.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

// Owners for libmongoc's objects. Private to cluster/.
namespace fieldgate::cluster {

template <auto free_function>
struct Free {
    template <typename T>
    void operator()(T* object) const noexcept {
        free_function(object);
    }
};

using UriPtr = std::unique_ptr<mongoc_uri_t, Free<&mongoc_uri_destroy>>;
using ClientPtr = std::unique_ptr<mongoc_client_t, Free<&mongoc_client_destroy>>;
using PoolPtr = std::unique_ptr<mongoc_client_pool_t, Free<&mongoc_client_pool_destroy>>;
using CollectionPtr = std::unique_ptr<mongoc_collection_t, Free<&mongoc_collection_destroy>>;
using DatabasePtr = std::unique_ptr<mongoc_database_t, Free<&mongoc_database_destroy>>;
using BulkPtr = std::unique_ptr<mongoc_bulk_operation_t, Free<&mongoc_bulk_operation_destroy>>;
using CursorPtr = std::unique_ptr<mongoc_cursor_t, Free<&mongoc_cursor_destroy>>;
using ReadPrefsPtr = std::unique_ptr<mongoc_read_prefs_t, Free<&mongoc_read_prefs_destroy>>;
using ReadConcernPtr = std::unique_ptr<mongoc_read_concern_t, Free<&mongoc_read_concern_destroy>>;
using WriteConcernPtr = std::unique_ptr<mongoc_write_concern_t, Free<&mongoc_write_concern_destroy>>;
using ServerPtr = std::unique_ptr<mongoc_server_description_t, Free<&mongoc_server_description_destroy>>;

// A bson_t of ours; a unique_ptr would lose the type's alignment.
class OwnedBson {
 public:
    OwnedBson() { bson_init(&value_); }
    OwnedBson(const OwnedBson&) = delete;
    OwnedBson& operator=(const OwnedBson&) = delete;
    ~OwnedBson() { bson_destroy(&value_); }
    bson_t* get() { return &value_; }
    const bson_t* get() const { return &value_; }
    // For functions that initialise what they are given: drops what is held.
    bson_t* out() {
        bson_destroy(&value_);
        return &value_;
    }

 private:
    bson_t value_;
};

// Starts the library once, with its log handled by us from the first line on. Called before anything else.
void start_library();

// A connection string that libmongoc accepts, without its compressors. Throws std::runtime_error, without
// secrets, otherwise: check_uri() of uri.hpp was asked before.
UriPtr parse_uri(const std::string& uri);

// Sets a time-out unless the connection string does.
void set_default_ms(mongoc_uri_t& uri, const char* option, std::int32_t value_ms);

// Lowers a time-out that is longer, or absent.
void cap_ms(mongoc_uri_t& uri, const char* option, std::chrono::milliseconds longest);

// A client for one thread. std::runtime_error if it cannot be made (DNS seed list, TLS files).
ClientPtr make_client(const mongoc_uri_t& uri);

// What libmongoc says on this thread while it lives is collected instead of logged.
class LogCapture {
 public:
    LogCapture();
    ~LogCapture();
    LogCapture(const LogCapture&) = delete;
    LogCapture& operator=(const LogCapture&) = delete;
    const std::vector<std::string>& messages() const { return messages_; }

 private:
    friend void start_library();
    std::vector<std::string> messages_;
    LogCapture* outer_;
};

}  // namespace fieldgate::cluster
