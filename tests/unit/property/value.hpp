#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/bson/builder.hpp"

// A BSON value as a tree that can be built piece by piece, written out, and cut down to a smaller one.
namespace fieldgate::property {

using bson::Buffer;
using bson::Bytes;
using bson::Type;

struct Member;

struct Value {
    // Out of line: Member is not complete here.
    Value();
    explicit Value(Type of, Buffer bytes = {});
    Value(const Value& other);
    Value(Value&& other) noexcept;
    Value& operator=(const Value& other);
    Value& operator=(Value&& other) noexcept;
    ~Value();

    Type type = Type::null;
    Buffer scalar;                // as it stands behind a key; empty for objects and arrays
    std::vector<Member> members;  // of objects and arrays; keys of arrays are not looked at
    // What makes its canaries protected would be lost with a member: shrinking leaves them.
    bool pinned = false;

    Value& add(std::string key, Value value);
    Value& push(Value value) { return add({}, std::move(value)); }
    bool is_container() const { return type == Type::document || type == Type::array; }
};

struct Member {
    std::string key;
    Value value;
};

Value object(std::initializer_list<Member> members = {});
Value list(std::initializer_list<Value> values = {});
Value pinned(Value value);
Value text(std::string_view content, Type type = Type::string);
Value int32(std::int32_t number);
Value int64(std::int64_t number, Type type = Type::int64);
Value real(double number);
Value boolean(bool truth);
Value null();
Value binary(std::uint8_t subtype, Bytes data);
Value scalar(Type type, Buffer bytes);

Buffer to_bson(const Value& document);

}  // namespace fieldgate::property
