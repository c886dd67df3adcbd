#include "config/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "config/scalars.hpp"

namespace fieldgate::config {
namespace {

constexpr std::size_t key_bytes = 96;
constexpr std::size_t key_base64_characters = 128;

// A descriptor of a regular file.
class RegularFile {
 public:
    explicit RegularFile(const std::filesystem::path& path) {
        // O_NONBLOCK: opening a FIFO must not wait for a writer.
        descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (descriptor_ < 0) {
            fault_ =
                errno == ENOENT ? "no such file" : std::string("cannot be read: ") + std::strerror(errno);
        } else if (::fstat(descriptor_, &status_) != 0) {
            fault_ = std::string("cannot be read: ") + std::strerror(errno);
        } else if (!S_ISREG(status_.st_mode)) {
            fault_ = S_ISDIR(status_.st_mode) ? "is a directory, not a file" : "is not a regular file";
        }
    }
    ~RegularFile() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    RegularFile(const RegularFile&) = delete;
    RegularFile& operator=(const RegularFile&) = delete;

    const std::string& fault() const { return fault_; }
    const struct stat& status() const { return status_; }

    // Bytes read; less than `size` at the end of the file; nothing on an error.
    std::size_t read(char* buffer, std::size_t size) {
        std::size_t total = 0;
        while (total < size) {
            const ssize_t count = ::read(descriptor_, buffer + total, size - total);
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) {
                fault_ = std::string("cannot be read: ") + std::strerror(errno);
                return 0;
            }
            if (count == 0) break;
            total += static_cast<std::size_t>(count);
        }
        return total;
    }

 private:
    int descriptor_ = -1;
    struct stat status_{};
    std::string fault_;
};

bool is_base64_key(std::string_view text) {
    if (text.size() == key_base64_characters + 1 && text.back() == '\n') text.remove_suffix(1);
    if (text.size() != key_base64_characters) return false;
    for (const char c : text)
        if (!is_base64_character(c)) return false;
    return true;
}

}  // namespace

FileText read_text_file(const std::filesystem::path& path, std::size_t bytes_max) {
    RegularFile file(path);
    if (!file.fault().empty()) return {{}, file.fault()};
    FileText result;
    // One byte more than allowed, so that a file that grows under us is noticed as well.
    result.text.resize(bytes_max + 1);
    result.text.resize(file.read(result.text.data(), result.text.size()));
    if (!file.fault().empty()) return {{}, file.fault()};
    if (result.text.size() > bytes_max) return {{}, "is larger than " + std::to_string(bytes_max) + " bytes"};
    result.text.shrink_to_fit();
    return result;
}

std::string readable_fault(const std::filesystem::path& path) {
    return RegularFile(path).fault();
}

KeyFileCheck check_key_file(const std::filesystem::path& path) {
    RegularFile file(path);
    if (!file.fault().empty()) return {file.fault(), {}};
    char buffer[key_base64_characters + 2];
    const std::size_t size = file.read(buffer, sizeof buffer);
    const bool is_base64 = is_base64_key({buffer, size});
    ::explicit_bzero(buffer, sizeof buffer);
    if (!file.fault().empty()) return {file.fault(), {}};

    KeyFileCheck check;
    const std::string wanted = "a local master key is 96 bytes, raw or as 128 characters of base64";
    const auto whole_size = static_cast<std::size_t>(file.status().st_size);
    if (size == 0)
        check.fault = "is empty: " + wanted;
    else if (whole_size == key_base64_characters || whole_size == key_base64_characters + 1)
        check.fault = is_base64 ? "" : "has the size of a base64 key but is not base64: " + wanted;
    else if (whole_size != key_bytes)
        check.fault = std::string("is too ") + (whole_size < key_bytes ? "short" : "long") + " (" +
                      std::to_string(whole_size) + " bytes): " + wanted;
    if ((file.status().st_mode & 077u) != 0)
        check.warning = "can be read or written by others than its owner: chmod 600 it";
    return check;
}

}  // namespace fieldgate::config
