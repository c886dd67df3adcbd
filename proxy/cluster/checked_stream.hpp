#pragma once

#include <atomic>

#include "proxy/cluster/mongoc.hpp"

// What libmongoc reads passes check_reply() first. Its parser trusts the server: an OP_MSG that ends after
// its flags, a sequence where it expects the body or an OP_REPLY where it expects an OP_MSG make 1.23 read
// memory that is not the message's, and a length below 4 fails an assertion; in commands as well as in the
// monitors of the discovery. The server and the key vault are adversaries, so what is not sound is an I/O
// error of its connection. Private to cluster/, which makes no client and no pool without.
namespace fieldgate::cluster {

// For every connection of a client for one thread, those of its discovery included. Before its first use.
void check_replies(mongoc_client_t& client);

// A pool whose connections, monitors included, are checked; null and an error if it cannot be made. Its end
// does not wait for a server that is silent.
class CheckedPool {
 public:
    CheckedPool(const mongoc_uri_t& uri, bson_error_t& error);
    ~CheckedPool();
    CheckedPool(const CheckedPool&) = delete;
    CheckedPool& operator=(const CheckedPool&) = delete;
    mongoc_client_pool_t* get() const { return pool_.get(); }

    // What a connection of the pool needs.
    struct Context {
        ClientPtr settings;  // lends its TLS settings and is used for nothing else
        std::atomic<bool> stopping{false};
    };

 private:
    Context context_;
    PoolPtr pool_;  // after what its threads use
};

}  // namespace fieldgate::cluster
