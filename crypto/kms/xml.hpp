#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "crypto/kms/exchange.hpp"

// XML of key managers' replies (AWS's token service answers nothing else), on erasing memory. Internal to
// kms/.
namespace fieldgate::crypto::kms {

// The text of the elements at `paths`, "ErrorResponse/Error/Code", in the same order; nothing where there is
// none. `malformed`: no XML, a document type, deeper than 16, larger than reply_bytes_max, or an element of
// `paths` that stands twice or holds other elements.
[[nodiscard]] Result<std::vector<std::optional<SecretBuffer>>> read_xml(
    const Reply& reply, std::span<const std::string_view> paths);

}  // namespace fieldgate::crypto::kms
