#include "crypto/secret.hpp"

#include "tests/unit/crypto/test_bytes.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <ostream>
#include <sstream>
#include <string>
#include <type_traits>

namespace fieldgate::crypto {
namespace {

template <typename T>
concept printable = requires(std::ostream& out, const T& value) { out << value; };

static_assert(printable<std::string>);  // the concept can be true
static_assert(!printable<DataKey>);
static_assert(!printable<SecretBuffer>);
static_assert(!std::is_copy_constructible_v<DataKey>);
static_assert(!std::is_copy_assignable_v<DataKey>);
static_assert(!std::is_copy_constructible_v<SecretBuffer>);
static_assert(!std::is_copy_assignable_v<SecretBuffer>);
static_assert(std::is_nothrow_move_constructible_v<DataKey>);
static_assert(!std::is_convertible_v<DataKey, std::span<const std::uint8_t>>);
static_assert(!std::is_convertible_v<std::span<const std::uint8_t, key_bytes>, DataKey>);
// Other lengths do not compile, not even to a conversion at run time.
static_assert(!std::is_constructible_v<DataKey, std::span<const std::uint8_t, 95>>);
static_assert(!std::is_constructible_v<DataKey, std::span<const std::uint8_t, 97>>);
static_assert(!std::is_convertible_v<std::span<const std::uint8_t>, DataKey>);

// The flags of the mapping that holds `address`, as the kernel shows them: "lo" is locked, "dd" is not
// dumped.
std::string mapping_flags(const void* address) {
    std::ifstream maps("/proc/self/smaps");
    const auto wanted = reinterpret_cast<std::uintptr_t>(address);
    bool inside = false;
    for (std::string line; std::getline(maps, line);) {
        std::uintptr_t begin = 0;
        std::uintptr_t end = 0;
        char dash = 0;
        std::istringstream words(line);
        if (words >> std::hex >> begin >> dash >> end && dash == '-')
            inside = wanted >= begin && wanted < end;
        if (inside && line.starts_with("VmFlags:")) return line + " ";
    }
    return {};
}

TEST(Secret, compares_by_content) {
    EXPECT_TRUE(test_key() == test_key());
    EXPECT_FALSE(test_key() == other_key());
    Bytes last_bit = key_pattern(7);
    last_bit.back() ^= 1;
    EXPECT_FALSE(test_key() == key_from(last_bit));
}

// Freed slots stay mapped, so reading one afterwards is defined as far as the system is concerned.
TEST(Secret, is_erased_when_it_dies) {
    const std::uint8_t* where = nullptr;
    {
        const DataKey key = test_key();
        where = key.expose_secret().data();
        ASSERT_FALSE(all_zero(std::span(where, key_bytes)));
    }
    EXPECT_TRUE(all_zero(std::span(where, key_bytes)));
}

TEST(Secret, hands_over_its_only_copy_when_moved) {
    DataKey key = test_key();
    const std::uint8_t* const where = key.expose_secret().data();
    {
        const DataKey moved(std::move(key));
        EXPECT_EQ(moved.expose_secret().data(), where);
        EXPECT_TRUE(moved == test_key());
    }
    EXPECT_TRUE(all_zero(std::span(where, key_bytes)));
}

TEST(Secret, erases_what_a_move_assignment_replaces) {
    DataKey key = test_key();
    const std::uint8_t* const replaced = key.expose_secret().data();
    key = other_key();
    EXPECT_TRUE(key == other_key());
    EXPECT_TRUE(all_zero(std::span(replaced, key_bytes)));
}

TEST(Secret, of_a_moved_from_key_is_an_assertion) {
    DataKey key = test_key();
    const DataKey moved(std::move(key));
    EXPECT_DEATH((void)key.expose_secret(), "");
}

TEST(Secret, lives_on_pages_that_are_neither_dumped_nor_swapped) {
    const DataKey key = test_key();
    const SecretBuffer large(100'000);
    for (const void* address : {static_cast<const void*>(key.expose_secret().data()),
                                static_cast<const void*>(large.expose_secret().data())}) {
        const std::string flags = mapping_flags(address);
        EXPECT_NE(flags.find(" dd "), std::string::npos) << flags;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they replace mlock by nothing
        EXPECT_EQ(flags.find(" lo ") != std::string::npos, every_page_is_locked()) << flags;
#endif
    }
}

TEST(Secret, many_keys_share_few_pages_and_do_not_overlap) {
    std::vector<DataKey> keys;
    for (std::size_t i = 0; i < 1000; ++i)
        keys.push_back(key_from(key_pattern(static_cast<std::uint8_t>(i))));
    for (std::size_t i = 0; i < keys.size(); ++i) {
        EXPECT_TRUE(keys[i] == key_from(key_pattern(static_cast<std::uint8_t>(i))));
    }
}

TEST(SecretBuffer, starts_zeroed_also_in_memory_used_before) {
    {
        const DataKey key = test_key();
    }
    const SecretBuffer buffer(key_bytes);
    EXPECT_EQ(buffer.size(), key_bytes);
    EXPECT_TRUE(all_zero(buffer.expose_secret()));
}

TEST(SecretBuffer, keeps_its_bytes_while_growing) {
    SecretBuffer buffer;
    Bytes expected;
    for (std::size_t step = 1; step < 400; step += 7) {
        const Bytes piece = plaintext_of(step);
        buffer.append(piece);
        expected.insert(expected.end(), piece.begin(), piece.end());
    }
    EXPECT_TRUE(std::ranges::equal(buffer.expose_secret(), expected));
}

TEST(SecretBuffer, erases_the_memory_it_grew_out_of) {
    SecretBuffer buffer(key_pattern(1));
    const std::uint8_t* const before = buffer.expose_secret().data();
    buffer.append(plaintext_of(500));
    ASSERT_NE(buffer.expose_secret().data(), before);
    EXPECT_TRUE(all_zero(std::span(before, key_bytes)));
}

TEST(SecretBuffer, erases_what_resize_cuts_off) {
    SecretBuffer buffer(key_pattern(1));
    const std::uint8_t* const data = buffer.expose_secret().data();
    buffer.resize(10);
    EXPECT_TRUE(all_zero(std::span(data + 10, key_bytes - 10)));
    buffer.resize(20);
    EXPECT_EQ(buffer.expose_secret().data(), data);
    EXPECT_TRUE(all_zero(buffer.expose_secret().subspan(10)));
    EXPECT_EQ(buffer.expose_secret()[9], key_pattern(1)[9]);
}

TEST(SecretBuffer, is_erased_by_clear_and_empty_after_a_move) {
    SecretBuffer buffer(key_pattern(1));
    const std::uint8_t* const data = buffer.expose_secret().data();
    SecretBuffer moved(std::move(buffer));
    EXPECT_TRUE(buffer.empty());  // NOLINT(bugprone-use-after-move): that is the question
    EXPECT_EQ(moved.expose_secret().data(), data);
    moved.clear();
    EXPECT_TRUE(moved.empty());
    EXPECT_TRUE(all_zero(std::span(data, key_bytes)));
}

TEST(SecretBuffer, compares_by_size_and_content) {
    const SecretBuffer a(key_pattern(1));
    EXPECT_TRUE(a == SecretBuffer(key_pattern(1)));
    EXPECT_FALSE(a == SecretBuffer(key_pattern(2)));
    EXPECT_FALSE(a == SecretBuffer(std::span<const std::uint8_t>(key_pattern(1)).first(95)));
    EXPECT_TRUE(SecretBuffer() == SecretBuffer());
}

}  // namespace
}  // namespace fieldgate::crypto
