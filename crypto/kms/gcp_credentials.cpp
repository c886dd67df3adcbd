#include <algorithm>

#include "crypto/kms/gcp.hpp"

// The files that Google's tools write for programs ("application default credentials").
namespace fieldgate::crypto::kms {
namespace {

// How long Google lets a service account's token live, and how short it may be asked for.
constexpr std::int64_t lifetime_s_min = 600;
constexpr std::int64_t lifetime_s_max = 43'200;

class Reader {
 public:
    Reader(const JsonReply& json, std::string_view name) : json_(json), name_(name) {}

    std::string_view required(std::string_view path) {
        const auto text = json_.string(path);
        if (!text || text->empty()) fail("it has no " + std::string(path));
        return text.value_or("");
    }
    HttpsUrl url(std::string_view path) {
        auto url = parse_https_url(required(path));
        if (!url) fail("its " + std::string(path) + " is not of the form https://host/path");
        return url ? std::move(*url) : HttpsUrl{};
    }
    // The first failure is the one to tell.
    void fail(std::string why) {
        if (!failure_) {
            failure_ = Failure{Failure::Kind::credentials, 0, "credentials_file_not_valid",
                               std::string(name_) + " cannot be used: " + std::move(why)};
        }
    }
    const std::optional<Failure>& failure() const { return failure_; }

 private:
    const JsonReply& json_;
    std::string_view name_;
    std::optional<Failure> failure_;
};

GcpServiceAccount read_account(Reader& reader) {
    GcpServiceAccount account;
    account.email = reader.required("client_email");
    account.private_key = SecretBuffer(bytes_of(reader.required("private_key")));
    account.token_url = reader.url("token_uri");
    account.audience = reader.required("token_uri");
    return account;
}

GcpFederation read_federation(Reader& reader, const JsonReply& json) {
    GcpFederation federation;
    federation.token_url = reader.url("token_url");
    federation.audience = reader.required("audience");
    federation.subject_token_type = reader.required("subject_token_type");
    // Google's tools also know tokens from URLs, programs and AWS.
    if (!json.string("credential_source.file")) reader.fail("its credential_source is not a file");
    federation.subject_file = reader.required("credential_source.file");
    const std::string_view format = json.string("credential_source.format.type").value_or("text");
    if (format == "json") {
        federation.subject_field = reader.required("credential_source.format.subject_token_field_name");
    } else if (format != "text") {
        reader.fail("its credential_source.format is neither text nor json");
    }
    if (json.string("service_account_impersonation_url")) {
        federation.impersonation_url = reader.url("service_account_impersonation_url");
        const std::int64_t lifetime_s =
            json.number("service_account_impersonation.token_lifetime_seconds").value_or(3600);
        if (lifetime_s < lifetime_s_min || lifetime_s > lifetime_s_max) {
            reader.fail("its token_lifetime_seconds is not 600 to 43200");
        }
        federation.impersonation_lifetime_s =
            static_cast<int>(std::clamp(lifetime_s, lifetime_s_min, lifetime_s_max));
    }
    return federation;
}

}  // namespace

Result<GcpCredentials> gcp_read_credentials(const SecretBuffer& contents, std::string_view name) {
    const auto json = read_json_file(contents);
    if (!json) {
        return Failure{Failure::Kind::credentials, 0, "credentials_file_not_valid",
                       std::string(name) + " cannot be used: it is not a JSON object"};
    }
    Reader reader(*json, name);
    GcpCredentials credentials;
    const std::string_view type = json->string("type").value_or("");
    if (type == "service_account") {
        credentials = read_account(reader);
    } else if (type == "external_account") {
        credentials = read_federation(reader, *json);
    } else {
        // "authorized_user": a person's login, which a server must not run with.
        reader.fail("its type is neither service_account nor external_account");
    }
    if (reader.failure()) return *reader.failure();
    return credentials;
}

}  // namespace fieldgate::crypto::kms
