#include "crypto/random.hpp"

#include "tests/unit/crypto/test_bytes.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mutex>
#include <set>
#include <thread>

namespace fieldgate::crypto {
namespace {

TEST(SystemRandom, fills_every_byte_of_any_size) {
    SystemRandom random;
    for (const std::size_t size_bytes : {1u, 15u, 16u, 17u, 96u, 1000u, 10'000u}) {
        // A byte that is never written stays 0 in all of 64 tries; a written one does with probability
        // 2^-512.
        Bytes seen(size_bytes);
        for (int i = 0; i < 64; ++i) {
            Bytes bytes(size_bytes);
            ASSERT_FALSE(random.fill(bytes));
            for (std::size_t at = 0; at < size_bytes; ++at) seen[at] |= bytes[at];
        }
        EXPECT_EQ(std::ranges::count(seen, 0), 0) << size_bytes;
    }
    EXPECT_FALSE(random.fill({}));
}

TEST(SystemRandom, repeats_no_iv_within_and_between_threads) {
    SystemRandom random;
    std::mutex mutex;
    std::set<Bytes> seen;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            std::vector<Bytes> mine;
            for (int i = 0; i < 5000; ++i) {
                mine.emplace_back(16);
                ASSERT_FALSE(random.fill(mine.back()));
            }
            const std::lock_guard guard(mutex);
            seen.insert(mine.begin(), mine.end());
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(seen.size(), 4u * 5000u);
}

// IVs are handed out of a buffer; a child process that shared its contents would repeat them.
TEST(SystemRandom, repeats_no_iv_in_a_forked_child) {
    SystemRandom random;
    Bytes warm_up(16);
    ASSERT_FALSE(random.fill(warm_up));
    int channel[2];
    ASSERT_EQ(pipe(channel), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        Bytes bytes(16);
        const bool done = !random.fill(bytes) && write(channel[1], bytes.data(), bytes.size()) == 16;
        _exit(done ? 0 : 1);
    }
    Bytes childs(16);
    ASSERT_EQ(read(channel[0], childs.data(), childs.size()), 16);
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    Bytes ours(16);
    ASSERT_FALSE(random.fill(ours));
    EXPECT_NE(childs, ours);
    close(channel[0]);
    close(channel[1]);
}

}  // namespace
}  // namespace fieldgate::crypto
