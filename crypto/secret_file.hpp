#pragma once

#include "crypto/error.hpp"
#include "crypto/secret.hpp"

#include <cstddef>
#include <string>

namespace fieldgate::crypto {

// Files that hold keys or passwords, without the copies that streams and strings leave behind. Blocking: for
// start-up and reloads. Errors of the operating system come back as they are (system category).

// The whole file. Errc::secret_file_size for more than `file_bytes_max` bytes, so that a wrong path such as a
// device ends in an error and not in all memory.
[[nodiscard]] result<SecretBuffer> read_secret_file(const std::string& path,
                                                    std::size_t file_bytes_max = 65'536);

// Creates `path` with mode 0600 and writes it through to the disk. An existing file is an error (EEXIST): a
// master key that is overwritten takes all its data with it. On any other error nothing is left behind.
[[nodiscard]] error_code write_secret_file(const std::string& path, const SecretBuffer& contents);

}  // namespace fieldgate::crypto
