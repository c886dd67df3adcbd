#pragma once

#include <memory>

#include "crypto/secret.hpp"
#include "proxy/keys/kms_provider.hpp"

namespace fieldgate::keys {

// The local provider: the master key is here, and its operations send nothing.
std::unique_ptr<KmsProvider> make_local_kms(crypto::MasterKey master_key);

}  // namespace fieldgate::keys
