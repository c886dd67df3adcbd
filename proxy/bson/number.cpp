#include "proxy/bson/number.hpp"

#include <bit>
#include <boost/endian/conversion.hpp>
#include <limits>

namespace fieldgate::bson {
namespace {

constexpr double two_to_63 = 9223372036854775808.0;
// IEEE 754-2008 decimal128 in binary encoding: the biased exponent of 10^0, above 49 bits of the coefficient.
constexpr std::uint64_t decimal_exponent_zero = std::uint64_t{6176} << 49;
constexpr std::uint64_t decimal_sign = std::uint64_t{1} << 63;

Number number_of(Type type, std::uint64_t low, std::uint8_t size_bytes) {
    Number number;
    number.type = type;
    number.size_bytes = size_bytes;
    for (std::size_t i = 0; i < 8; ++i) number.bytes[i] = static_cast<std::uint8_t>(low >> (8 * i));
    return number;
}

std::optional<Number> from_whole(std::int64_t whole, Type type) {
    const auto bits = static_cast<std::uint64_t>(whole);
    switch (type) {
        case Type::int32:
            if (whole < std::numeric_limits<std::int32_t>::min() ||
                whole > std::numeric_limits<std::int32_t>::max())
                return std::nullopt;
            return number_of(type, bits & 0xFFFFFFFF, 4);
        case Type::int64:
            return number_of(type, bits, 8);
        case Type::double_: {
            const auto floating = static_cast<double>(whole);
            if (floating >= two_to_63 || static_cast<std::int64_t>(floating) != whole) return std::nullopt;
            return number_of(type, std::bit_cast<std::uint64_t>(floating), 8);
        }
        case Type::decimal128: {
            Number number = number_of(type, whole < 0 ? 0 - bits : bits, 16);
            boost::endian::store_little_u64(number.bytes.data() + 8,
                                            decimal_exponent_zero | (whole < 0 ? decimal_sign : 0));
            return number;
        }
        default:
            return std::nullopt;
    }
}

}  // namespace

std::optional<Number> convert_exactly(const Element& element, Type type) {
    if (element.type() == Type::double_ && type == Type::double_)
        return number_of(type, boost::endian::load_little_u64(element.value().data()), 8);
    const auto whole = element.whole_number();
    // Minus zero is a whole number, and 0 is not the same value.
    if (whole == 0 && element.type() == Type::double_ &&
        boost::endian::load_little_u64(element.value().data()) != 0)
        return std::nullopt;
    return whole ? from_whole(*whole, type) : std::nullopt;
}

}  // namespace fieldgate::bson
