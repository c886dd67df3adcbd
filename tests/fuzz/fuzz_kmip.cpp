// Any bytes as the reply of a KMIP server: read or refused, never anything else. What is read is what KMIP
// keys are: identifiers that a key document can hold, key material of the one length.

#include <cstdlib>
#include <string>

#include "crypto/kms/kmip.hpp"

using namespace fieldgate::crypto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const kms::Reply reply{.status = 200, .retry_after = {}, .body = SecretBuffer(std::span(data, size))};
    const auto check = [](const kms::Failure& failure) {
        if (failure.code.empty() || failure.text.size() > 300) std::abort();
    };
    if (const auto identifier = kms::read_kmip_register(reply)) {
        if (!kms::is_kmip_identifier(*identifier)) std::abort();
    } else {
        check(identifier.error());
    }
    if (const auto failure = kms::read_kmip_activate(reply, "1")) check(*failure);
    if (const auto key = kms::read_kmip_get(reply, "1"); !key) check(key.error());
    if (const auto key = kms::read_kmip_decrypt(reply, "2"); !key) check(key.error());
    if (const auto material = kms::read_kmip_encrypt(reply, "2")) {
        if (material->size() != kms::kmip_delegated_bytes) std::abort();
    } else {
        check(material.error());
    }
    return 0;
}
