// Sealing and opening one value, a string of 15 characters, three ways:
//
//     fieldgate      FieldCipher with its contexts prepared
//     libmongocrypt  explicit encryption and decryption from C, the data key in its cache
//     openssl        the same bytes through EVP, every context prepared, nothing checked
//
// Repetitions are interleaved, because the machine's speed drifts; the ratios at the end are of medians. Run
// the release build on an idle machine.
#include "crypto/field_cipher.hpp"
#include "crypto/key_wrap.hpp"
#include "tests/unit/crypto/libmongocrypt.hpp"
#include "tests/unit/crypto/samples.hpp"
#include "tests/unit/crypto/test_bytes.hpp"

#include <benchmark/benchmark.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

namespace fieldgate::crypto {
namespace {

void require(bool done) {
    if (!done) std::abort();
}

// One value and its ciphertexts.
struct Value {
    Sample sample = sample_of_size(20);
    Bytes plaintext = sample.value();
    Bytes blob = Bytes(blob_bytes(plaintext.size()));
    Bytes opened = Bytes(blob.size());
};

SystemRandom& system_random() {
    static SystemRandom random;
    return random;
}

void fieldgate_seal(benchmark::State& state, Algorithm algorithm) {
    Value value;
    const auto cipher = FieldCipher::make(test_key(), system_random()).value();
    const KeyId key_id = test_key_id();
    for (auto _ : state) {
        require(!cipher->seal(algorithm, key_id, value.sample.bson_type, value.plaintext, value.blob));
        benchmark::DoNotOptimize(value.blob.data());
    }
}

void fieldgate_open(benchmark::State& state) {
    Value value;
    const auto cipher = FieldCipher::make(test_key(), system_random()).value();
    require(
        !cipher->seal(Algorithm::random, test_key_id(), value.sample.bson_type, value.plaintext, value.blob));
    for (auto _ : state) {
        require(cipher->open(value.blob, value.opened).has_value());
        benchmark::DoNotOptimize(value.opened.data());
    }
}

Libmongocrypt& libmongocrypt() {
    static const Bytes master_key = key_pattern(50);
    static const WrappedKey wrapped = wrap_key(test_key(), key_from(master_key), system_random()).value();
    static Libmongocrypt library(master_key, key_document(test_key_id(), wrapped));
    return library;
}

void libmongocrypt_seal(benchmark::State& state, Algorithm algorithm) {
    const Value value;
    const KeyId key_id = test_key_id();
    for (auto _ : state) {
        benchmark::DoNotOptimize(libmongocrypt().encrypt_only(algorithm, key_id, value.sample.document));
    }
}

void libmongocrypt_open(benchmark::State& state) {
    const Value value;
    const Bytes document = libmongocrypt().encrypt(Algorithm::random, test_key_id(), value.sample.document);
    for (auto _ : state) benchmark::DoNotOptimize(libmongocrypt().decrypt_only(document));
}

// HMAC-SHA-512 as fast as EVP allows it, and nothing checked that cannot fail on a working machine.
class BareHmac {
 public:
    explicit BareHmac(std::span<const std::uint8_t> key) {
        Bytes pad(128, 0x36);
        for (std::size_t i = 0; i < key.size(); ++i) pad[i] ^= key[i];
        EVP_DigestInit_ex(inner_, EVP_sha512(), nullptr);
        EVP_DigestUpdate(inner_, pad.data(), pad.size());
        for (auto& byte : pad) byte ^= 0x36 ^ 0x5c;
        EVP_DigestInit_ex(outer_, EVP_sha512(), nullptr);
        EVP_DigestUpdate(outer_, pad.data(), pad.size());
    }
    BareHmac(const BareHmac&) = delete;
    BareHmac& operator=(const BareHmac&) = delete;
    ~BareHmac() {
        for (EVP_MD_CTX* ctx : {inner_, outer_, running_}) EVP_MD_CTX_free(ctx);
    }

    void run(std::span<const std::uint8_t> message, std::uint8_t* digest) {
        EVP_MD_CTX_copy_ex(running_, inner_);
        EVP_DigestUpdate(running_, message.data(), message.size());
        EVP_DigestFinal_ex(running_, digest, nullptr);
        EVP_MD_CTX_copy_ex(running_, outer_);
        EVP_DigestUpdate(running_, digest, 64);
        EVP_DigestFinal_ex(running_, digest, nullptr);
    }

 private:
    EVP_MD_CTX* inner_ = EVP_MD_CTX_new();
    EVP_MD_CTX* outer_ = EVP_MD_CTX_new();
    EVP_MD_CTX* running_ = EVP_MD_CTX_new();
};

// The bytes of the messages do not matter to the speed, their sizes do: for a value of 20 bytes the IV is
// derived from 46 bytes, two blocks are encrypted, and 74 bytes are authenticated.
struct Bare {
    BareHmac mac{std::span(key).first(32)};
    BareHmac iv_mac{std::span(key).last(32)};
    EVP_CIPHER_CTX* cipher = EVP_CIPHER_CTX_new();
    std::array<std::uint8_t, 32> blocks{};
    std::array<std::uint8_t, 32> out{};
    std::array<std::uint8_t, 16> iv{};
    std::array<std::uint8_t, 74> message{};
    std::array<std::uint8_t, 64> digest{};
    static inline const Bytes key = key_pattern(7);

    explicit Bare(int encrypt) {
        EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.data() + 32, iv.data(), encrypt);
        EVP_CIPHER_CTX_set_padding(cipher, 0);
    }
    Bare(const Bare&) = delete;
    Bare& operator=(const Bare&) = delete;
    ~Bare() { EVP_CIPHER_CTX_free(cipher); }

    void run_cipher() {
        int written_bytes = 0;
        EVP_CipherInit_ex(cipher, nullptr, nullptr, nullptr, iv.data(), -1);
        EVP_CipherUpdate(cipher, out.data(), &written_bytes, blocks.data(), static_cast<int>(blocks.size()));
        benchmark::DoNotOptimize(out.data());
    }
};

void openssl_seal(benchmark::State& state, Algorithm algorithm) {
    Bare bare(1);
    for (auto _ : state) {
        if (algorithm == Algorithm::deterministic) {
            bare.iv_mac.run(std::span(bare.message).first(46), bare.digest.data());
            std::copy_n(bare.digest.begin(), bare.iv.size(), bare.iv.begin());
        } else {
            RAND_bytes(bare.iv.data(), static_cast<int>(bare.iv.size()));
        }
        bare.run_cipher();
        bare.mac.run(bare.message, bare.digest.data());
        benchmark::DoNotOptimize(bare.digest.data());
    }
}

void openssl_open(benchmark::State& state) {
    Bare bare(0);
    for (auto _ : state) {
        bare.mac.run(bare.message, bare.digest.data());
        benchmark::DoNotOptimize(CRYPTO_memcmp(bare.digest.data(), bare.message.data(), 32));
        bare.run_cipher();
    }
}

// Prints as usual and keeps the medians.
class Collector : public benchmark::ConsoleReporter {
 public:
    void ReportRuns(const std::vector<Run>& runs) override {
        for (const Run& run : runs) {
            if (run.run_type == Run::RT_Aggregate && run.aggregate_name == "median") {
                median_ns_[run.run_name.function_name] = run.GetAdjustedCPUTime();
            }
        }
        ConsoleReporter::ReportRuns(runs);
    }

    void print_ratios() {
        std::printf("\n%-20s %14s %14s %14s %16s %14s\n", "one value", "fieldgate", "libmongocrypt",
                    "bare openssl", "x libmongocrypt", "x bare openssl");
        for (const std::string what : {"seal_deterministic", "seal_random", "open"}) {
            const double ours = median_ns_["fieldgate/" + what];
            const double theirs = median_ns_["libmongocrypt/" + what];
            const double bare = median_ns_["openssl/" + what];
            if (ours <= 0 || theirs <= 0 || bare <= 0) continue;  // filtered out on the command line
            std::printf("%-20s %10.0f k/s %10.0f k/s %10.0f k/s %16.2f %14.2f\n", what.c_str(), 1e6 / ours,
                        1e6 / theirs, 1e6 / bare, theirs / ours, bare / ours);
        }
    }

 private:
    std::map<std::string, double> median_ns_;
};

void register_all() {
    const auto add = [](const char* name, auto function, auto... arguments) {
        benchmark::RegisterBenchmark(name, function, arguments...)->Repetitions(9)->MinTime(0.1);
    };
    add("fieldgate/seal_deterministic", fieldgate_seal, Algorithm::deterministic);
    add("fieldgate/seal_random", fieldgate_seal, Algorithm::random);
    add("fieldgate/open", fieldgate_open);
    add("libmongocrypt/seal_deterministic", libmongocrypt_seal, Algorithm::deterministic);
    add("libmongocrypt/seal_random", libmongocrypt_seal, Algorithm::random);
    add("libmongocrypt/open", libmongocrypt_open);
    add("openssl/seal_deterministic", openssl_seal, Algorithm::deterministic);
    add("openssl/seal_random", openssl_seal, Algorithm::random);
    add("openssl/open", openssl_open);
}

}  // namespace
}  // namespace fieldgate::crypto

int main(int argc, char** argv) {
    // In front of the caller's own arguments, so that those win.
    std::vector<char*> arguments(argv, argv + argc);
    std::string interleave = "--benchmark_enable_random_interleaving=true";
    std::string aggregates = "--benchmark_display_aggregates_only=true";
    arguments.insert(arguments.begin() + 1, {interleave.data(), aggregates.data()});
    int argument_count = static_cast<int>(arguments.size());
    benchmark::Initialize(&argument_count, arguments.data());
    if (benchmark::ReportUnrecognizedArguments(argument_count, arguments.data())) return 64;

    fieldgate::crypto::register_all();
    fieldgate::crypto::Collector collector;
    benchmark::RunSpecifiedBenchmarks(&collector);
    collector.print_ratios();
    return 0;
}
