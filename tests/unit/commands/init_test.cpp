#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/unit/commands/support.hpp"

namespace fieldgate::commands {
namespace {

using testing::Initialised;
using testing::Printed;
using testing::read_file;
using testing::TemporaryDirectory;
using testing::write_file;

std::unique_ptr<KeyManagers> no_key_managers(const config::Config&) {
    return nullptr;
}

TEST(Init, writes_a_configuration_a_schema_and_a_master_key_of_mode_0600) {
    TemporaryDirectory parent;
    const auto directory = parent.path() / "new" / "clinic";
    Printed printed;
    EXPECT_EQ(init(directory, printed.console()), exit_ok) << printed.err.str();
    EXPECT_TRUE(std::filesystem::exists(directory / "fieldgate.yaml"));
    EXPECT_TRUE(std::filesystem::exists(directory / "patients.schema.json"));
    EXPECT_EQ(std::filesystem::file_size(directory / "master-key.bin"), 96u);
    struct stat status{};
    ASSERT_EQ(::stat((directory / "master-key.bin").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    EXPECT_NE(printed.out.str().find("fieldgate keys create -c " + (directory / "fieldgate.yaml").string() +
                                     " --alt-name clinic"),
              std::string::npos);
}

TEST(Init, writes_what_check_accepts_without_a_warning) {
    Initialised clinic;
    Printed printed;
    EXPECT_EQ(check(clinic.file, false, &no_key_managers, printed.console()), exit_ok);
    EXPECT_EQ(printed.err.str(), "");
}

TEST(Init, makes_another_master_key_each_time) {
    const Initialised first;
    const Initialised second;
    EXPECT_NE(read_file(first.directory.path() / "master-key.bin"),
              read_file(second.directory.path() / "master-key.bin"));
}

TEST(Init, overwrites_nothing_and_writes_nothing_beside_it) {
    for (const char* name : {"fieldgate.yaml", "patients.schema.json", "master-key.bin"}) {
        SCOPED_TRACE(name);
        TemporaryDirectory directory;
        write_file(directory.path() / name, "mine");
        Printed printed;
        EXPECT_EQ(init(directory.path(), printed.console()), exit_configuration);
        EXPECT_NE(printed.err.str().find(std::string(name) + " exists already"), std::string::npos);
        EXPECT_EQ(read_file(directory.path() / name), "mine");
        EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.path()), {}), 1);
    }
}

TEST(Init, does_not_write_through_a_dangling_link) {
    TemporaryDirectory directory;
    std::filesystem::create_symlink(directory.path() / "elsewhere", directory.path() / "fieldgate.yaml");
    Printed printed;
    EXPECT_EQ(init(directory.path(), printed.console()), exit_configuration);
    EXPECT_FALSE(std::filesystem::exists(directory.path() / "elsewhere"));
}

TEST(Init, names_a_directory_that_cannot_be_made) {
    TemporaryDirectory directory;
    write_file(directory.path() / "file", "x");
    Printed printed;
    EXPECT_EQ(init(directory.path() / "file" / "sub", printed.console()), exit_configuration);
    EXPECT_NE(printed.err.str().find((directory.path() / "file" / "sub").string()), std::string::npos);
}

}  // namespace
}  // namespace fieldgate::commands
