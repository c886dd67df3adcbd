#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace fieldgate::config {

// A whole regular file, or why it could not be read ("no such file", ...). Never blocks on a FIFO.
struct FileText {
    std::string text;
    std::string fault;  // empty: read
};
FileText read_text_file(const std::filesystem::path& path, std::size_t bytes_max);

// Empty if `path` is a regular file that this process may read, else why not.
std::string readable_fault(const std::filesystem::path& path);

// A local master key: 96 bytes, or their base64 with at most one line end. Bytes are looked at in a buffer
// that is erased, and not kept.
struct KeyFileCheck {
    std::string fault;    // empty: usable
    std::string warning;  // its mode lets others read it
};
KeyFileCheck check_key_file(const std::filesystem::path& path);

}  // namespace fieldgate::config
