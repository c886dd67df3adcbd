#include "proxy/keys/kms_kmip.hpp"

#include <boost/assert.hpp>
#include <utility>

#include "crypto/key_material.hpp"
#include "crypto/key_wrap.hpp"
#include "crypto/kms/endpoint_rule.hpp"
#include "crypto/kms/kmip.hpp"

namespace fieldgate::keys {
namespace {

using crypto::kms::Endpoint;
using crypto::kms::Failure;
using crypto::kms::KmipMasterKey;
using crypto::kms::Reply;
using crypto::kms::Request;
using crypto::kms::Result;

Request request_to(const Endpoint& endpoint, crypto::SecretBuffer message) {
    return {crypto::kms::Protocol::kmip, endpoint, std::move(message)};
}

Failure refused(std::string code, std::string text) {
    return {Failure::Kind::refused, 0, std::move(code), std::move(text)};
}

// What crypto/ says of a key that is wrapped and unwrapped in this process.
Failure failure_of(const crypto::error_code& error) {
    if (error == crypto::Errc::authentication_failed) {
        return refused("hmac_validation_failure",
                       "HMAC validation failure: it was not wrapped with this KMIP object");
    }
    if (error == crypto::Errc::data_key_length) {
        return {Failure::Kind::malformed, 0, "data_key_length", "decrypted key is incorrect length"};
    }
    return {Failure::Kind::unavailable, 0, "local_failure", error.message()};
}

// Get, and unwrap here.
class KmipUnwrap final : public UnwrapOperation {
 public:
    KmipUnwrap(Endpoint endpoint, KmipMasterKey master_key, std::span<const std::uint8_t> wrapped)
        : endpoint_(std::move(endpoint)),
          master_key_(std::move(master_key)),
          wrapped_(wrapped.begin(), wrapped.end()) {}

    Result<std::optional<Request>> next(UnixTime) override {
        if (key_) return std::nullopt;
        return request_to(endpoint_, master_key_.delegated
                                         ? crypto::kms::kmip_decrypt(master_key_.key_id, wrapped_)
                                         : crypto::kms::kmip_get(master_key_.key_id));
    }

    std::optional<Failure> reply(const Reply& reply, UnixTime) override {
        if (master_key_.delegated) {
            auto key = crypto::kms::read_kmip_decrypt(reply, master_key_.key_id);
            if (!key) return key.error();
            key_ = std::move(*key);
            return std::nullopt;
        }
        const auto kek = crypto::kms::read_kmip_get(reply, master_key_.key_id);
        if (!kek) return kek.error();
        auto key = crypto::unwrap_key(wrapped_, *kek);
        if (!key) return failure_of(key.error());
        key_ = std::move(*key);
        return std::nullopt;
    }

    void restart() override { key_.reset(); }

    crypto::DataKey take() override {
        BOOST_ASSERT(key_);
        return std::move(*key_);
    }

 private:
    Endpoint endpoint_;
    KmipMasterKey master_key_;
    std::vector<std::uint8_t> wrapped_;
    std::optional<crypto::DataKey> key_;
};

// Make a key and activate it, when there is none yet; then Get it and wrap here, or have it Encrypt there.
// The key just registered is asked for as well: a server that does not give it back must not hold the only
// way to the data.
class KmipWrap final : public WrapOperation {
 public:
    KmipWrap(Endpoint endpoint, KmipMasterKey master_key, const crypto::DataKey& key, crypto::Random& random)
        : endpoint_(std::move(endpoint)),
          asked_(std::move(master_key)),
          master_key_(asked_),
          key_(key),
          random_(random),
          step_(first_step()) {}

    Result<std::optional<Request>> next(UnixTime) override {
        switch (step_) {
            case Step::make: {
                if (asked_.delegated) return request_to(endpoint_, crypto::kms::kmip_create());
                auto kek = crypto::generate_key(random_);
                if (!kek) return failure_of(kek.error());
                registered_ = std::move(*kek);
                return request_to(endpoint_, crypto::kms::kmip_register(*registered_));
            }
            case Step::activate:
                return request_to(endpoint_, crypto::kms::kmip_activate(master_key_.key_id));
            case Step::wrap:
                return request_to(endpoint_, asked_.delegated
                                                 ? crypto::kms::kmip_encrypt(master_key_.key_id, key_)
                                                 : crypto::kms::kmip_get(master_key_.key_id));
            case Step::done:
                break;
        }
        return std::nullopt;
    }

    std::optional<Failure> reply(const Reply& reply, UnixTime) override {
        switch (step_) {
            case Step::make: {
                auto identifier = asked_.delegated ? crypto::kms::read_kmip_create(reply)
                                                   : crypto::kms::read_kmip_register(reply);
                if (!identifier) return identifier.error();
                master_key_.key_id = std::move(*identifier);
                step_ = Step::activate;
                return std::nullopt;
            }
            case Step::activate: {
                auto failure = crypto::kms::read_kmip_activate(reply, master_key_.key_id);
                if (!failure) step_ = Step::wrap;
                return failure;
            }
            case Step::wrap:
                return wrapped(reply);
            case Step::done:
                break;
        }
        BOOST_ASSERT_MSG(false, "a reply to a request that next() did not make");
        return std::nullopt;
    }

    void restart() override {
        master_key_ = asked_;
        registered_.reset();
        material_.clear();
        step_ = first_step();
    }

    WrappedDataKey take() override {
        BOOST_ASSERT(step_ == Step::done);
        return {std::move(material_), std::move(master_key_)};
    }

 private:
    enum class Step : std::uint8_t { make, activate, wrap, done };

    Step first_step() const { return asked_.key_id.empty() ? Step::make : Step::wrap; }

    std::optional<Failure> wrapped(const Reply& reply) {
        if (asked_.delegated) {
            auto material = crypto::kms::read_kmip_encrypt(reply, master_key_.key_id);
            if (!material) return material.error();
            material_ = std::move(*material);
        } else {
            const auto kek = crypto::kms::read_kmip_get(reply, master_key_.key_id);
            if (!kek) return kek.error();
            if (registered_ && *registered_ != *kek) {
                return Failure{Failure::Kind::malformed, 0, "another_key",
                               "gives back another key than was registered"};
            }
            const auto sealed = crypto::wrap_key(key_, *kek, random_);
            if (!sealed) return failure_of(sealed.error());
            material_.assign(sealed->begin(), sealed->end());
        }
        step_ = Step::done;
        return std::nullopt;
    }

    Endpoint endpoint_;
    KmipMasterKey asked_;                          // as the caller gave it
    KmipMasterKey master_key_;                     // with the identifier of the key that was made
    std::optional<crypto::MasterKey> registered_;  // of the key that was made, what it must be
    const crypto::DataKey& key_;
    crypto::Random& random_;
    Step step_;
    std::vector<std::uint8_t> material_;
};

// What is wrong with a masterKey whichever way it is used.
std::optional<Failure> problem_of(const KmipMasterKey& master_key) {
    if (crypto::kms::is_kmip_identifier(master_key.key_id)) return std::nullopt;
    return refused("key_id_not_valid", master_key.key_id.empty()
                                           ? "the master key has no keyId"
                                           : "the master key's keyId is not 1 to 256 printable characters");
}

Failure mismatch() {
    return refused("master_key_mismatch", "masterKey is of another kind of provider");
}

}  // namespace

KmipProvider::KmipProvider(const config::KmsProvider& configured, crypto::Random& random)
    : name_(configured.name),
      endpoint_(std::get<config::KmipKms>(configured.settings).endpoint),
      hosts_(configured.hosts),
      random_(random) {
    hosts_.push_back(endpoint_);
}

Result<std::unique_ptr<UnwrapOperation>> KmipProvider::unwrap(
    const crypto::kms::MasterKeyDescription& master_key, std::span<const std::uint8_t> wrapped) {
    const auto* const kmip = std::get_if<KmipMasterKey>(&master_key);
    if (kmip == nullptr) return mismatch();
    if (const auto problem = problem_of(*kmip)) return *problem;
    auto endpoint = endpoint_of(*kmip);
    if (!endpoint) return endpoint.error();
    // Nothing is asked about what cannot be a wrapped key.
    const std::size_t expected_bytes =
        kmip->delegated ? crypto::kms::kmip_delegated_bytes : crypto::wrapped_key_bytes;
    if (wrapped.size() != expected_bytes) {
        return Failure{
            Failure::Kind::malformed, 0, "wrapped_key_length",
            "wrapped key of the wrong length: " + std::to_string(expected_bytes) + " bytes expected"};
    }
    return std::make_unique<KmipUnwrap>(std::move(*endpoint), *kmip, wrapped);
}

Result<std::unique_ptr<WrapOperation>> KmipProvider::wrap(const crypto::kms::MasterKeyDescription& master_key,
                                                          const crypto::DataKey& key) {
    const auto* const kmip = std::get_if<KmipMasterKey>(&master_key);
    if (kmip == nullptr) return mismatch();
    if (!kmip->key_id.empty()) {
        if (const auto problem = problem_of(*kmip)) return *problem;
    }
    auto endpoint = endpoint_of(*kmip);
    if (!endpoint) return endpoint.error();
    return std::make_unique<KmipWrap>(std::move(*endpoint), *kmip, key, random_);
}

// The specification does not retry KMIP at all, since a request may have done its work. All of ours may be
// sent twice: see KmipProvider on keys that nothing uses. GeneralFailure is what servers also say of a
// ciphertext that they cannot decrypt, over and over.
bool KmipProvider::may_retry(const Failure& failure) const {
    return (failure.kind == Failure::Kind::unavailable || failure.kind == Failure::Kind::throttled) &&
           failure.code != "GeneralFailure";
}

Result<Endpoint> KmipProvider::endpoint_of(const KmipMasterKey& master_key) const {
    return crypto::kms::allowed_endpoint(
        master_key.endpoint.empty() ? endpoint_ : master_key.endpoint,
        {.provider = name_, .default_port = crypto::kms::kmip_port, .domains = {}, .hosts = hosts_});
}

}  // namespace fieldgate::keys
