#include "crypto/kms/aws.hpp"

#include <algorithm>
#include <array>

#include "crypto/kms/endpoint_rule.hpp"
#include "crypto/kms/http.hpp"
#include "crypto/kms/json.hpp"
#include "crypto/kms/sigv4.hpp"

namespace fieldgate::crypto::kms {
namespace {

constexpr std::size_t wrapped_bytes_max = 6144;  // API reference, Decrypt, CiphertextBlob

struct Partition {
    std::string_view region_prefix;
    std::string_view domain;
    std::string_view dual_stack_domain;
};
// AWS's own list (partitions.json of its SDKs). The last one is that of all other regions.
constexpr std::array<Partition, 7> partitions{{
    {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
    {"eusc-", "amazonaws.eu", "api.amazonwebservices.eu"},
    {"us-iso-", "c2s.ic.gov", "api.aws.ic.gov"},
    {"us-isob-", "sc2s.sgov.gov", "api.aws.scloud"},
    {"eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
    {"us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
    {"", "amazonaws.com", "api.aws"},
}};

// KMS's own hosts, and those of its VPC endpoints. Not whole domains: below amazonaws.com customers have
// hosts of their own (execute-api).
std::vector<std::string> make_host_patterns() {
    std::vector<std::string> patterns;
    for (const Partition& partition : partitions) {
        for (const std::string service : {"kms", "kms-fips"}) {
            for (const std::string_view domain : {partition.domain, partition.dual_stack_domain})
                patterns.push_back(service + ".*." + std::string(domain));
            patterns.push_back("*." + service + ".*.vpce." + std::string(partition.domain));
        }
    }
    return patterns;
}

// Hosts of S3 are as deep below amazonaws.com as those of KMS, and somebody's bucket may be called "kms".
bool is_of_storage(std::string_view label) {
    return label == "s3" || label.starts_with("s3-");
}

bool has_label_of_storage(std::string_view host) {
    for (;;) {
        const std::size_t dot = host.find('.');
        if (is_of_storage(host.substr(0, dot))) return true;
        if (dot == std::string_view::npos) return false;
        host.remove_prefix(dot + 1);
    }
}

std::span<const std::string_view> host_patterns() {
    static const std::vector<std::string> patterns = make_host_patterns();
    static const std::vector<std::string_view> views(patterns.begin(), patterns.end());
    return views;
}

Result<Request> signed_request(const Endpoint& endpoint, std::string_view region, std::string_view operation,
                               const AwsCredentials& credentials, const SecretBuffer& body, UnixTime now) {
    if (!is_aws_region(region))
        return Failure{Failure::Kind::refused, 0, "region_not_valid", "the master key's region is none"};
    const std::string target = "TrentService." + std::string(operation);
    const std::string date = sigv4::amz_date(now);
    const std::string host = host_header(endpoint);
    constexpr std::string_view content_type = "application/x-amz-json-1.1";
    const auto token = credentials.session_token.expose_secret();

    sigv4::ToSign to_sign{
        .method = "POST", .path = "/", .query = "", .headers = {}, .body = body.expose_secret()};
    to_sign.headers = {
        {"Content-Type", content_type}, {"Host", host}, {"X-Amz-Date", date}, {"X-Amz-Target", target}};
    if (!token.empty()) to_sign.headers.emplace_back("X-Amz-Security-Token", text_of(token));

    HttpRequest request("POST", endpoint, "/");
    request.header("Content-Type", content_type).header("X-Amz-Date", date).header("X-Amz-Target", target);
    if (!token.empty()) request.secret_header("X-Amz-Security-Token", "", credentials.session_token);
    request.header("Authorization",
                   sigv4::authorization(to_sign, {now, region, "kms"}, credentials.access_key_id,
                                        credentials.secret_access_key));
    return request.finish(body);
}

// The reply to a request that succeeded, or what it failed with.
Result<JsonReply> read_reply(const Reply& reply) {
    auto json = JsonReply::parse(reply);
    if (reply.status == 200) return json;
    if (!json) return aws_failure(reply.status, "", "");
    // Both spellings exist.
    const auto message = json->string("message") ? json->string("message") : json->string("Message");
    return aws_failure(reply.status, json->string("__type").value_or(""), message.value_or(""));
}

// arn:PARTITION:kms:REGION:ACCOUNT:key/ID or .../alias/NAME; the ID alone; or alias/NAME.
struct KeyName {
    std::string_view account;  // empty: the caller's
    std::string_view id;       // empty: an alias
};

KeyName parse_key_name(std::string_view text) {
    KeyName name;
    if (text.starts_with("arn:")) {
        for (int part = 0; part < 4; ++part) {
            const std::size_t colon = text.find(':');
            if (colon == std::string_view::npos) return {};
            text.remove_prefix(colon + 1);
        }
        const std::size_t colon = text.find(':');
        if (colon == std::string_view::npos) return {};
        name.account = text.substr(0, colon);
        text.remove_prefix(colon + 1);
        if (text.starts_with("key/")) text.remove_prefix(4);
    }
    if (!text.starts_with("alias/")) name.id = text;
    return name;
}

// Regions are not compared: a multi-Region key has one ID in all of them.
bool is_key_of(std::string_view reported, const AwsMasterKey& master_key) {
    const KeyName wanted = parse_key_name(master_key.key);
    const KeyName used = parse_key_name(reported);
    return (wanted.account.empty() || used.account.empty() || wanted.account == used.account) &&
           (wanted.id.empty() || used.id.empty() || wanted.id == used.id);
}

// A member of base64.
Result<SecretBuffer> read_blob(const Result<JsonReply>& json, const Reply& reply, std::string_view name) {
    if (!json) return json.error();
    const auto text = json->string(name);
    auto bytes = text ? base64_decode(*text) : std::nullopt;
    if (!bytes) {
        return Failure{Failure::Kind::malformed, reply.status, "reply_not_valid",
                       "the reply has no " + std::string(name) + " of base64"};
    }
    return std::move(*bytes);
}

}  // namespace

bool is_aws_region(std::string_view region) {
    return !region.empty() && region.size() <= 63 && !region.starts_with('-') && !region.ends_with('-') &&
           !is_of_storage(region) && std::ranges::all_of(region, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
           });
}

std::string_view aws_domain(std::string_view region) {
    return std::ranges::find_if(
               partitions,
               [&](const Partition& partition) { return region.starts_with(partition.region_prefix); })
        ->domain;
}

Result<Endpoint> aws_kms_endpoint(const AwsMasterKey& master_key, std::string_view provider,
                                  std::span<const std::string> hosts) {
    if (!is_aws_region(master_key.region)) {
        return Failure{Failure::Kind::refused, 0, "region_not_valid",
                       "the master key's region '" +
                           safe_text(std::string_view(master_key.region).substr(0, 100)) +
                           "' is not of the form eu-west-1"};
    }
    if (!master_key.endpoint.empty()) {
        EndpointRule rule{provider, 443, host_patterns(), hosts};
        auto endpoint = allowed_endpoint(master_key.endpoint, rule);
        if (!endpoint || !has_label_of_storage(endpoint->host)) return endpoint;
        rule.domains = {};
        return allowed_endpoint(master_key.endpoint, rule);
    }
    return Endpoint{"kms." + master_key.region + "." + std::string(aws_domain(master_key.region)), 443, true};
}

Result<Request> aws_encrypt_request(const Endpoint& endpoint, const AwsMasterKey& master_key,
                                    const DataKey& key, const AwsCredentials& credentials, UnixTime now) {
    SecretBuffer body;
    append_text(body, "{\"Plaintext\": \"");
    append_base64(body, key);
    append_text(body, "\", \"KeyId\": " + json_quoted(master_key.key) + "}");
    return signed_request(endpoint, master_key.region, "Encrypt", credentials, body, now);
}

Result<Request> aws_decrypt_request(const Endpoint& endpoint, const AwsMasterKey& master_key,
                                    std::span<const std::uint8_t> wrapped, const AwsCredentials& credentials,
                                    UnixTime now, AwsDecrypt how) {
    if (wrapped.empty() || wrapped.size() > wrapped_bytes_max) {
        return Failure{Failure::Kind::refused, 0, "wrapped_key_length",
                       "keyMaterial has a length that nothing wrapped by AWS KMS has"};
    }
    SecretBuffer body;
    append_text(body, "{\"CiphertextBlob\": \"");
    append_text(body, base64_encode(wrapped));
    append_text(body, "\"");
    if (how == AwsDecrypt::names_key) append_text(body, ", \"KeyId\": " + json_quoted(master_key.key));
    append_text(body, "}");
    return signed_request(endpoint, master_key.region, "Decrypt", credentials, body, now);
}

Result<std::vector<std::uint8_t>> aws_read_encrypted(const Reply& reply) {
    const auto blob = read_blob(read_reply(reply), reply, "CiphertextBlob");
    if (!blob) return blob.error();
    if (blob->empty() || blob->size() > wrapped_bytes_max) {
        return Failure{Failure::Kind::malformed, reply.status, "reply_not_valid",
                       "the reply's CiphertextBlob has a length that none has"};
    }
    const auto bytes = blob->expose_secret();
    return std::vector<std::uint8_t>(bytes.begin(), bytes.end());
}

Result<DataKey> aws_read_decrypted(const Reply& reply, const AwsMasterKey& master_key) {
    const auto json = read_reply(reply);
    const auto blob = read_blob(json, reply, "Plaintext");
    if (!blob) return blob.error();
    // Always there at AWS; some stand-ins leave it out.
    const auto used = json->string("KeyId");
    if (used && !is_key_of(*used, master_key)) {
        return Failure{Failure::Kind::refused, reply.status, "master_key_mismatch",
                       safe_text("it was wrapped with " + std::string(*used) +
                                 ", which is not the master key that its document names")};
    }
    return data_key_of(*blob);
}

Failure aws_failure(int status, std::string_view code, std::string_view message) {
    // "com.amazonaws.kms#NotFoundException": the name is what follows.
    if (const std::size_t hash = code.rfind('#'); hash != std::string_view::npos)
        code.remove_prefix(hash + 1);
    // A wrong signature is answered with the request as AWS would have signed it, session token and all.
    message = message.substr(0, message.find("The Canonical String"));

    Failure failure{Failure::Kind::refused, status, safe_code(code), safe_text(message)};
    std::string_view name = failure.code;
    if (name.ends_with("Exception")) name.remove_suffix(std::string_view("Exception").size());
    const auto is_one_of = [&](std::initializer_list<std::string_view> names) {
        return std::ranges::find(names, name) != names.end();
    };
    if (is_one_of({"ExpiredToken", "UnrecognizedClient", "InvalidSignature", "SignatureDoesNotMatch",
                   "IncompleteSignature", "InvalidClientTokenId", "MissingAuthenticationToken",
                   "RequestExpired", "InvalidIdentityToken"}))
        failure.kind = Failure::Kind::credentials;
    else if (is_one_of({"Throttling", "Throttled", "RequestLimitExceeded", "TooManyRequests",
                        "RequestThrottled"}) ||
             status == 429 || status == 509)
        failure.kind = Failure::Kind::throttled;
    else if (is_one_of({"KMSInternal", "DependencyTimeout", "KeyUnavailable", "InternalFailure",
                        "ServiceUnavailable", "IDPCommunicationError"}) ||
             status >= 500 || status == 408)
        failure.kind = Failure::Kind::unavailable;
    else if (status < 400)
        failure.kind = Failure::Kind::malformed;  // a redirection: credentials do not follow it

    if (failure.code.empty()) failure.code = "http_" + std::to_string(status);
    failure.text = safe_text(failure.code + (failure.text.empty() ? "" : ": " + failure.text));
    return failure;
}

}  // namespace fieldgate::crypto::kms
