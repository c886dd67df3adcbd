#pragma once

#include <string>
#include <string_view>

#include "crypto/kms/exchange.hpp"

namespace fieldgate::keys {

// "refused", "credentials", ...: for metrics.
std::string_view kind_name(crypto::kms::Failure::Kind kind);

// What a client learns of it: provider, kind, code and status ("KMS provider `aws:eu` refuses
// (AccessDeniedException, HTTP 400)"). Failure::text may name accounts and hosts and is for the operator.
std::string client_text(const std::string& provider, const crypto::kms::Failure& failure);

}  // namespace fieldgate::keys
