#include "proxy/keys/kms_words.hpp"

namespace fieldgate::keys {

using crypto::kms::Failure;

std::string_view kind_name(Failure::Kind kind) {
    switch (kind) {
        case Failure::Kind::refused:
            return "refused";
        case Failure::Kind::credentials:
            return "credentials";
        case Failure::Kind::throttled:
            return "throttled";
        case Failure::Kind::unavailable:
            return "unavailable";
        case Failure::Kind::malformed:
            return "malformed";
    }
    return "unknown";
}

std::string client_text(const std::string& provider, const Failure& failure) {
    const std::string name = "KMS provider `" + provider + "`";
    // Ours, and the drivers' words for them.
    if (failure.code == "not_configured") return name + " is not configured";
    if (failure.code == "data_key_length") return name + ": decrypted key is incorrect length";
    if (failure.code == "hmac_validation_failure") {
        return name + ": HMAC validation failure: it was not wrapped with the configured master key";
    }
    std::string cause = failure.code;
    if (failure.status != 0) {
        cause += (cause.empty() ? "HTTP " : ", HTTP ") + std::to_string(failure.status);
    }
    const std::string why = cause.empty() ? "" : " (" + cause + ")";
    switch (failure.kind) {
        case Failure::Kind::refused:
            return name + " refuses" + why;
        case Failure::Kind::credentials:
            return name + " does not take fieldgate's credentials" + why;
        case Failure::Kind::throttled:
            return name + " is asked too often" + why;
        case Failure::Kind::unavailable:
            return name + " is not available" + why;
        case Failure::Kind::malformed:
            return name + " gave an answer that cannot be used" + why;
    }
    return name + why;
}

}  // namespace fieldgate::keys
