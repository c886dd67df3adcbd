#include "proxy/commands/key_use.hpp"

#include <gtest/gtest.h>

namespace fieldgate::commands {
namespace {

config::Config config_with(const std::string& database, const config::KeyReference& key) {
    auto schema = std::make_shared<config::Schema>();
    config::EncryptedField field;
    field.path = "ssn";
    field.key = key;
    schema->fields_ = {field, field};
    config::Config config;
    config::ProtectedNamespace entry;
    entry.pattern = {database, "patients"};
    entry.schema = schema;
    config.schemas.push_back(entry);
    return config;
}

keys::KeyDocument key_named(const std::string& name) {
    keys::KeyDocument key;
    key.id.bytes.fill(3);
    key.alt_names = {"another", name};
    return key;
}

TEST(KeyUse, finds_the_schemas_of_a_key) {
    config::KeyUuid uuid;
    uuid.fill(3);
    using Names = std::vector<std::string>;
    const Names used{"db.patients"};
    EXPECT_EQ(schemas_that_use(config_with("db", uuid), key_named("n")), used);
    EXPECT_EQ(schemas_that_use(config_with("db", config::KeyUuid{}), key_named("n")), Names{});
    EXPECT_EQ(schemas_that_use(config_with("db", config::KeyAltName{"n"}), key_named("n")), used);
    EXPECT_EQ(schemas_that_use(config_with("db", config::KeyAltName{"m"}), key_named("n")), Names{});
    EXPECT_EQ(schemas_that_use(config_with("db", config::KeyAltName{"k-{database}"}), key_named("k-db")),
              used);
    EXPECT_EQ(schemas_that_use(config_with("db", config::KeyAltName{"k-{database}"}), key_named("k-other")),
              Names{});
}

TEST(KeyUse, a_name_of_many_databases_is_used_by_the_pattern) {
    const config::Config config = config_with("tenant_*", config::KeyAltName{"k-{database}-x"});
    EXPECT_EQ(schemas_that_use(config, key_named("k-tenant_1-x")),
              std::vector<std::string>{"tenant_*.patients"});
    EXPECT_TRUE(schemas_that_use(config, key_named("k--x")).empty());
    EXPECT_TRUE(schemas_that_use(config, key_named("k-tenant_1-y")).empty());
}

TEST(KeyUse, no_key_is_known_for_a_field_whose_documents_name_it) {
    const config::Config config = config_with("db", config::KeyPointer{{"keyName"}});
    EXPECT_TRUE(schemas_that_use(config, key_named("n")).empty());
    std::vector<std::string> open;
    EXPECT_TRUE(keys_of_schemas(config, open).empty());
    EXPECT_TRUE(open.empty());
}

TEST(KeyUse, asks_for_each_key_once_and_knows_which_names_are_open) {
    std::vector<std::string> open;
    EXPECT_EQ(keys_of_schemas(config_with("db", config::KeyAltName{"n"}), open).alt_names,
              std::vector<std::string>{"n"});
    EXPECT_EQ(keys_of_schemas(config_with("db", config::KeyAltName{"k-{database}"}), open).alt_names,
              std::vector<std::string>{"k-db"});
    EXPECT_EQ(keys_of_schemas(config_with("db", config::KeyUuid{}), open).ids.size(), 1u);
    EXPECT_TRUE(open.empty());
    EXPECT_TRUE(keys_of_schemas(config_with("t*", config::KeyAltName{"k-{database}"}), open).empty());
    EXPECT_EQ(open, std::vector<std::string>{"k-{database}"});
}

}  // namespace
}  // namespace fieldgate::commands
