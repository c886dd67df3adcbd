#include <algorithm>
#include <ostream>
#include <set>
#include <stdexcept>

#include "crypto/key_material.hpp"
#include "crypto/random.hpp"
#include "crypto/secret_file.hpp"
#include "proxy/commands/key_vault_access.hpp"
#include "proxy/commands/keys.hpp"
#include "proxy/commands/master_key_option.hpp"
#include "proxy/commands/text.hpp"
#include "proxy/keys/master_key.hpp"

namespace fieldgate::commands {
namespace {

// Nothing: sound. Otherwise what is wrong with the command line.
std::optional<std::string> check_options(const CreateKey& options) {
    std::set<std::string> seen;
    for (const std::string& name : options.alt_names) {
        if (const auto problem = alt_name_problem(name)) return "--alt-name: " + *problem;
        if (!seen.insert(name).second) return "--alt-name: `" + name + "` is given twice";
    }
    if (!options.id.empty()) {
        if (options.key_material.empty())
            return "--id: only with --key-material: a new key under an old UUID would make what is stored "
                   "unreadable";
        if (!parse_key_id(options.id)) return "--id: must be a UUID: 01234567-89ab-cdef-0123-456789abcdef";
    }
    return std::nullopt;
}

struct NewKey {
    crypto::KeyId id;
    std::optional<crypto::DataKey> key;
};

// False: what went wrong was printed.
bool make_key(const CreateKey& options, NewKey& made, int& code, Console console) {
    crypto::SystemRandom random;
    const auto fail = [&](int exit_code, const std::string& what) {
        console.err << printable(what) << '\n';
        code = exit_code;
        return false;
    };
    if (options.id.empty()) {
        const auto id = crypto::generate_key_id(random);
        if (!id) return fail(exit_internal, id.error().message());
        made.id = *id;
    } else {
        made.id = *parse_key_id(options.id);
    }
    if (options.key_material.empty()) {
        auto key = crypto::generate_key(random);
        if (!key) return fail(exit_internal, key.error().message());
        made.key = std::move(*key);
        return true;
    }
    const std::string file = options.key_material.string();
    const auto contents = crypto::read_secret_file(file);
    if (!contents) return fail(exit_configuration, file + ": " + contents.error().message());
    auto key = crypto::parse_master_key(*contents);
    if (!key) return fail(exit_configuration, file + ": key material is 96 bytes, raw or as base64");
    made.key = std::move(*key);
    return true;
}

// Prints what is in the way.
bool is_free(const config::Config& config, const CreateKey& options, const crypto::KeyId& id,
             KeyVaultAccess& vault) {
    const auto existing = vault.named(options.alt_names);
    if (!existing) return false;
    for (const FoundKey& key : *existing) {
        const auto name = std::ranges::find_if(key.alt_names, [&](const std::string& alt_name) {
            return std::ranges::find(options.alt_names, alt_name) != options.alt_names.end();
        });
        vault.fail(exit_configuration,
                   "a key named `" + *name + "` exists already in " + vault_name(config) + ": " +
                       key.id_text() +
                       " (if that is another installation's, give this one a key vault of its own: "
                       "key_vault.namespace in " +
                       config.file.string() + ")");
        return false;
    }
    if (options.id.empty()) return true;
    keys::KeyRequest request;
    request.ids = {id};
    const auto same = vault.client().find(request);
    if (!same.error.empty()) {
        vault.fail(exit_unavailable, "key vault " + vault_name(config) + ": " + same.error);
        return false;
    }
    if (same.documents.empty()) return true;
    vault.fail(exit_configuration, "key " + keys::uuid_text(id) + " exists already in " + vault_name(config));
    return false;
}

// A key file that was replaced wraps as well as the right one did. Keys of both would stand under one
// provider, and no configuration could use them all.
void warn_of_another_master_key(const config::Config& config, const std::string& provider, KeyManagers& kms,
                                KeyVaultAccess& vault, Console console) {
    constexpr std::size_t keys_tried_max = 100;
    const config::KmsProvider* settings = find_provider(config, provider);
    if (settings == nullptr || !std::holds_alternative<config::LocalKms>(settings->settings)) return;
    std::size_t tried = 0;
    for (const bson::Buffer& document : vault.client().find_of_provider(provider, keys_tried_max).documents) {
        const FoundKey found = found_key(document);
        if (!found.key || found.key->provider != provider) continue;
        if (kms.unwrap(provider, found.key->master_key, found.key->wrapped)) return;
        ++tried;
    }
    if (tried == 0) return;
    console.err << "warning: the master key of KMS provider `" << provider << "` unwraps none of its keys in "
                << vault_name(config) << " (tried: " << tried
                << "): if its key_file was replaced, put the right one back, or give this one a provider of "
                   "its own: \"local:new\"\n";
}

}  // namespace

int create_key(const std::filesystem::path& file, const CreateKey& options, const OpenKeyManagers& open_kms,
               Console console) {
    if (const auto problem = check_options(options)) {
        console.err << printable(*problem) << '\n';
        return exit_usage;
    }
    const auto config = load_configuration(file, console.err);
    if (!config) return exit_configuration;
    const MasterKeyOption wanted = read_master_key_option(*config, options.provider, options.master_key);
    if (!wanted.problem.empty()) {
        console.err << printable(wanted.problem) << '\n';
        return wanted.code;
    }
    NewKey made;
    int code = exit_ok;
    if (!make_key(options, made, code, console)) return code;
    const auto kms = open_key_managers(*config, open_kms, console);
    if (!kms) return exit_configuration;

    KeyVaultAccess vault(*config, console);
    if (!vault.open() || !vault.ensure_name_index() || !is_free(*config, options, made.id, vault))
        return vault.code();
    warn_of_another_master_key(*config, wanted.provider, *kms, vault, console);

    // After everything else was found right: with KMIP, wrapping may make a key.
    auto wrapped = wrap_and_prove(*kms, wanted.provider, wanted.master_key, *made.key);
    if (!wrapped) {
        const std::string under = keys::master_key_text(wanted.master_key);
        return vault.fail(exit_unavailable, wrapped.error().text + " (" +
                                                (under.empty() ? "" : "under " + under + "; ") +
                                                "no key was created)");
    }
    keys::KeyDocument key;
    key.id = made.id;
    key.alt_names = options.alt_names;
    key.wrapped = std::move(wrapped->material);
    key.creation_unix_ms = key.update_unix_ms = now_unix_ms();
    key.provider = wanted.provider;
    key.master_key = std::move(wrapped->master_key);
    if (const auto error = vault.client().insert(keys::build_key_document(key))) {
        if (error->kind != cluster::KeyVaultClient::Failure::duplicate) return vault.fail(*error);
        return vault.fail(
            exit_configuration,
            "a key of one of these names, or of this UUID, exists already in " + vault_name(*config));
    }
    console.out << keys::uuid_text(key.id) << '\n';
    return exit_ok;
}

}  // namespace fieldgate::commands
