#include "config/bson_types.hpp"

namespace fieldgate::config {
namespace {

struct TypeRow {
    std::string_view alias;
    std::uint8_t type;
    bool deterministic;
    bool random;
};

constexpr TypeRow type_table[] = {
    {"double", 0x01, false, true},
    {"string", 0x02, true, true},
    {"object", 0x03, false, true},
    {"array", 0x04, false, true},
    {"binData", 0x05, true, true},
    {"undefined", 0x06, false, false},
    {"objectId", 0x07, true, true},
    {"bool", 0x08, false, true},
    {"date", 0x09, true, true},
    {"null", 0x0A, false, false},
    {"regex", 0x0B, true, true},
    {"dbPointer", 0x0C, true, true},
    {"javascript", 0x0D, true, true},
    {"symbol", 0x0E, true, true},
    {"javascriptWithScope", 0x0F, false, true},
    {"int", 0x10, true, true},
    {"timestamp", 0x11, true, true},
    {"long", 0x12, true, true},
    {"decimal", 0x13, false, true},
    {"maxKey", 0x7F, false, false},
    {"minKey", 0xFF, false, false},
};

const TypeRow* row_of(std::uint8_t type) {
    for (const TypeRow& row : type_table)
        if (row.type == type) return &row;
    return nullptr;
}

}  // namespace

std::optional<std::uint8_t> bson_type(std::string_view alias) {
    for (const TypeRow& row : type_table)
        if (row.alias == alias) return row.type;
    return std::nullopt;
}

std::string_view bson_type_alias(std::uint8_t type) {
    const TypeRow* row = row_of(type);
    return row != nullptr ? row->alias : "unknown";
}

bool may_encrypt(Algorithm algorithm, std::uint8_t type) {
    const TypeRow* row = row_of(type);
    if (row == nullptr) return false;
    return algorithm == Algorithm::deterministic ? row->deterministic : row->random;
}

}  // namespace fieldgate::config
