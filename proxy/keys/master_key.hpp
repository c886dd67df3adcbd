#pragma once

#include <boost/system/result.hpp>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "crypto/kms/master_key.hpp"
#include "proxy/bson/builder.hpp"
#include "proxy/bson/view.hpp"

// masterKey as key documents and `fieldgate keys --master-key` have it (CSFLE specification, "masterKey";
// vault is ours).
namespace fieldgate::keys {

using crypto::kms::MasterKeyDescription;

// `type` or `type:name`, of letters, digits and underscores (CSFLE specification, "KMS provider names").
bool is_provider_name(std::string_view text);
// "aws" of "aws:eu".
std::string_view provider_type(std::string_view provider);

enum class MasterKeyUse : std::uint8_t {
    stored,  // of a key document: says which key has wrapped
    wanted,  // for a wrapping to come: KMIP's keyId may be missing, which makes a new one
};

// The fields beside `provider`, which is skipped where it stands. Strict: allowed and required fields, each
// once, with their types and characters. Errors: master_key_provider_unknown, master_key_*. `field`, if
// given, gets the name of the field that is missing or malformed, never one that somebody else chose.
boost::system::result<MasterKeyDescription> parse_master_key(std::string_view provider,
                                                             bson::DocumentView document, MasterKeyUse use,
                                                             std::string* field = nullptr);

// An entry of `kms_providers.<provider>.master_keys`.
MasterKeyDescription master_key_of(std::string_view provider, const config::ListedMasterKey& listed);

// `provider` and the fields, in the drivers' order; an empty one is left out.
void append_master_key(bson::Builder& document, std::string_view provider,
                       const MasterKeyDescription& master_key);

// For people, short: "eu-west-1 arn:aws:kms:...", "clinic at example.vault.azure.net"; empty for local. Made
// of what a key document says: printable, but chosen by whoever wrote it.
std::string master_key_text(const MasterKeyDescription& master_key);

}  // namespace fieldgate::keys
