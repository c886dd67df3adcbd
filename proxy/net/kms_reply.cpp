#include "proxy/net/kms_reply.hpp"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/assert.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/endian/conversion.hpp>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

namespace fieldgate::net {
namespace {

namespace http = boost::beast::http;
using boost::system::error_code;
using crypto::kms::Failure;
using crypto::kms::Reply;
using crypto::kms::reply_bytes_max;

Failure too_large() {
    return {.kind = Failure::Kind::malformed,
            .code = "reply_too_large",
            .text = "its reply is larger than any that a key manager has"};
}

Failure truncated() {
    return {.kind = Failure::Kind::unavailable,
            .code = "truncated",
            .text = "it closed the connection within its reply"};
}

Failure closed() {
    return {.kind = Failure::Kind::unavailable,
            .code = "closed",
            .text = "it closed the connection without a reply"};
}

std::optional<std::chrono::seconds> seconds_of(std::string_view text) {
    std::uint32_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return std::chrono::seconds(seconds);
}

// Beast's parser with the body in erasing memory. Its own limits are the ones of KmsReplyReader.
class Parser final : public http::basic_parser<false> {
 public:
    Parser() {
        eager(true);  // the body along with the header
        header_limit(KmsReplyReader::header_bytes_max);
        body_limit(reply_bytes_max);
    }
    Reply reply;

 private:
    using Text = boost::beast::string_view;

    void on_request_impl(http::verb, Text, Text, int, error_code&) override {}
    void on_response_impl(int status, Text, int, error_code&) override { reply.status = status; }
    void on_field_impl(http::field name, Text, Text value, error_code&) override {
        if (name == http::field::retry_after) reply.retry_after = seconds_of({value.data(), value.size()});
    }
    void on_header_impl(error_code&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
    std::size_t on_body_impl(Text body, error_code&) override { return append(body); }
    void on_chunk_header_impl(std::uint64_t, Text, error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, Text body, error_code&) override { return append(body); }
    void on_finish_impl(error_code&) override {}

    std::size_t append(Text body) {
        reply.body.append({reinterpret_cast<const std::uint8_t*>(body.data()), body.size()});
        return body.size();
    }
};

}  // namespace

// How replies are cut out of the bytes. A failure ends the reading.
class KmsReplyReader::Framing {
 public:
    virtual ~Framing() = default;
    // Takes what it can use and says how much that was.
    virtual std::size_t take(std::span<const std::uint8_t> bytes, std::optional<Failure>& failure) = 0;
    virtual std::optional<Failure> end() { return truncated(); }
    virtual bool is_complete() const = 0;
    virtual bool may_continue() const = 0;
    virtual Reply reply() = 0;
};

class KmsReplyReader::Http final : public Framing {
 public:
    Http() { parser_.emplace(); }

    std::size_t take(std::span<const std::uint8_t> bytes, std::optional<Failure>& failure) override {
        error_code ec;
        const std::size_t taken = parser_->put(boost::asio::buffer(bytes.data(), bytes.size()), ec);
        if (ec == http::error::need_more) return taken;
        if (ec == http::error::body_limit || ec == http::error::header_limit) {
            failure = too_large();
        } else if (ec) {
            failure = {.kind = Failure::Kind::malformed,
                       .code = "not_http",
                       .text = "its reply is no HTTP: " + ec.message()};
        } else if (parser_->is_done() && parser_->reply.status / 100 == 1) {
            parser_.emplace();  // "100 Continue": the reply proper follows
        }
        return taken;
    }
    std::optional<Failure> end() override {
        if (!parser_->got_some()) return truncated();  // or Beast would abort the process
        error_code ec;
        parser_->put_eof(ec);  // the end of the body, if nothing else says where it is
        if (ec || !parser_->is_done()) return truncated();
        return std::nullopt;
    }
    bool is_complete() const override { return parser_->is_done(); }
    bool may_continue() const override { return parser_->keep_alive(); }
    Reply reply() override { return std::move(parser_->reply); }

 private:
    std::optional<Parser> parser_;
};

// One TTLV structure: tag (3 bytes), type, length (4 bytes, big-endian), value (KMIP 1.0, 9.1).
class KmsReplyReader::Kmip final : public Framing {
 public:
    std::size_t take(std::span<const std::uint8_t> bytes, std::optional<Failure>& failure) override {
        std::size_t taken = 0;
        if (message_.size() < header_bytes) taken = append(bytes, header_bytes);
        if (message_.size() < header_bytes) return taken;
        const std::uint8_t* const header = message_.writable().data();
        // "Response Message", a structure.
        if (boost::endian::load_big_u32(header) != 0x42007B01) {
            failure = {
                .kind = Failure::Kind::malformed, .code = "not_kmip", .text = "its reply is no KMIP message"};
            return taken;
        }
        const std::uint32_t length = boost::endian::load_big_u32(header + 4);
        if (length > reply_bytes_max - header_bytes) {
            failure = too_large();
            return taken;
        }
        message_bytes_ = header_bytes + length;
        return taken + append(bytes.subspan(taken), message_bytes_);
    }
    bool is_complete() const override { return message_bytes_ != 0 && message_.size() == message_bytes_; }
    bool may_continue() const override { return true; }
    Reply reply() override { return {200, std::nullopt, std::move(message_)}; }

 private:
    static constexpr std::size_t header_bytes = 8;

    std::size_t append(std::span<const std::uint8_t> bytes, std::size_t up_to) {
        const auto part = bytes.first(std::min(bytes.size(), up_to - message_.size()));
        message_.append(part);
        return part.size();
    }

    crypto::SecretBuffer message_;
    std::size_t message_bytes_ = 0;  // 0: not known yet
};

KmsReplyReader::KmsReplyReader(crypto::kms::Protocol protocol)
    : buffer_(header_bytes_max + 4096) {  // a header that is too large fits, and the parser says so
    if (protocol == crypto::kms::Protocol::http) {
        framing_ = std::make_unique<Http>();
    } else {
        framing_ = std::make_unique<Kmip>();
    }
}

KmsReplyReader::~KmsReplyReader() = default;

std::span<std::uint8_t> KmsReplyReader::prepare() {
    const auto bytes = buffer_.writable();
    if (begin_ != 0) {
        std::memmove(bytes.data(), bytes.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    return bytes.subspan(end_);
}

KmsReplyReader::State KmsReplyReader::commit(std::size_t byte_count) {
    BOOST_ASSERT(byte_count <= buffer_.size() - end_);
    end_ += byte_count;
    total_bytes_ += byte_count;
    std::optional<Failure> failure;
    while (begin_ != end_ && !framing_->is_complete()) {
        const std::size_t taken = framing_->take(buffer_.writable().subspan(begin_, end_ - begin_), failure);
        begin_ += taken;
        if (failure || taken == 0) break;
    }
    if (!failure && framing_->is_complete()) return State::complete;
    // Room for the next read is what keeps the reading going.
    const bool is_full = begin_ == 0 && end_ == buffer_.size();
    if (!failure && (is_full || total_bytes_ > 2 * (reply_bytes_max + header_bytes_max))) {
        failure = too_large();
    }
    if (!failure) return State::more;
    failure_ = std::move(*failure);
    return State::failed;
}

KmsReplyReader::State KmsReplyReader::end() {
    auto failure = has_begun() ? framing_->end() : std::optional<Failure>(closed());
    if (!failure) return State::complete;
    failure_ = std::move(*failure);
    return State::failed;
}

bool KmsReplyReader::has_begun() const {
    return total_bytes_ != 0;
}

bool KmsReplyReader::may_continue() const {
    return begin_ == end_ && framing_->may_continue();
}

Reply KmsReplyReader::take() {
    return framing_->reply();
}

Failure KmsReplyReader::failure() const {
    return failure_;
}

}  // namespace fieldgate::net
