#include "crypto/kms/sigv4.hpp"

#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <boost/assert.hpp>

#include "crypto/kms/http.hpp"

namespace fieldgate::crypto::kms::sigv4 {
namespace {

constexpr std::string_view algorithm = "AWS4-HMAC-SHA256";

using Digest = std::array<std::uint8_t, SHA256_DIGEST_LENGTH>;

std::string hex(std::span<const std::uint8_t> bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const std::uint8_t byte : bytes) {
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

std::string sha_256_hex(std::span<const std::uint8_t> bytes) {
    Digest digest;
    SHA256(bytes.data(), bytes.size(), digest.data());
    return hex(digest);
}

// Erased when it ends: each step's digest is the next step's key.
SecretBuffer hmac(const SecretBuffer& secret_key, std::string_view message) {
    const std::span<const std::uint8_t> key = secret_key.expose_secret();
    SecretBuffer digest(SHA256_DIGEST_LENGTH);
    const std::span<const std::uint8_t> bytes = bytes_of(message);
    unsigned size_bytes = 0;
    const auto* const done = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes.data(),
                                  bytes.size(), digest.writable().data(), &size_bytes);
    BOOST_ASSERT(done != nullptr && size_bytes == digest.size());
    (void)done;
    return digest;
}

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return result;
}

// Without blanks around it, runs of blanks as one.
void append_trimmed(SecretBuffer& out, std::string_view value) {
    const auto first = value.find_first_not_of(' ');
    if (first == std::string_view::npos) return;
    value = value.substr(first, value.find_last_not_of(' ') - first + 1);
    while (!value.empty()) {
        const std::size_t word_bytes = std::min(value.find(' '), value.size());
        append_text(out, value.substr(0, word_bytes));
        value.remove_prefix(word_bytes);
        if (value.empty()) break;
        append_text(out, " ");
        value.remove_prefix(value.find_first_not_of(' '));
    }
}

struct SignedHeader {
    std::string name;
    std::vector<std::string_view> values;
};

// By name; values of one name stay in their order.
std::vector<SignedHeader> sorted_headers(const ToSign& request) {
    std::vector<SignedHeader> headers;
    for (const auto& [name, value] : request.headers) {
        const std::string lower_name = lower(name);
        const auto found = std::ranges::find(headers, lower_name, &SignedHeader::name);
        if (found == headers.end())
            headers.push_back({lower_name, {value}});
        else
            found->values.push_back(value);
    }
    std::ranges::sort(headers, {}, &SignedHeader::name);
    return headers;
}

std::string signed_names(const ToSign& request) {
    std::string names;
    for (const SignedHeader& header : sorted_headers(request))
        names += (names.empty() ? "" : ";") + header.name;
    return names;
}

std::string canonical_query(std::string_view query) {
    std::vector<std::pair<std::string_view, std::string_view>> parameters;
    while (!query.empty()) {
        const std::string_view parameter = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), parameter.size() + 1));
        const std::size_t equals = parameter.find('=');
        parameters.emplace_back(parameter.substr(0, equals),
                                equals == std::string_view::npos ? "" : parameter.substr(equals + 1));
    }
    std::ranges::sort(parameters);
    std::string canonical;
    for (const auto& [name, value] : parameters) {
        if (!canonical.empty()) canonical += '&';
        canonical.append(name).append("=").append(value);
    }
    return canonical;
}

std::string credential_scope(const Scope& scope) {
    std::string text = amz_date(scope.time).substr(0, 8);
    return text.append("/").append(scope.region).append("/").append(scope.service).append("/aws4_request");
}

}  // namespace

std::string amz_date(UnixTime time) {
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(time - day);
    std::string text;
    const auto append = [&text](long value, std::size_t digits) {
        const std::string number = std::to_string(value);
        text.append(digits - std::min(digits, number.size()), '0').append(number);
    };
    append(int(date.year()), 4);
    append(static_cast<long>(unsigned(date.month())), 2);
    append(static_cast<long>(unsigned(date.day())), 2);
    text += 'T';
    append(clock.hours().count(), 2);
    append(clock.minutes().count(), 2);
    append(clock.seconds().count(), 2);
    return text + 'Z';
}

SecretBuffer canonical_request(const ToSign& request) {
    SecretBuffer out;
    append_text(out, request.method);
    append_text(out, "\n");
    append_text(out, request.path);
    append_text(out, "\n");
    append_text(out, canonical_query(request.query));
    append_text(out, "\n");
    for (const SignedHeader& header : sorted_headers(request)) {
        append_text(out, header.name);
        std::string_view before = ":";
        for (const std::string_view value : header.values) {
            append_text(out, before);
            append_trimmed(out, value);
            before = ",";
        }
        append_text(out, "\n");
    }
    append_text(out, "\n");
    append_text(out, signed_names(request));
    append_text(out, "\n");
    append_text(out, sha_256_hex(request.body));
    return out;
}

std::string string_to_sign(const SecretBuffer& canonical_request, const Scope& scope) {
    return std::string(algorithm) + "\n" + amz_date(scope.time) + "\n" + credential_scope(scope) + "\n" +
           sha_256_hex(canonical_request.expose_secret());
}

std::string authorization(const ToSign& request, const Scope& scope, std::string_view access_key_id,
                          const SecretBuffer& secret_access_key) {
    SecretBuffer key;
    append_text(key, "AWS4");
    append_text(key, secret_access_key);
    const std::string date = amz_date(scope.time).substr(0, 8);
    const std::array<std::string_view, 4> parts{date, scope.region, scope.service, "aws4_request"};
    for (const std::string_view part : parts) key = hmac(key, part);
    const SecretBuffer signature = hmac(key, string_to_sign(canonical_request(request), scope));

    std::string value(algorithm);
    value.append(" Credential=").append(access_key_id).append("/").append(credential_scope(scope));
    value.append(", SignedHeaders=").append(signed_names(request));
    return value.append(", Signature=").append(hex(signature.expose_secret()));
}

}  // namespace fieldgate::crypto::kms::sigv4
