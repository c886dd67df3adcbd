#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "crypto/kms/exchange.hpp"

namespace fieldgate::net {

// Reads one reply of a key manager from the bytes of a connection; knows nothing about sockets:
//
//     reader.prepare()   -> room to read into
//     reader.commit(n)   <- n bytes arrived
//     reader.end()       <- no more will, the peer ended its side properly
//
// Everything is bounded: header fields by header_bytes_max, the body by crypto::kms::reply_bytes_max, what
// there is around it (chunks, replies of 1xx) by twice the two together. Bytes are kept in erasing memory
// only: a reply may hold a data key in clear.
class KmsReplyReader {
 public:
    static constexpr std::uint32_t header_bytes_max = 16 * 1024;

    explicit KmsReplyReader(crypto::kms::Protocol protocol);
    ~KmsReplyReader();
    KmsReplyReader(const KmsReplyReader&) = delete;
    KmsReplyReader& operator=(const KmsReplyReader&) = delete;

    enum class State : std::uint8_t { more, complete, failed };

    std::span<std::uint8_t> prepare();  // never empty while `more` is wanted
    State commit(std::size_t byte_count);
    State end();

    bool has_begun() const;  // at least one byte has come
    // Once complete: the connection can carry another exchange. Not if the peer says otherwise, and not if
    // bytes came that nobody asked for.
    bool may_continue() const;
    crypto::kms::Reply take();             // once complete
    crypto::kms::Failure failure() const;  // once failed: "not_http", "reply_too_large", "truncated", ...

 private:
    class Framing;
    class Http;
    class Kmip;
    std::unique_ptr<Framing> framing_;
    crypto::SecretBuffer buffer_;
    std::size_t begin_ = 0;  // of what has arrived and was not taken
    std::size_t end_ = 0;
    std::size_t total_bytes_ = 0;
    crypto::kms::Failure failure_;
};

}  // namespace fieldgate::net
