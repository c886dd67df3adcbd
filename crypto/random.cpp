#include "crypto/random.hpp"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <sys/mman.h>

#include <algorithm>
#include <climits>
#include <cstddef>

namespace fieldgate::crypto {
namespace {

// An IV or a UUID. Longer requests are for keys and go to OpenSSL's private generator.
constexpr std::size_t short_request_bytes = 16;

// OpenSSL's generator takes about as long for 16 bytes as the rest of sealing a small value, so a thread
// draws the bytes of 240 IVs at once. The page is zero in a forked child (MADV_WIPEONFORK), which reads as
// "nothing left": parent and child never hand out the same bytes. Bytes are erased as they are handed out.
class ThreadBuffer {
 public:
    ThreadBuffer() {
        void* const page =
            mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) return;
        if (madvise(page, sizeof(Page), MADV_WIPEONFORK) != 0 ||
            madvise(page, sizeof(Page), MADV_DONTDUMP) != 0) {
            munmap(page, sizeof(Page));
            return;
        }
        page_ = static_cast<Page*>(page);
    }
    ThreadBuffer(const ThreadBuffer&) = delete;
    ThreadBuffer& operator=(const ThreadBuffer&) = delete;
    ~ThreadBuffer() {
        if (page_ == nullptr) return;
        OPENSSL_cleanse(page_, sizeof(Page));
        munmap(page_, sizeof(Page));
    }

    // False if there are no bytes to be had, or if the kernel lacks MADV_WIPEONFORK (before 4.14).
    bool take(std::span<std::uint8_t> out) {
        if (page_ == nullptr) return false;
        if (page_->left_bytes < out.size()) {
            if (RAND_bytes(page_->bytes, sizeof page_->bytes) != 1) return false;
            page_->left_bytes = sizeof page_->bytes;
        }
        page_->left_bytes -= out.size();
        std::uint8_t* const taken = page_->bytes + page_->left_bytes;
        std::copy_n(taken, out.size(), out.begin());
        OPENSSL_cleanse(taken, out.size());
        return true;
    }

 private:
    struct Page {
        std::size_t left_bytes;
        std::uint8_t bytes[240 * short_request_bytes];
    };

    Page* page_ = nullptr;
};

}  // namespace

error_code SystemRandom::fill(std::span<std::uint8_t> out) {
    if (out.size() <= short_request_bytes) {
        thread_local ThreadBuffer buffer;
        if (buffer.take(out)) return {};
    }
    if (out.size() > INT_MAX) return Errc::random_failed;
    if (RAND_priv_bytes(out.data(), static_cast<int>(out.size())) != 1) return Errc::random_failed;
    return {};
}

}  // namespace fieldgate::crypto
