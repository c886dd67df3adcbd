#include "canaries.hpp"

#include <algorithm>
#include <cstring>

#include "proxy/wire/message.hpp"

namespace fieldgate::property {
namespace {

Buffer random_bytes(Random& random, std::size_t count) {
    Buffer bytes(count);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.next());
    return bytes;
}

Buffer bytes_of(std::string_view content) {
    return {content.begin(), content.end()};
}

bool contains(Bytes haystack, Bytes needle) {
    return ::memmem(haystack.data(), haystack.size(), needle.data(), needle.size()) != nullptr;
}

}  // namespace

std::string Canaries::letters() {
    constexpr std::string_view alphabet = "abcdefghijklmnopqrstuvwxyz234567";
    std::string word = "canary";
    std::uint64_t bits = random_.next();
    for (int i = 0; i < 12; ++i, bits >>= 5) word += alphabet[bits & 31];
    return word;
}

void Canaries::keep(const Buffer& needle, bool is_protected) {
    if (is_protected) needles_.push_back(needle);
}

Value Canaries::make_number(bool is_protected) {
    const auto number = static_cast<std::int64_t>(1'000'000'000 + random_.below(1'100'000'000));
    if (is_protected) {
        numbers_.insert(number);
        spelled_.push_back(std::to_string(number));
    }
    switch (random_.below(3)) {
        case 0:
            return int32(static_cast<std::int32_t>(number));
        case 1:
            return int64(number);
        default:
            return real(static_cast<double>(number));
    }
}

Value Canaries::make(Type type, bool is_protected) {
    switch (type) {
        case Type::string:
        case Type::symbol:
        case Type::javascript: {
            const std::string word = letters();
            keep(bytes_of(word), is_protected);
            return text(word, type);
        }
        case Type::binary: {
            const Buffer data = random_bytes(random_, 16);
            keep(data, is_protected);
            constexpr std::uint8_t subtypes[] = {0, 4, 5, 128};
            return binary(random_.pick(subtypes), data);
        }
        case Type::object_id:
        case Type::decimal128:
        case Type::timestamp:
        case Type::date: {
            Buffer data = random_bytes(random_, type == Type::object_id    ? 12
                                                : type == Type::decimal128 ? 16
                                                                           : 8);
            keep(data, is_protected);
            return scalar(type, std::move(data));
        }
        case Type::double_: {
            // A whole number of 2^53 and more: no other type's bytes, but any type's text.
            const Value value =
                real(static_cast<double>((std::uint64_t{1} << 53) + random_.below(1u << 30) * 2) +
                     static_cast<double>(random_.next() >> 4));
            keep(value.scalar, is_protected);
            return value;
        }
        case Type::int64: {
            const auto number = static_cast<std::int64_t>(random_.next() >> 1 | std::uint64_t{1} << 60);
            const Value value = int64(number);
            keep(value.scalar, is_protected);
            if (is_protected) spelled_.push_back(std::to_string(number));
            return value;
        }
        case Type::int32: {
            const auto number = static_cast<std::int32_t>(1'000'000'000 + random_.below(1'100'000'000));
            if (is_protected) {
                numbers_.insert(number);
                spelled_.push_back(std::to_string(number));
            }
            return int32(number);
        }
        case Type::regex: {
            const std::string word = letters();
            keep(bytes_of(word), is_protected);
            Buffer bytes = bytes_of("^" + word);
            bytes.insert(bytes.end(), {0, 'i', 0});
            return scalar(type, std::move(bytes));
        }
        case Type::db_pointer: {
            Value value = text(letters());
            Buffer id = random_bytes(random_, 12);
            keep(id, is_protected);
            value.type = type;
            value.scalar.insert(value.scalar.end(), id.begin(), id.end());
            return value;
        }
        case Type::javascript_with_scope: {
            const Value code = make(Type::javascript, is_protected);
            const Buffer scope = to_bson(object({{"x", make(Type::string, is_protected)}}));
            Value value = int32(static_cast<std::int32_t>(4 + code.scalar.size() + scope.size()));
            value.type = type;
            value.scalar.insert(value.scalar.end(), code.scalar.begin(), code.scalar.end());
            value.scalar.insert(value.scalar.end(), scope.begin(), scope.end());
            return value;
        }
        case Type::document:
            return object({{"weight", int32(180)},
                           {"note", make(Type::string, is_protected)},
                           {"inner", object({{"count", make(Type::int32, is_protected)}})}});
        case Type::array:
            return list({make(Type::string, is_protected),
                         object({{"date", make(Type::int64, is_protected)}, {"tags", list({int32(1)})}})});
        case Type::boolean:
            return boolean(random_.chance(50));
        case Type::undefined:
        case Type::null:
        case Type::max_key:
        case Type::min_key:
            break;
    }
    return Value(type);
}

std::string Canaries::found_raw(Bytes bytes) const {
    for (const Buffer& needle : needles_) {
        if (!contains(bytes, needle)) continue;
        std::string shown = "the bytes";
        constexpr char digits[] = "0123456789abcdef";
        for (const std::uint8_t byte : needle) (shown += ' ') += {digits[byte >> 4], digits[byte & 15]};
        const bool is_text = std::all_of(needle.begin(), needle.end(),
                                         [](std::uint8_t byte) { return byte >= 0x20 && byte < 0x7f; });
        return is_text ? shown + " (" + std::string(needle.begin(), needle.end()) + ")" : shown;
    }
    return {};
}

std::string Canaries::found_number(bson::DocumentView document) const {
    for (const bson::Element& element : document) {
        if (element.is_document() || element.is_array()) {
            if (std::string found = found_number(element.document()); !found.empty()) return found;
            continue;
        }
        const auto number = element.whole_number();
        if (number && numbers_.contains(*number))
            return "the number " + std::to_string(*number) + " at key '" + std::string(element.key()) + "'";
    }
    return {};
}

std::string Canaries::found_in_message(Bytes frame) const {
    if (std::string found = found_raw(frame); !found.empty() || numbers_.empty()) return found;
    const auto message = wire::OpMsg::parse(frame);
    if (!message) return "nothing, because the message does not parse: " + message.error().message();
    if (std::string found = found_number(message->body); !found.empty()) return found;
    for (const wire::Sequence& sequence : message->sequences()) {
        for (Bytes rest = sequence.documents; !rest.empty();) {
            std::uint32_t size = 0;
            std::memcpy(&size, rest.data(), sizeof size);
            const auto document = bson::DocumentView::unchecked(rest.first(size));
            if (std::string found = found_number(document); !found.empty()) return found;
            rest = rest.subspan(size);
        }
    }
    return {};
}

std::string Canaries::found_in_answer(Bytes document) const {
    if (std::string found = found_raw(document); !found.empty()) return found;
    for (const std::string& number : spelled_)
        if (contains(document, Bytes(reinterpret_cast<const std::uint8_t*>(number.data()), number.size())))
            return "the number " + number + " in words";
    return found_number(bson::DocumentView::unchecked(document));
}

}  // namespace fieldgate::property
