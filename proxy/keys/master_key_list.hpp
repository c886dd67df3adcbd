#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "crypto/kms/exchange.hpp"
#include "proxy/keys/master_key.hpp"

namespace fieldgate::keys {

// The master keys that data keys of a provider may be wrapped under: `kms_providers.<provider>.master_keys`,
// or any, without that list.
//
// Key documents are written by others. A document whose masterKey is somebody else's, which fieldgate's
// credentials may use as well, would have new values encrypted with a data key that he knows. So everything
// that says which key it is and who answers for it must be equal:
//
//     aws    region, key (the same text: an alias is not the key it points at), endpoint
//     azure  keyVaultEndpoint, keyName
//     gcp    projectId, location, keyRing, keyName, endpoint
//     kmip   keyId, delegated, endpoint; a key that the wrapping would make is never listed
//     vault  mount, keyName
//
// keyVersion (azure, gcp, vault) only where the list has one: all versions of a key have one owner. Hosts are
// compared without regard to case, with their ports; where there is no endpoint, it is the provider's own,
// and a missing mount is "transit".
class MasterKeyList {
 public:
    explicit MasterKeyList(const config::KmsProvider& provider);

    // False: there is no list, and nothing is refused.
    bool is_limited() const { return is_limited_; }
    const std::vector<MasterKeyDescription>& listed() const { return listed_; }

    // Nothing: fieldgate may use it. Otherwise `refused`, code "master_key_not_listed"; the text, for the
    // operator, names the master key (shortened), the field in which it differs from the entry that is most
    // like it, and the setting.
    std::optional<crypto::kms::Failure> refusal_of(const MasterKeyDescription& master_key) const;

 private:
    // A field of a masterKey, in the one form in which it is compared.
    struct Part {
        std::string_view field;
        std::string value;
    };
    struct Parts;

    std::string provider_;
    std::string endpoint_;  // of the provider, where its documents need not name one (kmip)
    bool is_limited_ = false;
    std::vector<MasterKeyDescription> listed_;
    std::vector<std::vector<Part>> listed_parts_;
};

}  // namespace fieldgate::keys
