#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "proxy/net/memory_budget.hpp"
#include "proxy/net/server.hpp"
#include "proxy/net/stream.hpp"
#include "proxy/session/cursors.hpp"
#include "proxy/session/gateway_hello.hpp"

namespace fieldgate::net {

// What the workers of a server share. Constant after listen() but for what is atomic or locks itself.
struct Process {
    std::shared_ptr<const config::Config> config;
    Services services;
    UpstreamOptions upstream;
    ServerOptions options;

    SslContext upstream_tls;               // null: plain
    std::vector<SslContext> listener_tls;  // by listener, null: plain
    std::uint32_t connections_max = 0;

    MemoryBudget memory;
    session::CursorTable cursors;
    session::UpstreamFacts upstream_facts;
    std::atomic<std::uint32_t> connections{0};
    std::atomic<std::uint64_t> next_connection_id{1};

    // Tells every worker, the calling one included.
    std::function<void(const HostPort&)> member_lost;

    explicit Process(std::shared_ptr<const config::Config> c)
        : config(std::move(c)), memory(config->limits.memory_bytes, config->listeners.size()) {}
};

}  // namespace fieldgate::net
