// The two ends of the relay's benchmarks, as plain as they can be: what is measured stands between them.
//
//   relay_bench stub PORT                                a server; find on test.rN answers with about N bytes
//   relay_bench load PORT COLLECTION CONNECTIONS SECONDS a closed loop of small finds; prints one line of
//   JSON
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/endian/conversion.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxy/bson/builder.hpp"
#include "proxy/wire/frame_reader.hpp"

namespace fieldgate {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void die(const char* what) {
    std::perror(what);
    std::exit(1);
}

sockaddr_in loopback(const char* port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

void no_delay(int descriptor) {
    const int on = 1;
    ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// One end of a connection. Writes block: the loops below never owe more than one message to a peer that does
// not read.
struct Peer {
    int descriptor;
    wire::FrameReader reader{48000000, 256 * 1024};
    Clock::time_point sent{};
    std::size_t to_discard_bytes = 0;
    std::int32_t discarded_request = 0;

    explicit Peer(int d) : descriptor(d) {}
    ~Peer() { ::close(descriptor); }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    bool receive() {
        const std::span<std::uint8_t> room = reader.prepare();
        const ssize_t byte_count = ::recv(descriptor, room.data(), room.size(), 0);
        if (byte_count <= 0) return false;
        reader.commit(static_cast<std::size_t>(byte_count));
        return true;
    }
    bool send(wire::Bytes bytes) const {
        while (!bytes.empty()) {
            const ssize_t byte_count = ::send(descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (byte_count <= 0) return false;
            bytes = bytes.subspan(static_cast<std::size_t>(byte_count));
        }
        return true;
    }
};

wire::Buffer document(const std::string& json) {
    return bson::from_json(json).value();
}

// Answers what a driver, libmongoc and fieldgate ask of a standalone server, and keeps the key vault's
// documents.
class Stub {
    static constexpr std::size_t discarded_bytes_min = 1000000;

 public:
    void serve(const char* port) {
        const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
        const int on = 1;
        ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        const sockaddr_in address = loopback(port);
        if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("bind");
        if (::listen(listener, 4096) != 0) die("listen");
        const int poller = ::epoll_create1(0);
        epoll_event interest{EPOLLIN, {.ptr = nullptr}};
        ::epoll_ctl(poller, EPOLL_CTL_ADD, listener, &interest);
        std::vector<epoll_event> events(256);
        for (;;) {
            const int count = ::epoll_wait(poller, events.data(), static_cast<int>(events.size()), -1);
            for (int i = 0; i < count; ++i) {
                Peer* const peer = static_cast<Peer*>(events[static_cast<std::size_t>(i)].data.ptr);
                if (peer != nullptr) {
                    if (!serve(*peer)) delete peer;
                    continue;
                }
                const int descriptor = ::accept(listener, nullptr, nullptr);
                if (descriptor < 0) continue;
                no_delay(descriptor);
                epoll_event readable{EPOLLIN, {.ptr = new Peer(descriptor)}};
                ::epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &readable);
            }
        }
    }

 private:
    bool serve(Peer& peer) {
        if (peer.to_discard_bytes != 0) return discard(peer);
        if (!peer.receive()) return false;
        boost::system::error_code ec;
        if (const auto header = peer.reader.peek(ec)) {
            const auto message_bytes = static_cast<std::size_t>(header->message_bytes);
            if (message_bytes > discarded_bytes_min) {
                // A batch: taken off the wire in small bites, so that others need not wait for this server.
                peer.to_discard_bytes = message_bytes - peer.reader.take_pending(message_bytes).size();
                peer.discarded_request = header->request_id;
                return true;
            }
        }
        while (const auto frame = peer.reader.next(ec)) {
            if (!answer(peer, *frame)) return false;
        }
        return !ec;
    }

    bool discard(Peer& peer) {
        static std::vector<std::uint8_t> bite(128 * 1024);
        const std::size_t room = std::min(bite.size(), peer.to_discard_bytes);
        const ssize_t byte_count = ::recv(peer.descriptor, bite.data(), room, 0);
        if (byte_count <= 0) return false;
        peer.to_discard_bytes -= static_cast<std::size_t>(byte_count);
        if (peer.to_discard_bytes != 0) return true;
        return peer.send(
            wire::make_op_msg(++request_id_, peer.discarded_request, document(R"({"n": 1, "ok": 1})")));
    }

    bool answer(Peer& peer, wire::Bytes frame) {
        const wire::Header header = wire::Header::parse(frame);
        if (header.opcode == wire::Opcode::query) {
            return peer.send(wire::make_op_reply(++request_id_, header.request_id, hello_));
        }
        const auto message = wire::OpMsg::parse(frame);
        if (!message || message->body.empty()) return false;
        const bson::Element command = *message->body.begin();
        if (command.key() == "find" && command.string().starts_with('r')) {
            wire::Buffer& reply = reply_of(std::string(command.string()));
            boost::endian::store_little_s32(reply.data() + 8, header.request_id);
            return peer.send(reply);
        }
        if (message->more_to_come()) return true;
        wire::Buffer body;
        if (command.key() == "hello" || command.key() == "isMaster" || command.key() == "ismaster") {
            body = hello_;
        } else if (command.key() == "find" && command.string() == "__keyVault") {
            body = cursor("encryption.__keyVault", keys_);
        } else if (command.key() == "find" || command.key() == "listCollections") {
            body = cursor("test.$cmd.listCollections", {});
        } else {
            if (command.key() == "insert" && command.string() == "__keyVault") keep_keys(*message);
            body = document(R"({"n": 1, "ok": 1})");
        }
        return peer.send(wire::make_op_msg(++request_id_, header.request_id, body));
    }

    void keep_keys(const wire::OpMsg& message) {
        for (const wire::Sequence& sequence : message.sequences()) {
            for (wire::Bytes rest = sequence.documents; !rest.empty();) {
                const std::size_t byte_count = boost::endian::load_little_u32(rest.data());
                keys_.emplace_back(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(byte_count));
                rest = rest.subspan(byte_count);
            }
        }
        const auto inline_documents = message.body.find("documents");
        if (!inline_documents) return;
        for (const bson::Element& element :
             bson::DocumentView::check_top_level(inline_documents->value()).value()) {
            keys_.emplace_back(element.value().begin(), element.value().end());
        }
    }

    static wire::Buffer cursor(std::string_view ns, const std::vector<wire::Buffer>& documents) {
        wire::Buffer body;
        bson::Builder builder(body);
        builder.open_document("cursor").open_array("firstBatch");
        for (std::size_t i = 0; i < documents.size(); ++i)
            builder.append_document(bson::index_key(i), documents[i]);
        builder.close().append_int64("id", 0).append_string("ns", ns).close().append_double("ok", 1).finish();
        return body;
    }

    wire::Buffer& reply_of(const std::string& collection) {
        wire::Buffer& reply = replies_[collection];
        if (reply.empty()) {
            const auto wanted_bytes = static_cast<std::size_t>(std::atoll(collection.c_str() + 1));
            const std::size_t around_bytes = 140;
            const std::string filler(wanted_bytes > around_bytes ? wanted_bytes - around_bytes : 1, 'x');
            const auto one = document(R"({"_id": 1, "filler": ")" + filler + "\"}");
            reply = wire::make_op_msg(++request_id_, 0, cursor("test." + collection, {one}));
        }
        return reply;
    }

    const wire::Buffer hello_ = document(
        R"({"helloOk": true, "ismaster": true, "isWritablePrimary": true, "maxBsonObjectSize": 16777216,
            "maxMessageSizeBytes": 48000000, "maxWriteBatchSize": 100000, "logicalSessionTimeoutMinutes": 30,
            "minWireVersion": 0, "maxWireVersion": 21, "readOnly": false, "ok": 1})");
    std::vector<wire::Buffer> keys_;
    std::map<std::string, wire::Buffer> replies_;
    std::int32_t request_id_ = 0;
};

void load(const char* port, const std::string& collection, int connections, double seconds) {
    wire::Buffer body;
    bson::Builder(body).append_string("find", collection).append_string("$db", "test").finish();
    const wire::Buffer request = wire::make_op_msg(7, 0, body);
    const sockaddr_in address = loopback(port);
    const int poller = ::epoll_create1(0);
    std::vector<std::unique_ptr<Peer>> peers;
    for (int i = 0; i < connections; ++i) {
        peers.push_back(std::make_unique<Peer>(::socket(AF_INET, SOCK_STREAM, 0)));
        Peer& peer = *peers.back();
        if (::connect(peer.descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
            die("connect");
        no_delay(peer.descriptor);
        epoll_event readable{EPOLLIN, {.ptr = &peer}};
        ::epoll_ctl(poller, EPOLL_CTL_ADD, peer.descriptor, &readable);
    }
    // What is set up at first use is not what is measured.
    for (const auto& peer : peers) {
        boost::system::error_code ec;
        if (!peer->send(request)) die("send");
        while (!peer->reader.next(ec)) {
            if (!peer->receive()) die("warm-up");
        }
    }
    std::vector<std::uint32_t> latencies_us;
    latencies_us.reserve(1 << 22);
    std::uint64_t reply_bytes = 0;
    const auto start = Clock::now();
    const auto end =
        start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    for (const auto& peer : peers) {
        peer->sent = Clock::now();
        if (!peer->send(request)) die("send");
    }
    std::vector<epoll_event> events(256);
    auto now = Clock::now();
    while (now < end) {
        const int count = ::epoll_wait(poller, events.data(), static_cast<int>(events.size()), 100);
        for (int i = 0; i < count; ++i) {
            Peer& peer = *static_cast<Peer*>(events[static_cast<std::size_t>(i)].data.ptr);
            if (!peer.receive()) die("recv");
            boost::system::error_code ec;
            while (const auto reply = peer.reader.next(ec)) {
                now = Clock::now();
                reply_bytes += reply->size();
                latencies_us.push_back(static_cast<std::uint32_t>(
                    std::chrono::duration_cast<std::chrono::microseconds>(now - peer.sent).count()));
                peer.sent = now;
                if (!peer.send(request)) die("send");
            }
        }
        now = Clock::now();
    }
    const double elapsed = std::chrono::duration<double>(now - start).count();
    std::sort(latencies_us.begin(), latencies_us.end());
    const std::size_t n = latencies_us.size();
    const auto at = [&](double share) {
        return n == 0
                   ? 0
                   : latencies_us[std::min(n - 1, static_cast<std::size_t>(share * static_cast<double>(n)))];
    };
    std::printf(
        R"({"requests": %zu, "seconds": %.3f, "bytes": %llu, "p50_us": %u, "p99_us": %u, "max_us": %u})"
        "\n",
        n, elapsed, static_cast<unsigned long long>(reply_bytes), at(0.5), at(0.99),
        n == 0 ? 0 : latencies_us.back());
}

}  // namespace
}  // namespace fieldgate

int main(int argc, char** argv) {
    const std::string mode = argc > 1 ? argv[1] : "";
    if (mode == "stub" && argc == 3) {
        fieldgate::Stub().serve(argv[2]);
    } else if (mode == "load" && argc == 6) {
        fieldgate::load(argv[2], argv[3], std::atoi(argv[4]), std::atof(argv[5]));
    } else {
        std::fprintf(stderr, "usage: relay_bench stub PORT | load PORT COLLECTION CONNECTIONS SECONDS\n");
        return 64;
    }
    return 0;
}
