#include "proxy/commands/schema_keys.hpp"

#include <algorithm>
#include <boost/assert.hpp>
#include <map>
#include <stdexcept>

#include "config/schema_builder.hpp"
#include "config/schema_writer.hpp"
#include "proxy/analysis/field_space.hpp"
#include "proxy/cluster/key_vault.hpp"
#include "proxy/commands/key_vault_access.hpp"
#include "proxy/commands/text.hpp"

namespace fieldgate::commands {
namespace {

using Uuids = std::map<std::string, std::vector<crypto::KeyId>>;  // by alternative name

std::string ask_key_vault(const config::KeyVault& vault, std::chrono::milliseconds wait, Uuids& uuids) {
    keys::KeyRequest request;
    for (const auto& [name, ids] : uuids) request.alt_names.push_back(name);
    try {
        cluster::KeyVaultClient client({vault.uri, vault.database, vault.collection, wait});
        const auto found = client.find(request);
        if (!found.error.empty()) return found.error;
        for (const bson::Buffer& document : found.documents) {
            const keys::KeyClaims claims = keys::claims_of(document);
            for (const std::string& name : claims.alt_names)
                if (const auto wanted = uuids.find(name); wanted != uuids.end())
                    wanted->second.insert(wanted->second.end(), claims.ids.begin(), claims.ids.end());
        }
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return {};
}

}  // namespace

SchemaWithUuids with_key_uuids(const config::Schema& schema, const std::string& database,
                               const config::Config& config) {
    Uuids uuids;
    for (const config::EncryptedField& field : schema.fields())
        if (const auto* name = std::get_if<config::KeyAltName>(&field.key))
            uuids[analysis::expand_alt_name(name->name, database)];
    SchemaWithUuids result;
    const std::string vault = config.key_vault.database + "." + config.key_vault.collection;
    if (!uuids.empty()) {
        result.error = ask_key_vault(config.key_vault, config.upstream.election_wait, uuids);
        if (!result.error.empty()) {
            result.error = "key vault " + vault + ": " + result.error;
            return result;
        }
    }
    for (const auto& [name, ids] : uuids) {
        if (ids.size() == 1) continue;
        std::string problem = ids.empty() ? "no key" : "several keys";
        problem += " named `" + printable(name) + "` in " + vault;
        if (ids.empty())
            problem += way_to_missing_key(config, printable(name));
        else
            problem += ": take the name from all but one";
        result.problems.push_back(std::move(problem));
    }
    if (!result.problems.empty()) return result;
    const config::Node node = config::write_schema(schema, [&](const config::KeyAltName& name) {
        return std::optional(uuids.at(analysis::expand_alt_name(name.name, database)).front().bytes);
    });
    result.schema = config::build_schema(node, config::SchemaOrigin::local).schema;
    BOOST_ASSERT_MSG(result.schema, "what the writer writes is what the builder reads");
    return result;
}

}  // namespace fieldgate::commands
