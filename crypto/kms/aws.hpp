#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/kms/exchange.hpp"
#include "crypto/kms/master_key.hpp"

// AWS's Key Management Service, Encrypt and Decrypt, as its API reference has them. Bodies are what
// libmongocrypt sends: no encryption context, and no KeyId when decrypting unless the caller wants it there.
namespace fieldgate::crypto::kms {

struct AwsCredentials {
    std::string access_key_id;  // not a secret: it stands in every request
    SecretBuffer secret_access_key;
    SecretBuffer session_token;  // empty: long-lived credentials
};

// Lower-case letters, digits and hyphens: a region goes into host names and signatures. Not s3 or s3-...:
// kms.s3.amazonaws.com would be somebody's bucket.
[[nodiscard]] bool is_aws_region(std::string_view region);
// "amazonaws.com", or what the region's partition has instead.
[[nodiscard]] std::string_view aws_domain(std::string_view region);

// Where requests for a master key go: its endpoint, if that is one of KMS's own hosts or listed in `hosts`
// (EndpointRule), or kms.<region>.<domain>. `refused`: code "endpoint_not_allowed" or "region_not_valid".
[[nodiscard]] Result<Endpoint> aws_kms_endpoint(const AwsMasterKey& master_key, std::string_view provider,
                                                std::span<const std::string> hosts);

[[nodiscard]] Result<Request> aws_encrypt_request(const Endpoint& endpoint, const AwsMasterKey& master_key,
                                                  const DataKey& key, const AwsCredentials& credentials,
                                                  UnixTime now);
// KMS decrypts with whatever key made the blob. `names_key`: the request says which one it must be, and KMS
// refuses any other (IncorrectKeyException); an alias then means the key that it points at now.
enum class AwsDecrypt : std::uint8_t { whichever_key, names_key };
[[nodiscard]] Result<Request> aws_decrypt_request(const Endpoint& endpoint, const AwsMasterKey& master_key,
                                                  std::span<const std::uint8_t> wrapped,
                                                  const AwsCredentials& credentials, UnixTime now,
                                                  AwsDecrypt how = AwsDecrypt::whichever_key);
// keyMaterial: 1 to 6144 bytes, as KMS has it.
[[nodiscard]] Result<std::vector<std::uint8_t>> aws_read_encrypted(const Reply& reply);
// KMS decrypts with whatever key made the blob, whichever the document names, and says which. `refused`, code
// "master_key_mismatch": it is of another account than the document's, or another key where that names one.
// (An alias may have been pointed at another key since.) Whoever writes the key vault could otherwise name a
// key of his own, and the next rewrapping would hand him the data key.
[[nodiscard]] Result<DataKey> aws_read_decrypted(const Reply& reply, const AwsMasterKey& master_key);

// What an error reply of KMS means; of the token service too, which has the same names without "Exception".
[[nodiscard]] Failure aws_failure(int status, std::string_view code, std::string_view message);

}  // namespace fieldgate::crypto::kms
