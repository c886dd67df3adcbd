#include "proxy/cluster/checked_stream.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>
#include <new>
#include <optional>
#include <vector>

#include "proxy/cluster/reply_check.hpp"
#include "proxy/wire/frame_reader.hpp"

// Exported by libmongoc and in none of its headers: how it connects by default (`user_data` is a client), and
// what its own tests set for a pool. Without them this does not link, rather than go unchecked.
extern "C" {
mongoc_stream_t* mongoc_client_default_stream_initiator(const mongoc_uri_t* uri,
                                                        const mongoc_host_list_t* host, void* user_data,
                                                        bson_error_t* error);
// NOLINTNEXTLINE(readability-identifier-naming): libmongoc's name
void _mongoc_client_pool_set_stream_initiator(mongoc_client_pool_t* pool, mongoc_stream_initiator_t initiator,
                                              void* user_data);
}

namespace fieldgate::cluster {
namespace {

using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// libmongoc tells its kinds of stream apart by numbers below 10.
constexpr int checked_stream_type = 1000;
constexpr int buffered_stream_type = 3;
// How long a read may overlook that its pool is about to end.
constexpr milliseconds stop_interval{100};
constexpr std::chrono::seconds warning_interval{5};

// A monitor that meets such a server does so again every second.
void warn(const error_code& cause) {
    static std::atomic<Clock::rep> next_warning{0};
    const Clock::rep now = Clock::now().time_since_epoch().count();
    Clock::rep next = next_warning.load(std::memory_order_relaxed);
    if (now < next) return;
    if (!next_warning.compare_exchange_strong(next, now + Clock::duration(warning_interval).count())) return;
    mongoc_log(MONGOC_LOG_LEVEL_WARNING, "fieldgate", "a server sent what is no sound reply (%s): %s",
               cause.message().c_str(), "its connection is closed");
}

// Follows what is written to know which opcode is to answer it.
class RequestTracker {
 public:
    wire::Opcode opcode() const { return opcode_; }

    void written(const mongoc_iovec_t* vectors, std::size_t count, std::size_t byte_count) {
        for (std::size_t i = 0; i < count && byte_count != 0; ++i) {
            const auto* const data = static_cast<const std::uint8_t*>(vectors[i].iov_base);
            const wire::Bytes bytes(data, std::min(vectors[i].iov_len, byte_count));
            byte_count -= bytes.size();
            follow(bytes);
        }
    }

 private:
    void follow(wire::Bytes bytes) {
        while (!bytes.empty()) {
            if (left_bytes_ != 0) {
                const std::size_t skipped = std::min(left_bytes_, bytes.size());
                left_bytes_ -= skipped;
                bytes = bytes.subspan(skipped);
                continue;
            }
            const std::size_t taken = std::min(header_.size() - header_bytes_, bytes.size());
            std::memcpy(header_.data() + header_bytes_, bytes.data(), taken);
            header_bytes_ += taken;
            bytes = bytes.subspan(taken);
            if (header_bytes_ < header_.size()) return;
            header_bytes_ = 0;
            const wire::Header header = wire::Header::parse(header_);
            opcode_ = header.opcode;
            left_bytes_ = static_cast<std::size_t>(header.message_bytes) - header_.size();
        }
    }

    wire::Opcode opcode_{};
    std::array<std::uint8_t, wire::header_bytes> header_{};
    std::size_t header_bytes_ = 0;
    std::size_t left_bytes_ = 0;
};

// A stream of libmongoc's that hands on whole replies, and only those that passed. Used by one thread at a
// time.
class CheckedStream final : public mongoc_stream_t {
 public:
    CheckedStream(mongoc_stream_t* whole, const std::atomic<bool>* stopping)
        : mongoc_stream_t{},
          whole_(whole),
          // Read below libmongoc's own buffer, which waits until it can fill all that it is asked for.
          inner_(whole->type == buffered_stream_type ? mongoc_stream_get_base_stream(whole) : whole),
          stopping_(stopping) {
        type = checked_stream_type;
        destroy = [](mongoc_stream_t* stream) {
            mongoc_stream_destroy(self(stream).whole_);
            delete &self(stream);
        };
        failed = [](mongoc_stream_t* stream) {
            mongoc_stream_failed(self(stream).whole_);
            delete &self(stream);
        };
        close = [](mongoc_stream_t* stream) { return mongoc_stream_close(self(stream).whole_); };
        flush = [](mongoc_stream_t* stream) { return mongoc_stream_flush(self(stream).whole_); };
        writev = [](mongoc_stream_t* stream, mongoc_iovec_t* vectors, std::size_t count,
                    std::int32_t timeout_ms) { return self(stream).write(vectors, count, timeout_ms); };
        readv = [](mongoc_stream_t* stream, mongoc_iovec_t* vectors, std::size_t count, std::size_t min_bytes,
                   std::int32_t timeout_ms) {
            return self(stream).read(vectors, count, min_bytes, timeout_ms);
        };
        setsockopt = [](mongoc_stream_t* stream, int level, int name, void* value, mongoc_socklen_t size) {
            return mongoc_stream_setsockopt(self(stream).inner_, level, name, value, size);
        };
        check_closed = [](mongoc_stream_t* stream) {
            return self(stream).over_ || mongoc_stream_check_closed(self(stream).inner_);
        };
        poll = &poll_all;
        timed_out = [](mongoc_stream_t* stream) { return self(stream).timed_out_; };
        should_retry = [](mongoc_stream_t* stream) { return self(stream).again_; };
        // get_base_stream stays null: whoever polls must ask this stream, which may hold bytes already.
    }

 private:
    using Deadline = std::optional<Clock::time_point>;

    static CheckedStream& self(mongoc_stream_t* stream) { return *static_cast<CheckedStream*>(stream); }

    ssize_t write(mongoc_iovec_t* vectors, std::size_t count, std::int32_t timeout_ms) {
        try {
            const std::vector<mongoc_iovec_t> given(vectors, vectors + count);  // which may be changed
            const ssize_t result = mongoc_stream_writev(inner_, vectors, count, timeout_ms);
            note_state(result <= 0);
            if (result > 0) tracker_.written(given.data(), given.size(), static_cast<std::size_t>(result));
            return result;
        } catch (const std::bad_alloc&) {
            fail(ENOMEM);
            return -1;
        }
    }

    // As libmongoc's streams do: at least `min_bytes` or an error; with a time-out of 0 what is there.
    ssize_t read(mongoc_iovec_t* vectors, std::size_t count, std::size_t min_bytes, std::int32_t timeout_ms) {
        Deadline deadline;
        if (timeout_ms < 0) deadline = Clock::time_point::max();
        if (timeout_ms > 0) deadline = Clock::now() + milliseconds(timeout_ms);
        std::size_t copied = 0;
        for (std::size_t i = 0, at = 0; i < count;) {
            if (at == vectors[i].iov_len) {
                ++i;
                at = 0;
                continue;
            }
            if (checked_.empty() && copied != 0 && copied >= min_bytes) break;
            if (!fill(deadline)) {
                if (copied != 0 && copied >= min_bytes) break;
                return min_bytes == 0 && (again_ || closed_) ? 0 : -1;
            }
            const std::size_t taken = std::min(vectors[i].iov_len - at, checked_.size());
            std::memcpy(static_cast<std::uint8_t*>(vectors[i].iov_base) + at, checked_.data(), taken);
            checked_ = checked_.subspan(taken);
            at += taken;
            copied += taken;
        }
        note_state(false);
        if (checked_.empty()) reader_.release();
        return static_cast<ssize_t>(copied);
    }

    // Whether there are checked bytes, waited for until `deadline` (none: not at all). Otherwise errno, and
    // the state, say why not.
    bool fill(Deadline deadline) {
        if (!checked_.empty()) return true;
        try {
            while (!over_) {
                error_code ec;
                if (const auto frame = reader_.next(ec)) {
                    ec = check_reply(*frame, tracker_.opcode());
                    if (!ec) {
                        checked_ = *frame;
                        return true;
                    }
                }
                if (ec) {
                    warn(ec);
                    return fail(EPROTO);
                }
                if (!read_more(deadline)) return false;
            }
        } catch (const std::bad_alloc&) {
            return fail(ENOMEM);
        }
        errno = EPROTO;
        return false;
    }

    // Never a read that waits: one that runs out of time ends a TLS session of libmongoc's.
    bool read_more(Deadline deadline) {
        const std::span<std::uint8_t> room = reader_.prepare();
        for (;;) {
            mongoc_iovec_t vector{room.data(), room.size()};
            const ssize_t count = mongoc_stream_readv(inner_, &vector, 1, 0, 0);
            note_state(count <= 0);
            if (count > 0) {
                reader_.commit(static_cast<std::size_t>(count));
                return true;
            }
            if (!again_) {
                closed_ = count == 0;
                over_ = true;
                return false;
            }
            errno = EAGAIN;
            if (!deadline || !wait(*deadline)) return false;
        }
    }

    // For bytes to read.
    bool wait(Clock::time_point deadline) {
        constexpr milliseconds longest{std::numeric_limits<std::int32_t>::max()};
        for (;;) {
            if (stopping_ != nullptr && *stopping_) return fail(ECANCELED);
            const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
            if (left <= milliseconds(0)) {
                again_ = false;
                timed_out_ = true;
                errno = ETIMEDOUT;
                return false;
            }
            const auto slice = std::min(left, stopping_ != nullptr ? stop_interval : longest);
            mongoc_stream_poll_t poller{inner_, POLLIN, 0};
            const ssize_t ready = mongoc_stream_poll(&poller, 1, static_cast<std::int32_t>(slice.count()));
            if (ready > 0) return true;
            if (ready < 0 && errno != EINTR) return fail(errno);
        }
    }

    // What libmongoc asks about after a call that did not do all.
    void note_state(bool incomplete) {
        again_ = incomplete && mongoc_stream_should_retry(inner_);
        timed_out_ = incomplete && !again_ && mongoc_stream_timed_out(inner_);
    }

    bool fail(int cause) {
        over_ = true;
        again_ = timed_out_ = false;
        errno = cause;
        return false;
    }

    // Of checked streams only: libmongoc makes sure that all are of one kind.
    static ssize_t poll_all(mongoc_stream_poll_t* polls, std::size_t count, std::int32_t timeout_ms) {
        try {
            std::vector<mongoc_stream_poll_t> inner(count);
            bool ready = false;
            for (std::size_t i = 0; i < count; ++i) {
                CheckedStream& stream = self(polls[i].stream);
                inner[i] = {stream.inner_, polls[i].events, 0};
                polls[i].revents = 0;
                // Bytes may wait here or in the TLS layer, where poll(2) does not see them.
                if ((polls[i].events & POLLIN) != 0 && (stream.fill({}) || stream.over_)) {
                    polls[i].revents = POLLIN;
                    ready = true;
                }
            }
            if (mongoc_stream_poll(inner.data(), count, ready ? 0 : timeout_ms) < 0) return -1;
            ssize_t ready_count = 0;
            for (std::size_t i = 0; i < count; ++i) {
                polls[i].revents |= inner[i].revents;
                if (polls[i].revents != 0) ++ready_count;
            }
            return ready_count;
        } catch (const std::bad_alloc&) {
            errno = ENOMEM;
            return -1;
        }
    }

    mongoc_stream_t* const whole_;
    mongoc_stream_t* const inner_;
    const std::atomic<bool>* const stopping_;  // may be null
    RequestTracker tracker_;
    wire::FrameReader reader_{reply_bytes_max};
    wire::Bytes checked_;  // in the reader's buffer, not handed on yet
    bool over_ = false;    // nothing more is read
    bool closed_ = false;  // by the server, in order
    bool again_ = false;
    bool timed_out_ = false;
};

mongoc_stream_t* checked(mongoc_stream_t* plain, const std::atomic<bool>* stopping) {
    if (plain == nullptr) return nullptr;
    auto* const stream = new (std::nothrow) CheckedStream(plain, stopping);
    if (stream == nullptr) mongoc_stream_destroy(plain);
    return stream;
}

mongoc_stream_t* connect_client(const mongoc_uri_t* uri, const mongoc_host_list_t* host, void* user_data,
                                bson_error_t* error) {
    return checked(mongoc_client_default_stream_initiator(uri, host, user_data, error), nullptr);
}

mongoc_stream_t* connect_pool(const mongoc_uri_t* uri, const mongoc_host_list_t* host, void* user_data,
                              bson_error_t* error) {
    auto& context = *static_cast<CheckedPool::Context*>(user_data);
    return checked(mongoc_client_default_stream_initiator(uri, host, context.settings.get(), error),
                   &context.stopping);
}

}  // namespace

void check_replies(mongoc_client_t& client) {
    mongoc_client_set_stream_initiator(&client, &connect_client, &client);
}

CheckedPool::CheckedPool(const mongoc_uri_t& uri, bson_error_t& error) {
    context_.settings.reset(mongoc_client_new_from_uri_with_error(&uri, &error));
    if (!context_.settings) return;
    pool_.reset(mongoc_client_pool_new_with_error(&uri, &error));
    if (pool_) _mongoc_client_pool_set_stream_initiator(pool_.get(), &connect_pool, &context_);
}

CheckedPool::~CheckedPool() {
    context_.stopping = true;
}

}  // namespace fieldgate::cluster
