#include "proxy/net/preflight.hpp"

#include <filesystem>
#include <stdexcept>

#include "proxy/net/listener_address.hpp"
#include "proxy/net/tls.hpp"

namespace fieldgate::net {
namespace {

template <typename Make>
void try_tls(const Make& make, std::vector<std::string>& problems) {
    try {
        make();
    } catch (const std::runtime_error& error) {
        problems.emplace_back(error.what());
    }
}

std::string unix_path_problem(const std::filesystem::path& path) {
    std::error_code ec;
    const std::filesystem::path directory = path.has_parent_path() ? path.parent_path() : ".";
    if (!std::filesystem::is_directory(directory, ec)) return directory.string() + " is no directory";
    const auto status = std::filesystem::symlink_status(path, ec);
    if (std::filesystem::exists(status) && status.type() != std::filesystem::file_type::socket)
        return "a file that is not a socket is in the way";
    return {};
}

std::string address_problem(const config::Listener& listener) {
    if (!listener.unix_path.empty()) return unix_path_problem(listener.unix_path);
    asio::io_context context;
    error_code ec;
    resolve_listener(context, listener, ec);
    return ec ? ec.message() : std::string();
}

}  // namespace

std::vector<std::string> start_problems(const config::Config& config, const UpstreamOptions& upstream) {
    std::vector<std::string> problems;
    if (upstream.tls) try_tls([&] { make_upstream_context(*upstream.tls); }, problems);
    for (const config::Listener& listener : config.listeners) {
        if (listener.tls) try_tls([&] { make_listener_context(*listener.tls); }, problems);
        const std::string cause = address_problem(listener);
        if (!cause.empty()) problems.push_back(cannot_listen(listener, listener_address(listener), cause));
    }
    return problems;
}

}  // namespace fieldgate::net
