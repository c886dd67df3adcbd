#include "proxy/keys/kms_operations.hpp"

#include <algorithm>

namespace fieldgate::keys {

void trim_end(crypto::SecretBuffer& text) {
    const auto bytes = text.writable();
    std::size_t size_bytes = bytes.size();
    while (size_bytes > 0 &&
           (bytes[size_bytes - 1] == '\n' || bytes[size_bytes - 1] == '\r' || bytes[size_bytes - 1] == ' '))
        --size_bytes;
    text.resize(size_bytes);
}

UnixTime login_due(UnixTime now, UnixTime ends) {
    constexpr std::chrono::seconds margin(60);
    const std::chrono::seconds lifetime = ends - now;
    return now + std::max({lifetime - margin, lifetime / 2, std::chrono::seconds(1)});
}

}  // namespace fieldgate::keys
