#include "crypto/secret_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <span>
#include <utility>

namespace fieldgate::crypto {
namespace {

class Descriptor {
 public:
    explicit Descriptor(int value) : value_(value) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (value_ >= 0) ::close(value_);
    }
    [[nodiscard]] int get() const noexcept { return value_; }
    [[nodiscard]] int release() noexcept { return std::exchange(value_, -1); }

 private:
    int value_;
};

error_code last_error() {
    return {errno, boost::system::system_category()};
}

error_code write_all(int file, std::span<const std::uint8_t> bytes) {
    while (!bytes.empty()) {
        const ssize_t written_bytes = ::write(file, bytes.data(), bytes.size());
        if (written_bytes < 0 && errno == EINTR) continue;
        if (written_bytes < 0) return last_error();
        bytes = bytes.subspan(static_cast<std::size_t>(written_bytes));
    }
    if (::fsync(file) != 0) return last_error();
    return {};
}

}  // namespace

result<SecretBuffer> read_secret_file(const std::string& path, std::size_t file_bytes_max) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) return last_error();

    SecretBuffer contents;
    constexpr std::size_t chunk_bytes = 1024;
    for (;;) {
        const std::size_t before_bytes = contents.size();
        contents.resize(before_bytes + chunk_bytes);
        ssize_t read_bytes = 0;
        do {
            read_bytes = ::read(file.get(), contents.writable().data() + before_bytes, chunk_bytes);
        } while (read_bytes < 0 && errno == EINTR);
        if (read_bytes < 0) return last_error();
        contents.resize(before_bytes + static_cast<std::size_t>(read_bytes));
        if (contents.size() > file_bytes_max) return Errc::secret_file_size;
        if (read_bytes == 0) return contents;
    }
}

error_code write_secret_file(const std::string& path, const SecretBuffer& contents) {
    Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR));
    if (file.get() < 0) return last_error();
    error_code ec = write_all(file.get(), contents.expose_secret());
    // Some file systems report a full disk only here.
    if (::close(file.release()) != 0 && !ec) ec = last_error();
    if (ec) ::unlink(path.c_str());
    return ec;
}

}  // namespace fieldgate::crypto
