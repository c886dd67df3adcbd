#include "config/files.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/config/temporary_directory.hpp"

namespace fieldgate::config {
namespace {

const std::string base64_key(128, 'A');

class Files : public testing::Test {
 protected:
    TemporaryDirectory directory;
};

TEST_F(Files, reads_a_text_file_up_to_its_bound) {
    const auto path = directory.write("f", "hello");
    EXPECT_EQ(read_text_file(path, 5).text, "hello");
    EXPECT_EQ(read_text_file(path, 5).fault, "");
    EXPECT_EQ(read_text_file(path, 4).fault, "is larger than 4 bytes");
    EXPECT_EQ(read_text_file(path, 4).text, "");
}

TEST_F(Files, says_why_a_file_cannot_be_read) {
    EXPECT_EQ(read_text_file(directory.path() / "none", 10).fault, "no such file");
    EXPECT_EQ(read_text_file(directory.path(), 10).fault, "is a directory, not a file");
    EXPECT_EQ(readable_fault(directory.path() / "none"), "no such file");
    EXPECT_EQ(readable_fault(directory.write("f", "")), "");
}

TEST_F(Files, does_not_wait_for_the_writer_of_a_fifo) {
    const auto path = directory.path() / "fifo";
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    EXPECT_EQ(readable_fault(path), "is not a regular file");
    EXPECT_EQ(check_key_file(path).fault, "is not a regular file");
}

TEST_F(Files, says_when_it_may_not_read) {
    const std::filesystem::path path = directory.write("f", "x", 0000);
    const bool is_root = ::geteuid() == 0;  // root may read everything, so it becomes nobody for a moment
    if (is_root) {
        ASSERT_EQ(::seteuid(65534), 0);
    }
    const std::string fault = readable_fault(path);
    if (is_root) {
        ASSERT_EQ(::seteuid(0), 0);
    }
    EXPECT_EQ(fault, "cannot be read: Permission denied");
}

TEST_F(Files, accepts_a_key_raw_or_in_base64) {
    for (const std::string& content :
         {std::string(96, '\0'), std::string(96, '\n'), base64_key, base64_key + "\n"}) {
        const KeyFileCheck check = check_key_file(directory.write("key", content));
        EXPECT_EQ(check.fault, "");
        EXPECT_EQ(check.warning, "");
    }
}

TEST_F(Files, refuses_other_keys) {
    struct Row {
        std::string content;
        const char* fault;
    };
    const Row rows[] = {
        {"", "is empty"},
        {std::string(95, 'k'), "is too short (95 bytes)"},
        {std::string(97, 'k'), "is too long (97 bytes)"},
        {std::string(127, 'A'), "is too long (127 bytes)"},
        {std::string(130, 'A'), "is too long (130 bytes)"},
        {base64_key + "\n\n", "is too long (130 bytes)"},
        {std::string(127, 'A') + "=", "is not base64"},
        {std::string(127, 'A') + "\n", "is not base64"},
        {std::string(128, '-'), "is not base64"},
        {std::string(129, 'A'), "is not base64"},
        {std::string(5000, 'A'), "is too long (5000 bytes)"},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.fault);
        const std::string fault = check_key_file(directory.write("key", row.content)).fault;
        EXPECT_NE(fault.find(row.fault), std::string::npos) << fault;
        EXPECT_NE(fault.find("96 bytes, raw or as 128 characters of base64"), std::string::npos) << fault;
    }
    EXPECT_EQ(check_key_file(directory.path() / "none").fault, "no such file");
    EXPECT_EQ(check_key_file(directory.path()).fault, "is a directory, not a file");
}

TEST_F(Files, warns_about_a_key_that_others_may_read) {
    for (const mode_t mode : {0640u, 0604u, 0660u, 0644u, 0610u})
        EXPECT_NE(check_key_file(directory.write("key", base64_key, mode)).warning, "") << std::oct << mode;
    for (const mode_t mode : {0600u, 0400u})
        EXPECT_EQ(check_key_file(directory.write("key", base64_key, mode)).warning, "") << std::oct << mode;
}

}  // namespace
}  // namespace fieldgate::config
