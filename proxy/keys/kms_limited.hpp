#pragma once

#include <memory>

#include "proxy/keys/kms_provider.hpp"
#include "proxy/keys/master_key_list.hpp"

namespace fieldgate::keys {

// The provider, but it neither wraps nor unwraps under a master key that the list refuses: nothing is asked
// then, and the failure is the list's.
std::unique_ptr<KmsProvider> limit_kms(std::unique_ptr<KmsProvider> provider, MasterKeyList list);

}  // namespace fieldgate::keys
