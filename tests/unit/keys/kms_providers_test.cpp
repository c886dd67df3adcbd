#include "proxy/keys/kms_providers.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <future>
#include <stdexcept>

#include "tests/unit/keys/kms_support.hpp"

namespace fieldgate::keys {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::ScriptedTransport;

class KmsProviders : public ::testing::Test {
 protected:
    KmsProviders() { std::filesystem::create_directory(directory_); }
    ~KmsProviders() override { std::filesystem::remove_all(directory_); }

    std::filesystem::path write(const char* name, const std::string& contents) const {
        std::ofstream(directory_ / name, std::ios::binary) << contents;
        return directory_ / name;
    }
    template <class Settings>
    static config::KmsProvider provider(std::string name, Settings settings) {
        config::KmsProvider provider;
        provider.name = std::move(name);
        provider.settings = std::move(settings);
        return provider;
    }

    const std::filesystem::path directory_ =
        std::filesystem::temp_directory_path() / ("fieldgate-providers-" + std::to_string(::getpid()));
    config::Config config_;
};

TEST_F(KmsProviders, every_kind_is_made_under_its_name) {
    config_.kms_providers.push_back(provider("local", config::LocalKms{write("a", std::string(96, 'a'))}));
    config_.kms_providers.push_back(provider("local:b", config::LocalKms{write("b", std::string(96, 'b'))}));
    config_.kms_providers.push_back(provider("aws", config::AwsKms{}));
    config_.kms_providers.push_back(provider("azure", config::AzureKms{}));
    config_.kms_providers.push_back(provider("gcp", config::GcpKms{}));
    config_.kms_providers.push_back(provider("kmip:x", config::KmipKms{"kmip.example"}));
    config_.kms_providers.push_back(provider("vault", config::VaultKms{}));
    const Kms::Providers providers = make_kms_providers(config_, system_environment());
    std::vector<std::string> names;
    for (const auto& [name, made] : providers) {
        names.push_back(name);
        EXPECT_NE(made, nullptr);
    }
    EXPECT_EQ(names,
              (std::vector<std::string>{"aws", "azure", "gcp", "kmip:x", "local", "local:b", "vault"}));
}

TEST_F(KmsProviders, each_local_provider_has_its_own_master_key) {
    config_.kms_providers.push_back(provider("local", config::LocalKms{write("a", std::string(96, 'a'))}));
    config_.kms_providers.push_back(provider("local:b", config::LocalKms{write("b", std::string(96, 'b'))}));
    ScriptedTransport transport;
    Kms kms(transport, make_kms_providers(config_, system_environment()));
    const auto wrapped = testing::key_of(1, {}, 9, 'b').wrapped;
    std::string code;
    kms.unwrap("local", crypto::kms::LocalMasterKey{}, wrapped,
               [&](const auto& key) { code = key.error().code; });
    EXPECT_EQ(code, "hmac_validation_failure");
    bool is_right = false;
    kms.unwrap("local:b", crypto::kms::LocalMasterKey{}, wrapped,
               [&](const auto& key) { is_right = key && *key == testing::secret_of(9); });
    EXPECT_TRUE(is_right);
}

TEST_F(KmsProviders, each_kind_is_limited_to_its_list) {
    using Fields = std::vector<config::ListedMasterKey::Field>;
    const auto add = [&](config::KmsProvider provider, const Fields& listed) {
        provider.master_keys.emplace();
        provider.master_keys->push_back({listed, 1});
        config_.kms_providers.push_back(std::move(provider));
    };
    config::AwsKms aws;
    aws.access_key_id = aws.secret_access_key = "x";
    config::VaultKms vault;
    vault.address = "https://v";
    vault.token = "t";
    add(provider("aws:eu", aws), {{"region", "eu-west-1"}, {"key", "k"}});
    add(provider("azure", config::AzureKms{}), {{"keyVaultEndpoint", "v.vault.azure.net"}, {"keyName", "n"}});
    add(provider("gcp", config::GcpKms{}),
        {{"projectId", "p"}, {"location", "l"}, {"keyRing", "r"}, {"keyName", "n"}});
    add(provider("kmip", config::KmipKms{"kmip.example"}), {{"keyId", "1"}});
    add(provider("vault", vault), {{"keyName", "n"}});
    ScriptedTransport transport;
    Kms kms(transport, make_kms_providers(config_, system_environment()));
    struct Case {
        const char* provider;
        crypto::kms::MasterKeyDescription listed;
        crypto::kms::MasterKeyDescription other;
    };
    using namespace crypto::kms;
    const Case cases[] = {
        {"aws:eu", AwsMasterKey{"eu-west-1", "k", ""}, AwsMasterKey{"eu-west-1", "l", ""}},
        {"azure", AzureMasterKey{"v.vault.azure.net", "n", ""}, AzureMasterKey{"w.vault.azure.net", "n", ""}},
        {"gcp", GcpMasterKey{"p", "l", "r", "n", "", ""}, GcpMasterKey{"q", "l", "r", "n", "", ""}},
        {"kmip", KmipMasterKey{"1", "", false}, KmipMasterKey{}},
        {"vault", VaultMasterKey{"n", "", 0}, VaultMasterKey{"o", "", 0}},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.provider);
        const auto code_of = [&](const crypto::kms::MasterKeyDescription& master_key) {
            std::string code;
            kms.wrap(c.provider, master_key, std::make_shared<crypto::DataKey>(testing::secret_of(9)),
                     [&](const auto& wrapped) { code = wrapped ? "" : wrapped.error().code; });
            kms.unwrap(c.provider, master_key, {1}, [&](const auto& key) {
                code += " ";
                code += key ? "" : key.error().code;
            });
            return code;
        };
        EXPECT_EQ(code_of(c.other), "master_key_not_listed master_key_not_listed");
        EXPECT_THAT(code_of(c.listed), Not(HasSubstr("not_listed")))
            << "what else becomes of it is others' matter";
    }
}

// As the clouds' own tools have it: a deployment that has nothing to say sets it to nothing.
TEST_F(KmsProviders, a_variable_that_is_empty_is_not_set) {
    constexpr const char* name = "FIELDGATE_TEST_VARIABLE";
    ::setenv(name, "", 1);
    EXPECT_EQ(system_environment().variable(name), std::nullopt);
    ::setenv(name, "x", 1);
    EXPECT_EQ(system_environment().variable(name), "x");
    ::unsetenv(name);
    EXPECT_EQ(system_environment().variable(name), std::nullopt);
}

TEST_F(KmsProviders, nobody_waits_for_a_token_file_that_is_a_pipe) {
    const std::filesystem::path pipe = directory_ / "pipe";
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    auto reading = std::async(std::launch::async, [&] { return system_environment().read_file(pipe); });
    const bool is_done = reading.wait_for(std::chrono::seconds(5)) == std::future_status::ready;
    // Lets it go, whatever it does.
    if (!is_done) ::close(::open(pipe.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    EXPECT_TRUE(is_done);
    const auto contents = reading.get();
    ASSERT_FALSE(contents);
    EXPECT_EQ(contents.error().text, pipe.string() + ": it is no regular file");
    const auto absent = system_environment().read_file(directory_ / "absent");
    EXPECT_THAT(absent.error().text, HasSubstr("No such file"));
}

TEST_F(KmsProviders, names_provider_and_file_of_a_master_key_that_cannot_be_used) {
    struct Case {
        std::filesystem::path file;
        const char* why;
    };
    for (const Case& c : {Case{directory_ / "absent", "No such file"}, Case{write("short", "x"), "96"}}) {
        config_.kms_providers = {provider("local:b", config::LocalKms{c.file})};
        try {
            (void)make_kms_providers(config_, system_environment());
            ADD_FAILURE() << "accepted " << c.file;
        } catch (const std::runtime_error& error) {
            EXPECT_THAT(error.what(), HasSubstr("KMS provider `local:b`: " + c.file.string() + ": "));
            EXPECT_THAT(error.what(), HasSubstr(c.why));
        }
    }
}

TEST_F(KmsProviders, the_systems_environment_has_variables_and_files) {
    const KmsEnvironment environment = system_environment();
    ::setenv("FIELDGATE_TEST_VARIABLE", "value", 1);
    EXPECT_EQ(environment.variable("FIELDGATE_TEST_VARIABLE"), "value");
    ::unsetenv("FIELDGATE_TEST_VARIABLE");
    EXPECT_EQ(environment.variable("FIELDGATE_TEST_VARIABLE"), std::nullopt);
    const auto contents = environment.read_file(write("token", "abc"));
    ASSERT_TRUE(contents);
    EXPECT_EQ(testing::text_of(*contents), "abc");
    const auto absent = environment.read_file(directory_ / "absent");
    ASSERT_FALSE(absent);
    EXPECT_EQ(absent.error().kind, crypto::kms::Failure::Kind::credentials);
    EXPECT_THAT(absent.error().text, HasSubstr((directory_ / "absent").string()));
}

}  // namespace
}  // namespace fieldgate::keys
