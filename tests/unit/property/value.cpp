#include "value.hpp"

#include <bit>
#include <utility>

namespace fieldgate::property {
namespace {

template <class Number>
Buffer little_endian(Number number) {
    Buffer bytes(sizeof number);
    for (std::uint8_t& byte : bytes) {
        byte = static_cast<std::uint8_t>(number & 0xFF);
        number = static_cast<Number>(number >> 8);
    }
    return bytes;
}

void write(bson::Builder& builder, const Value& container) {
    std::size_t index = 0;
    for (const Member& member : container.members) {
        const std::string key = container.type == Type::array ? bson::index_key(index++) : member.key;
        if (member.value.type == Type::document) {
            builder.open_document(key);
        } else if (member.value.type == Type::array) {
            builder.open_array(key);
        } else {
            builder.append_value(key, member.value.type, member.value.scalar);
            continue;
        }
        write(builder, member.value);
        builder.close();
    }
}

}  // namespace

Value::Value() = default;
Value::Value(Type of, Buffer bytes) : type(of), scalar(std::move(bytes)) {}
Value::Value(const Value& other) = default;
Value::Value(Value&& other) noexcept = default;
Value& Value::operator=(const Value& other) = default;
Value& Value::operator=(Value&& other) noexcept = default;
Value::~Value() = default;

Value& Value::add(std::string key, Value value) {
    members.push_back({std::move(key), std::move(value)});
    return *this;
}

Value object(std::initializer_list<Member> members) {
    Value made(Type::document);
    made.members = members;
    return made;
}

Value list(std::initializer_list<Value> values) {
    Value array(Type::array);
    for (const Value& value : values) array.push(value);
    return array;
}

Value pinned(Value value) {
    value.pinned = true;
    return value;
}

Value scalar(Type type, Buffer bytes) {
    return Value(type, std::move(bytes));
}

Value text(std::string_view content, Type type) {
    Buffer bytes = little_endian(static_cast<std::uint32_t>(content.size() + 1));
    bytes.insert(bytes.end(), content.begin(), content.end());
    bytes.push_back(0);
    return scalar(type, std::move(bytes));
}

Value int32(std::int32_t number) {
    return scalar(Type::int32, little_endian(static_cast<std::uint32_t>(number)));
}

Value int64(std::int64_t number, Type type) {
    return scalar(type, little_endian(static_cast<std::uint64_t>(number)));
}

Value real(double number) {
    return scalar(Type::double_, little_endian(std::bit_cast<std::uint64_t>(number)));
}

Value boolean(bool truth) {
    return scalar(Type::boolean, {static_cast<std::uint8_t>(truth)});
}

Value null() {
    return {};
}

Value binary(std::uint8_t subtype, Bytes data) {
    Buffer bytes = little_endian(static_cast<std::uint32_t>(data.size()));
    bytes.push_back(subtype);
    bytes.insert(bytes.end(), data.begin(), data.end());
    return scalar(Type::binary, std::move(bytes));
}

Buffer to_bson(const Value& document) {
    Buffer out;
    bson::Builder builder(out);
    write(builder, document);
    builder.finish();
    return out;
}

}  // namespace fieldgate::property
