#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <tuple>

// The few names of Asio that every file of net/ uses. Included by net/ only, and not by server.hpp.
namespace fieldgate::net {

namespace asio = boost::asio;
using boost::system::error_code;

// Errors come back as values. Assign with std::tie: structured bindings of awaited tuples that own something
// leak with some compilers.
inline constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

using IoResult = std::tuple<error_code, std::size_t>;

}  // namespace fieldgate::net
