#include "tests/unit/cluster/scripted_server.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/endian/conversion.hpp>
#include <cstring>
#include <stdexcept>

#include "proxy/wire/message.hpp"

namespace fieldgate::cluster::testing {
namespace {

bool read_exactly(int socket, std::uint8_t* data, std::size_t size) {
    while (size != 0) {
        const ssize_t count = ::recv(socket, data, size, 0);
        if (count <= 0) return false;
        data += count;
        size -= static_cast<std::size_t>(count);
    }
    return true;
}

bool write_all(int socket, const wire::Buffer& bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t count = ::send(socket, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
        if (count <= 0) return false;
        done += static_cast<std::size_t>(count);
    }
    return true;
}

// The body with its sequences as arrays, as a server understands it.
bson::Buffer whole_command(const wire::OpMsg& message) {
    bson::Buffer buffer;
    bson::Builder builder(buffer);
    for (const bson::Element& element : message.body) builder.append_element(element);
    for (const wire::Sequence& sequence : message.sequences()) {
        builder.open_array(sequence.id);
        bson::Bytes rest = sequence.documents;
        for (std::size_t i = 0; rest.size() >= 4; ++i) {
            std::int32_t size = 0;
            std::memcpy(&size, rest.data(), sizeof size);
            builder.append_document(bson::index_key(i), rest.first(static_cast<std::size_t>(size)));
            rest = rest.subspan(static_cast<std::size_t>(size));
        }
        builder.close();
    }
    builder.finish();
    return buffer;
}

}  // namespace

ScriptedServer::Bytes ScriptedServer::sound(const Answer& answer) {
    return [answer](const wire::Header& request, bson::DocumentView command) {
        const bson::Buffer document = answer(command);
        return request.opcode == wire::Opcode::query ? wire::make_op_reply(1, request.request_id, document)
                                                     : wire::make_op_msg(1, request.request_id, document);
    };
}

ScriptedServer::ScriptedServer(Bytes bytes) : bytes_(std::move(bytes)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        throw std::runtime_error("cannot listen on a loopback port");
    }
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
}

ScriptedServer::~ScriptedServer() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    ::close(listener_);
    {
        const std::lock_guard lock(mutex_);
        for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
    }
    for (std::thread& thread : threads_) thread.join();
    for (const int socket : sockets_) ::close(socket);
}

std::vector<std::string> ScriptedServer::commands() const {
    const std::lock_guard lock(mutex_);
    return commands_;
}

void ScriptedServer::accept_all() {
    while (!stopping_) {
        const int socket = ::accept(listener_, nullptr, nullptr);
        if (socket < 0) continue;
        const std::lock_guard lock(mutex_);
        sockets_.push_back(socket);
        if (stopping_) ::shutdown(socket, SHUT_RDWR);
        threads_.emplace_back([this, socket] { serve(socket); });
    }
}

void ScriptedServer::serve(int socket) {
    for (;;) {
        wire::Buffer frame(wire::header_bytes);
        if (!read_exactly(socket, frame.data(), frame.size())) return;
        const wire::Header header = wire::Header::parse(frame);
        frame.resize(static_cast<std::size_t>(header.message_bytes));
        if (!read_exactly(socket, frame.data() + wire::header_bytes, frame.size() - wire::header_bytes))
            return;

        if (header.opcode == wire::Opcode::query) {
            const auto query = wire::OpQuery::parse(frame);
            if (!query) return;
            if (!write_all(socket, bytes_(header, query->query))) return;
            continue;
        }
        const auto message = wire::OpMsg::parse(frame);
        if (!message) return;
        if (!is_hello(message->body)) {
            std::string text = bson::to_json(message->body.bytes());
            for (const wire::Sequence& sequence : message->sequences()) {
                text += " " + std::string(sequence.id) + ": " + bson::to_json(sequence.documents);
            }
            const std::lock_guard lock(mutex_);
            commands_.push_back(std::move(text));
        }
        const bson::Buffer command = whole_command(*message);
        if (!write_all(socket, bytes_(header, bson::DocumentView::unchecked(command)))) return;
    }
}

bool is_hello(bson::DocumentView command) {
    return command.find("hello") || command.find("isMaster") || command.find("ismaster");
}

bson::Buffer hello_reply(const std::string& role, const std::string& address) {
    bson::Buffer buffer;
    bson::Builder reply(buffer);
    const bool writes = role != "secondary";
    reply.append_bool("helloOk", true)
        .append_bool("ismaster", writes)
        .append_bool("isWritablePrimary", writes);
    if (role == "mongos") reply.append_string("msg", "isdbgrid");
    if (role == "primary" || role == "secondary") {
        reply.append_bool("secondary", !writes)
            .append_string("setName", "rs")
            .append_int32("setVersion", 1)
            .append_string("me", address)
            .open_array("hosts")
            .append_string("0", address)
            .close();
    }
    reply.append_int32("maxBsonObjectSize", 16777216)
        .append_int32("maxMessageSizeBytes", 48000000)
        .append_int32("maxWriteBatchSize", 100000)
        .append_int32("minWireVersion", 0)
        .append_int32("maxWireVersion", 17)
        .append_double("ok", 1)
        .finish();
    return buffer;
}

ScriptedServer::Answer standalone(ScriptedServer::Answer answer) {
    return [answer = std::move(answer)](bson::DocumentView command) {
        return is_hello(command) ? hello_reply("standalone", "") : answer(command);
    };
}

bson::Buffer ok_reply() {
    bson::Buffer buffer;
    bson::Builder(buffer).append_int32("n", 1).append_double("ok", 1).finish();
    return buffer;
}

bson::Buffer error_reply(std::int32_t code, const std::string& errmsg) {
    bson::Buffer buffer;
    bson::Builder(buffer)
        .append_double("ok", 0)
        .append_int32("code", code)
        .append_string("errmsg", errmsg)
        .finish();
    return buffer;
}

bson::Buffer cursor_reply(const std::string& ns, const std::vector<bson::Buffer>& documents) {
    bson::Buffer buffer;
    bson::Builder reply(buffer);
    reply.open_document("cursor").append_int64("id", 0).append_string("ns", ns).open_array("firstBatch");
    for (std::size_t i = 0; i < documents.size(); ++i) reply.append_document(std::to_string(i), documents[i]);
    reply.close().close().append_double("ok", 1).finish();
    return buffer;
}

}  // namespace fieldgate::cluster::testing
