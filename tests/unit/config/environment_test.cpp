#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "config/load.hpp"
#include "tests/unit/config/load_fixture.hpp"

namespace fieldgate::config {
namespace {

using Environment = LoadFixture;

TEST_F(Environment, overrides_the_file) {
    environment = {
        {"FIELDGATE_UPSTREAM__URI", "mongodb://other"}, {"FIELDGATE_UPSTREAM__ELECTION_WAIT", "1s"},
        {"FIELDGATE_KEY_VAULT__NAMESPACE", "kv.c"},     {"FIELDGATE_LOG__LEVEL", "debug"},
        {"FIELDGATE_LIMITS__CONNECTIONS", "7"},         {"FIELDGATE_LIMITS__DRAIN", "2s"}};
    const Loaded loaded = load_text(good + "limits: { connections: 5, drain: 9s }\nlog:\n");
    const Config& config = *loaded.config;
    EXPECT_EQ(config.upstream.uri, "mongodb://other");
    EXPECT_EQ(config.upstream.election_wait, std::chrono::seconds(1));
    EXPECT_TRUE(config.is_key_vault("kv", "c"));
    EXPECT_EQ(config.log.level, Log::Level::debug);
    EXPECT_EQ(config.limits.connections, 7u);
    EXPECT_EQ(config.limits.drain, std::chrono::seconds(2));
}

TEST_F(Environment, replaces_a_secret_reference_of_the_file) {
    environment = {{"FIELDGATE_UPSTREAM__URI", "mongodb://other"}};
    const std::string yaml =
        "upstream: { uri: { file: nowhere } }\n" + good_kms + good_schemas + good_roles + good_listeners;
    EXPECT_EQ(load_text(yaml).config->upstream.uri, "mongodb://other");
}

TEST_F(Environment, can_give_what_the_file_leaves_out) {
    environment = {{"FIELDGATE_UPSTREAM__URI", "mongodb://other"}};
    EXPECT_EQ(load_text(good_kms + good_schemas + good_roles + good_listeners).config->upstream.uri,
              "mongodb://other");
}

TEST_F(Environment, names_the_variable_of_a_problem) {
    struct Row {
        const char* name;
        const char* value;
        const char* problem;
    };
    const Row rows[] = {
        {"FIELDGATE_LIMITS__DRAIN", "5", "0: FIELDGATE_LIMITS__DRAIN: limits.drain: '5' is no duration"},
        {"FIELDGATE_LIMITS__DRAIN", "", "0: FIELDGATE_LIMITS__DRAIN: limits.drain: must not be empty"},
        {"FIELDGATE_LOG__LEVEL", "x", "0: FIELDGATE_LOG__LEVEL: log.level: must be trace"},
        {"FIELDGATE_UPSTREAM__URI", "x",
         "0: FIELDGATE_UPSTREAM__URI: upstream.uri: must begin with mongodb://"},
        {"FIELDGATE_UPSTREAM__PRESENTATION", "members",
         "0: FIELDGATE_UPSTREAM__PRESENTATION: upstream.presentation"},
        {"FIELDGATE_LIMIT__DRAIN", "5s",
         "0: FIELDGATE_LIMIT__DRAIN: names no section that the environment can override (upstream, "
         "key_vault, admin, "
         "log or limits, in capitals) (did you mean 'limits'?)"},
        {"FIELDGATE_ROLES__DOCTOR", "x", "0: FIELDGATE_ROLES__DOCTOR: names no section"},
        {"FIELDGATE_LIMITS__DRAINS", "5s",
         "0: FIELDGATE_LIMITS__DRAINS: limits has no key 'drains' (did you mean 'drain'?)"},
        {"FIELDGATE_LIMITS__", "5s", "0: FIELDGATE_LIMITS__: limits has no key ''"},
        {"FIELDGATE___X", "5s", "0: FIELDGATE___X: names no section"},
        {"FIELDGATE_limits__drain", "5s", "0: FIELDGATE_limits__drain: names no section"},
        {"FIELDGATE_LIMITS__DRAIN__X", "5s", "0: FIELDGATE_LIMITS__DRAIN__X: limits has no key 'drain__x'"},
        {"FIELDGATE_ADMIN__ADDRESS", "127.0.0.1:1", "0: FIELDGATE_ADMIN__ADDRESS: admin: not supported"},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.name);
        environment = {{row.name, row.value}};
        expect_problems(problems_of(good), {row.problem});
    }
}

TEST_F(Environment, every_overridable_key_is_known_to_its_section) {
    for (const char* name :
         {"UPSTREAM__URI", "UPSTREAM__PRESENTATION", "UPSTREAM__READ_PREFERENCE", "UPSTREAM__ELECTION_WAIT",
          "KEY_VAULT__NAMESPACE", "KEY_VAULT__URI", "KEY_VAULT__CACHE_LIFETIME", "LOG__LEVEL", "LOG__FORMAT",
          "LIMITS__CONNECTIONS", "LIMITS__MESSAGE_BYTES", "LIMITS__NESTING_LEVELS", "LIMITS__MEMORY_BYTES",
          "LIMITS__DRAIN"}) {
        SCOPED_TRACE(name);
        environment = {{"FIELDGATE_" + std::string(name), "\x01"}};
        const auto problems = problems_of(good);
        ASSERT_EQ(problems.size(), 1u);
        EXPECT_EQ(problems[0].find("unknown"), std::string::npos);
        EXPECT_EQ(problems[0].find("has no key"), std::string::npos);
    }
}

TEST_F(Environment, names_without_two_underscores_are_ignored) {
    environment = {{"FIELDGATE_PORT", "tcp://10.0.0.1:27017"},
                   {"FIELDGATE_SERVICE_HOST", "10.0.0.1"},
                   {"FIELDGATE_", "x"},
                   {"OTHER_LIMITS__DRAIN", "x"},
                   {"XFIELDGATE_LIMITS__DRAIN", "x"}};
    EXPECT_EQ(problems_of(good), std::vector<std::string>{});
}

TEST_F(Environment, a_section_that_is_no_mapping_stays_a_problem_of_the_file) {
    environment = {{"FIELDGATE_LIMITS__DRAIN", "5s"}};
    expect_problems(problems_of(good + "limits: 5\n"), {"6: limits: must be a mapping"});
}

TEST(ProcessEnvironment, lists_the_variables_that_could_be_meant) {
    ASSERT_EQ(::setenv("FIELDGATE_TEST__KEY", "v", 1), 0);
    ASSERT_EQ(::setenv("FIELDGATE_TEST_KEY", "v", 1), 0);
    const LoadOptions options = process_environment();
    const auto& names = options.environment_names;
    EXPECT_EQ(std::count(names.begin(), names.end(), "FIELDGATE_TEST__KEY"), 1);
    EXPECT_EQ(std::count(names.begin(), names.end(), "FIELDGATE_TEST_KEY"), 0);
    EXPECT_EQ(options.environment("FIELDGATE_TEST__KEY"), "v");
    EXPECT_EQ(options.environment("FIELDGATE_TEST__NONE"), std::nullopt);
    ::unsetenv("FIELDGATE_TEST__KEY");
    ::unsetenv("FIELDGATE_TEST_KEY");
}

}  // namespace
}  // namespace fieldgate::config
