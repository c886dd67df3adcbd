#pragma once

#include <map>
#include <mutex>

#include "crypto/key_material.hpp"
#include "crypto/key_wrap.hpp"
#include "crypto/random.hpp"
#include "proxy/commands/keys.hpp"
#include "proxy/keys/key_document.hpp"
#include "proxy/keys/master_key.hpp"
#include "tests/unit/cluster/scripted_server.hpp"
#include "tests/unit/commands/support.hpp"

namespace fieldgate::commands::testing {

inline crypto::Secret<96> secret_of(std::uint8_t fill) {
    std::array<std::uint8_t, 96> bytes;
    bytes.fill(fill);
    return crypto::Secret<96>(bytes);
}

// Key managers in memory: every master key of every provider exists, and is its own. What they are asked is
// counted, and any call may be made to fail.
class PlayedKms final : public KeyManagers {
 public:
    using Failure = crypto::kms::Failure;
    // Asked before each call with its name and number, from 1.
    std::function<std::optional<Failure>(const std::string& call, int number)> fail;
    // Called in each call, which may wait there, from any thread.
    std::function<void(const std::string& call)> meanwhile;
    std::map<std::string, int> calls;
    bool lie = false;  // what is unwrapped is another key

    static crypto::MasterKey key_of(const std::string& provider,
                                    const keys::MasterKeyDescription& master_key) {
        const std::size_t hash = std::hash<std::string>{}(provider + " " + keys::master_key_text(master_key));
        std::array<std::uint8_t, 96> bytes;
        for (std::size_t i = 0; i < bytes.size(); ++i)
            bytes[i] = static_cast<std::uint8_t>(hash >> (i % sizeof hash * 8));
        return crypto::MasterKey(bytes);
    }
    static std::vector<std::uint8_t> wrapped(const std::string& provider,
                                             const keys::MasterKeyDescription& master_key,
                                             const crypto::DataKey& key) {
        crypto::SystemRandom random;
        const auto bytes = crypto::wrap_key(key, key_of(provider, master_key), random);
        return {bytes->begin(), bytes->end()};
    }

    crypto::kms::Result<keys::WrappedDataKey> wrap(const std::string& provider,
                                                   const keys::MasterKeyDescription& master_key,
                                                   const crypto::DataKey& key) override {
        if (auto failure = called("wrap", provider)) return *failure;
        keys::MasterKeyDescription stored = master_key;
        const std::lock_guard lock(mutex_);
        if (auto* kmip = std::get_if<crypto::kms::KmipMasterKey>(&stored); kmip && kmip->key_id.empty())
            kmip->key_id = "made-" + std::to_string(++calls["made"]);
        return keys::WrappedDataKey{wrapped(provider, stored, key), stored};
    }
    crypto::kms::Result<crypto::DataKey> unwrap(const std::string& provider,
                                                const keys::MasterKeyDescription& master_key,
                                                std::span<const std::uint8_t> material) override {
        if (auto failure = called("unwrap", provider)) return *failure;
        auto key = crypto::unwrap_key(material, key_of(provider, master_key));
        if (!key) return failure("hmac_validation_failure", provider, key.error().message());
        if (lie) return secret_of(0xEE);
        return std::move(*key);
    }
    std::optional<Failure> login(const std::string& provider) override { return called("login", provider); }

    static Failure failure(const std::string& code, const std::string& provider, const std::string& text,
                           Failure::Kind kind = Failure::Kind::refused) {
        return {.kind = kind, .code = code, .text = "KMS provider `" + provider + "`: " + text};
    }

 private:
    std::mutex mutex_;  // a rewrap asks from several threads

    std::optional<Failure> called(const std::string& call, const std::string& provider) {
        if (meanwhile) meanwhile(call);
        const std::lock_guard lock(mutex_);
        const int number = ++calls[call];
        ++calls[call + " " + provider];
        return fail ? fail(call, number) : std::nullopt;
    }
};

// A key vault that stores: one collection, with as much of MongoDB as the commands use.
class VaultStand {
 public:
    VaultStand() { clinic.set_upstream("mongodb://" + server.address()); }

    std::mutex mutex;
    std::vector<bson::Buffer> documents;
    std::function<std::optional<bson::Buffer>(bson::DocumentView command)> before = {};  // answers instead
    PlayedKms kms;
    Initialised clinic;

    OpenKeyManagers open_kms() {
        return [this](const config::Config&) { return std::make_unique<Lent>(kms); };
    }
    // More providers of the configuration: lines of YAML below kms_providers.
    void add_providers(const std::string& lines) {
        replace_in(clinic.file, "kms_providers:\n", "kms_providers:\n" + lines);
    }

    // A data key of 96 bytes of `fill`, whose UUID is 16 of them.
    keys::KeyDocument add(std::uint8_t fill, std::vector<std::string> names,
                          const std::string& provider = "local",
                          const keys::MasterKeyDescription& master_key = crypto::kms::LocalMasterKey{}) {
        keys::KeyDocument key;
        key.id.bytes.fill(fill);
        key.alt_names = std::move(names);
        key.provider = provider;
        key.master_key = master_key;
        key.wrapped = PlayedKms::wrapped(provider, master_key, secret_of(fill));
        key.creation_unix_ms = key.update_unix_ms = 1700000000000 + fill;
        const std::lock_guard lock(mutex);
        documents.push_back(keys::build_key_document(key));
        return key;
    }
    std::vector<keys::KeyDocument> keys() {
        const std::lock_guard lock(mutex);
        std::vector<keys::KeyDocument> keys;
        for (const bson::Buffer& document : documents)
            keys.push_back(keys::parse_key_document(document).value());
        return keys;
    }
    std::string sent(const std::string& command) const {
        for (const std::string& text : server.commands())
            if (text.find("\"" + command + "\"") != std::string::npos) return text;
        return "";
    }
    bool wrote() const {
        return !sent("insert").empty() || !sent("update").empty() || !sent("delete").empty();
    }

 private:
    struct Lent final : KeyManagers {
        explicit Lent(PlayedKms& owner) : kms(owner) {}
        PlayedKms& kms;
        crypto::kms::Result<keys::WrappedDataKey> wrap(const std::string& provider,
                                                       const keys::MasterKeyDescription& master_key,
                                                       const crypto::DataKey& key) override {
            return kms.wrap(provider, master_key, key);
        }
        crypto::kms::Result<crypto::DataKey> unwrap(const std::string& provider,
                                                    const keys::MasterKeyDescription& master_key,
                                                    std::span<const std::uint8_t> wrapped) override {
            return kms.unwrap(provider, master_key, wrapped);
        }
        std::optional<crypto::kms::Failure> login(const std::string& provider) override {
            return kms.login(provider);
        }
    };

    static bool has_value(bson::DocumentView document, const char* field, const bson::Element& wanted) {
        const auto element = document.find(field);
        return element && element->type() == wanted.type() &&
               std::ranges::equal(element->value(), wanted.value());
    }
    static bson::Buffer counts(std::int32_t n, std::int32_t modified) {
        bson::Buffer buffer;
        bson::Builder(buffer)
            .append_int32("n", n)
            .append_int32("nModified", modified)
            .append_double("ok", 1)
            .finish();
        return buffer;
    }

    bson::Buffer answer(bson::DocumentView command) {
        if (cluster::testing::is_hello(command)) return cluster::testing::hello_reply("standalone", "");
        if (before) {
            if (auto reply = before(command)) return *reply;
        }
        const std::lock_guard lock(mutex);
        if (command.find("find")) return found(command.find("filter")->document());
        if (const auto inserted = command.find("documents")) {
            for (const bson::Element& document : inserted->document()) {
                const bson::Bytes bytes = document.document().bytes();
                documents.emplace_back(bytes.begin(), bytes.end());
            }
            return counts(1, 0);
        }
        for (const char* list : {"updates", "deletes"}) {
            const auto writes = command.find(list);
            if (!writes) continue;
            Counts all;
            for (const bson::Element& write : writes->document()) {
                const Counts one = written(write.document());
                all.found += one.found;
                all.changed += one.changed;
            }
            return counts(all.found, all.changed);
        }
        return cluster::testing::ok_reply();
    }

    // By the drivers' filter, by provider, or all.
    bson::Buffer found(bson::DocumentView filter) const {
        std::vector<bson::Buffer> matching;
        for (const bson::Buffer& document : documents) {
            const keys::KeyClaims claims = keys::claims_of(document);
            bool matches = !filter.find("$or");
            if (const auto provider = filter.find("masterKey.provider")) {
                const auto master_key = bson::DocumentView::unchecked(document).find("masterKey");
                matches = master_key && has_value(master_key->document(), "provider", *provider);
            }
            if (const auto either = filter.find("$or")) {
                const std::string text = bson::to_json(either->document().bytes());
                for (const std::string& name : claims.alt_names)
                    matches = matches || text.find("\"" + name + "\"") != std::string::npos;
                bson::Buffer id;
                for (const crypto::KeyId& claimed : claims.ids) {
                    bson::Builder(id).append_binary("x", 4, claimed.bytes).finish();
                    const std::string json = bson::to_json(id);
                    matches = matches || text.find(json.substr(json.find("base64"), 36)) != std::string::npos;
                }
            }
            if (matches) matching.push_back(document);
        }
        return cluster::testing::cursor_reply("encryption.__keyVault", matching);
    }

    struct Counts {
        std::int32_t found = 0;
        std::int32_t changed = 0;
    };
    Counts written(bson::DocumentView write) {
        const bson::DocumentView query = write.find("q")->document();
        for (auto document = documents.begin(); document != documents.end(); ++document) {
            const auto view = bson::DocumentView::unchecked(*document);
            if (!has_value(view, "_id", *query.find("_id"))) continue;
            const auto material = query.find("keyMaterial");
            if (material && !has_value(view, "keyMaterial", *material)) continue;
            const auto name = query.find("keyAltNames");
            const std::vector<std::string> names = keys::claims_of(*document).alt_names;
            if (name && std::ranges::find(names, name->string()) == names.end()) continue;
            const auto update = write.find("u");
            if (!update) {
                documents.erase(document);
                return {1, 0};
            }
            auto key = keys::parse_key_document(*document).value();
            bool changed = true;
            if (const auto add = update->document().find("$addToSet")) {
                const std::string added(add->document().find("keyAltNames")->string());
                changed = std::ranges::find(key.alt_names, added) == key.alt_names.end();
                if (changed) key.alt_names.push_back(added);
            } else if (const auto set = update->document().find("$set")) {
                const bson::Bytes bytes = set->document().find("keyMaterial")->binary().data;
                key.wrapped.assign(bytes.begin(), bytes.end());
                const auto master_key = set->document().find("masterKey")->document();
                key.provider = master_key.find("provider")->string();
                key.master_key =
                    keys::parse_master_key(key.provider, master_key, keys::MasterKeyUse::stored).value();
            } else if (name) {
                std::erase(key.alt_names, name->string());
            }
            *document = keys::build_key_document(key);
            return {1, changed ? 1 : 0};
        }
        return {};
    }

 public:
    // After what it uses.
    cluster::testing::ScriptedServer server{[this](bson::DocumentView command) { return answer(command); }};
};

}  // namespace fieldgate::commands::testing
