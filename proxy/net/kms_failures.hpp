#pragma once

#include <boost/system/error_code.hpp>
#include <string>
#include <string_view>

#include "crypto/kms/exchange.hpp"

namespace fieldgate::net {

class Stream;

// What KmsTransport says when a request got no reply. The texts name endpoints: they are for the log.

// HOST:PORT, an IPv6 address in brackets.
[[nodiscard]] std::string text_of(const crypto::kms::Endpoint& endpoint);

[[nodiscard]] crypto::kms::Failure unavailable(std::string_view code, std::string text);
[[nodiscard]] crypto::kms::Failure stopped();

// Why a TLS connection did not come about, or broke with `ec`.
[[nodiscard]] crypto::kms::Failure tls_failure(const Stream& stream, const crypto::kms::Endpoint& endpoint,
                                               const boost::system::error_code& ec);

}  // namespace fieldgate::net
