#include "tests/unit/crypto/libmongocrypt.hpp"

// Version 1.7 of the header does not say it itself.
extern "C" {
#include <mongocrypt.h>
}

namespace fieldgate::crypto {
namespace {

template <auto free_function>
struct Destroy {
    template <typename T>
    void operator()(T* object) const noexcept {
        free_function(object);
    }
};
using Binary = std::unique_ptr<mongocrypt_binary_t, Destroy<&mongocrypt_binary_destroy>>;
using Context = std::unique_ptr<mongocrypt_ctx_t, Destroy<&mongocrypt_ctx_destroy>>;
using Status = std::unique_ptr<mongocrypt_status_t, Destroy<&mongocrypt_status_destroy>>;

// libmongocrypt takes its input as pointers to non-const, and does not write to them.
Binary view_of(std::span<const std::uint8_t> bytes) {
    return Binary(mongocrypt_binary_new_from_data(const_cast<std::uint8_t*>(bytes.data()),
                                                  static_cast<std::uint32_t>(bytes.size())));
}

Bytes copy(std::span<const std::uint8_t> bytes) {
    return {bytes.begin(), bytes.end()};
}
std::size_t size_of(std::span<const std::uint8_t> bytes) {
    return bytes.size();
}

}  // namespace

struct Libmongocrypt::Impl {
    std::unique_ptr<mongocrypt_t, Destroy<&mongocrypt_destroy>> crypt{mongocrypt_new()};
    Bytes key_document;

    static void check(mongocrypt_ctx_t* ctx, bool done) {
        if (done) return;
        const Status status(mongocrypt_status_new());
        mongocrypt_ctx_status(ctx, status.get());
        throw LibmongocryptError(mongocrypt_status_message(status.get(), nullptr));
    }

    // `use` gets the result, which belongs to the context.
    template <typename Use>
    auto run(mongocrypt_ctx_t* ctx, const Use& use) const {
        for (;;) {
            switch (mongocrypt_ctx_state(ctx)) {
                case MONGOCRYPT_CTX_NEED_MONGO_KEYS: {
                    const Binary document = view_of(key_document);
                    check(ctx, mongocrypt_ctx_mongo_feed(ctx, document.get()));
                    check(ctx, mongocrypt_ctx_mongo_done(ctx));
                    break;
                }
                case MONGOCRYPT_CTX_READY: {
                    const Binary out(mongocrypt_binary_new());
                    check(ctx, mongocrypt_ctx_finalize(ctx, out.get()));
                    return use(
                        std::span(mongocrypt_binary_data(out.get()), mongocrypt_binary_len(out.get())));
                }
                default:
                    check(ctx, false);
            }
        }
    }

    template <typename Use>
    auto encrypt(Algorithm algorithm, const KeyId& key_id, std::span<const std::uint8_t> document,
                 const Use& use) const {
        const Context ctx(mongocrypt_ctx_new(crypt.get()));
        const Binary id = view_of(key_id.bytes);
        const char* const name = algorithm == Algorithm::deterministic
                                     ? MONGOCRYPT_ALGORITHM_DETERMINISTIC_STR
                                     : MONGOCRYPT_ALGORITHM_RANDOM_STR;
        const Binary value = view_of(document);
        check(ctx.get(), mongocrypt_ctx_setopt_key_id(ctx.get(), id.get()));
        check(ctx.get(), mongocrypt_ctx_setopt_algorithm(ctx.get(), name, -1));
        check(ctx.get(), mongocrypt_ctx_explicit_encrypt_init(ctx.get(), value.get()));
        return run(ctx.get(), use);
    }

    template <typename Use>
    auto decrypt(std::span<const std::uint8_t> document, const Use& use) const {
        const Context ctx(mongocrypt_ctx_new(crypt.get()));
        const Binary value = view_of(document);
        check(ctx.get(), mongocrypt_ctx_explicit_decrypt_init(ctx.get(), value.get()));
        return run(ctx.get(), use);
    }
};

Libmongocrypt::Libmongocrypt(std::span<const std::uint8_t> master_key, Bytes key_document)
    : impl_(std::make_unique<Impl>()) {
    impl_->key_document = std::move(key_document);
    const Binary key = view_of(master_key);
    if (!mongocrypt_setopt_kms_provider_local(impl_->crypt.get(), key.get()) ||
        !mongocrypt_init(impl_->crypt.get())) {
        throw LibmongocryptError("mongocrypt_init");
    }
}

Libmongocrypt::~Libmongocrypt() = default;

Bytes Libmongocrypt::encrypt(Algorithm algorithm, const KeyId& key_id,
                             std::span<const std::uint8_t> document) {
    return impl_->encrypt(algorithm, key_id, document, copy);
}

Bytes Libmongocrypt::decrypt(std::span<const std::uint8_t> document) {
    return impl_->decrypt(document, copy);
}

std::size_t Libmongocrypt::encrypt_only(Algorithm algorithm, const KeyId& key_id,
                                        std::span<const std::uint8_t> document) {
    return impl_->encrypt(algorithm, key_id, document, size_of);
}

std::size_t Libmongocrypt::decrypt_only(std::span<const std::uint8_t> document) {
    return impl_->decrypt(document, size_of);
}

}  // namespace fieldgate::crypto
