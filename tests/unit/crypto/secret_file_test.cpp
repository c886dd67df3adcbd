#include "crypto/secret_file.hpp"

#include "tests/unit/crypto/test_bytes.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace fieldgate::crypto {
namespace {

class SecretFile : public testing::Test {
 protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "fieldgate-secret-file-XXXXXX";
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        directory = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(directory); }

    std::string file(const Bytes& contents) {
        std::ofstream(path(), std::ios::binary)
            .write(reinterpret_cast<const char*>(contents.data()),
                   static_cast<std::streamsize>(contents.size()));
        return path();
    }
    std::string path() const { return directory / "key"; }

    std::filesystem::path directory;
};

TEST_F(SecretFile, reads_files_of_every_size_up_to_the_limit) {
    for (const std::size_t size_bytes : {0u, 1u, 96u, 1023u, 1024u, 1025u, 5000u}) {
        const Bytes contents = plaintext_of(size_bytes);
        const auto read = read_secret_file(file(contents), 5000);
        ASSERT_TRUE(read) << size_bytes;
        EXPECT_TRUE(std::ranges::equal(read->expose_secret(), contents)) << size_bytes;
    }
}

TEST_F(SecretFile, refuses_a_file_one_byte_above_the_limit_and_an_endless_one) {
    EXPECT_EQ(read_secret_file(file(plaintext_of(5001)), 5000).error(), Errc::secret_file_size);
    EXPECT_EQ(read_secret_file("/dev/zero").error(), Errc::secret_file_size);
}

TEST_F(SecretFile, reports_what_the_system_says) {
    EXPECT_EQ(read_secret_file(path()).error().value(), ENOENT);
    EXPECT_EQ(read_secret_file(directory).error().value(), EISDIR);
    EXPECT_EQ(write_secret_file(directory / "missing" / "key", SecretBuffer(1)).value(), ENOENT);
}

TEST_F(SecretFile, writes_for_the_owner_only) {
    ASSERT_FALSE(write_secret_file(path(), SecretBuffer(key_pattern(7))));
    struct stat status{};
    ASSERT_EQ(stat(path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777u, 0600u);
    EXPECT_TRUE(std::ranges::equal(read_secret_file(path()).value().expose_secret(), key_pattern(7)));
}

TEST_F(SecretFile, never_overwrites) {
    const Bytes before = plaintext_of(50);
    file(before);
    EXPECT_EQ(write_secret_file(path(), SecretBuffer(key_pattern(7))).value(), EEXIST);
    EXPECT_TRUE(std::ranges::equal(read_secret_file(path()).value().expose_secret(), before));
}

// A limit on file sizes stands for the disk that is full half way.
TEST_F(SecretFile, leaves_no_half_written_key_behind) {
    const rlimit small{100, 100};
    EXPECT_EXIT(
        {
            std::signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &small);
            const error_code ec = write_secret_file(path(), SecretBuffer(5000));
            std::exit(ec.value() == EFBIG ? 7 : 1);
        },
        testing::ExitedWithCode(7), "");
    EXPECT_FALSE(std::filesystem::exists(path()));
}

}  // namespace
}  // namespace fieldgate::crypto
