#include "tests/unit/crypto/samples.hpp"

#include <bson/bson.h>

#include <fstream>
#include <iterator>
#include <utility>

namespace fieldgate::crypto {
namespace {

// bson_t has an alignment attribute, which a unique_ptr of it would lose with a warning.
class Bson {
 public:
    explicit Bson(bson_t* bson) : bson_(bson) {}
    Bson(Bson&& other) noexcept : bson_(std::exchange(other.bson_, nullptr)) {}
    ~Bson() { bson_destroy(bson_); }
    [[nodiscard]] bson_t* get() const noexcept { return bson_; }

 private:
    bson_t* bson_;
};

Bytes bytes_of(const Bson& bson) {
    const std::uint8_t* const data = bson_get_data(bson.get());
    return {data, data + bson.get()->len};
}

Bson from_json(std::string_view json) {
    bson_error_t error;
    Bson bson(bson_new_from_json(reinterpret_cast<const std::uint8_t*>(json.data()),
                                 static_cast<ssize_t>(json.size()), &error));
    if (bson.get() == nullptr) throw std::invalid_argument(error.message);
    return bson;
}

// int32 length, type, "v\0" come before the value, one zero byte after it.
constexpr std::size_t value_offset = 7;

Sample sample(std::string name, bool deterministic, const std::string& json_value) {
    const Bytes document = bytes_of(from_json("{\"v\": " + json_value + "}"));
    return {std::move(name), document.at(4), deterministic, document};
}

}  // namespace

Bytes Sample::value() const {
    return {document.begin() + value_offset, document.end() - 1};
}

const std::vector<Sample>& samples() {
    static const std::vector<Sample> all = {
        sample("double", false, R"({"$numberDouble": "1.5"})"),
        sample("string", true, R"("mongodb")"),
        sample("empty string", true, R"("")"),
        sample("string with a zero byte", true, R"("a\u0000b")"),
        sample("string beyond ASCII", true, R"("Zürich \u2603")"),
        sample("object", false, R"({"a": {"b": [1, 2, {"c": null}]}})"),
        sample("empty object", false, "{}"),
        sample("array", false, R"([1, "two", [3.5]])"),
        sample("empty array", false, "[]"),
        sample("binary", true, R"({"$binary": {"base64": "AAECAwQ=", "subType": "00"}})"),
        sample("empty binary", true, R"({"$binary": {"base64": "", "subType": "00"}})"),
        sample("old binary", true, R"({"$binary": {"base64": "AAECAwQ=", "subType": "02"}})"),
        sample("uuid", true, R"({"$binary": {"base64": "AAECAwQFBgcICQoLDA0ODw==", "subType": "04"}})"),
        sample("objectId", true, R"({"$oid": "0123456789abcdef01234567"})"),
        sample("bool", false, "true"),
        sample("date", true, R"({"$date": {"$numberLong": "-12345678901"}})"),
        sample("regex", true, R"({"$regularExpression": {"pattern": "^a.*", "options": "im"}})"),
        sample("dbPointer", true,
               R"({"$dbPointer": {"$ref": "db.c", "$id": {"$oid": "0123456789abcdef01234567"}}})"),
        sample("javascript", true, R"({"$code": "x = 1"})"),
        sample("symbol", true, R"({"$symbol": "mongodb-symbol"})"),
        sample("javascriptWithScope", false, R"({"$code": "x = y", "$scope": {"y": 1}})"),
        sample("int", true, R"({"$numberInt": "145014000"})"),
        sample("timestamp", true, R"({"$timestamp": {"t": 565545664, "i": 7}})"),
        sample("long", true, R"({"$numberLong": "-9223372036854775808"})"),
        sample("decimal", false, R"({"$numberDecimal": "1.234"})"),
    };
    return all;
}

Sample sample_of_size(std::size_t size_bytes) {
    if (size_bytes == 0) throw std::invalid_argument("no value has zero bytes");
    if (size_bytes == 1) return sample("bool", false, "false");
    const std::string name = std::to_string(size_bytes) + " bytes";
    // A regular expression is two C strings, a string has a length in front and a zero behind.
    if (size_bytes < 5) {
        return sample(name, true,
                      R"({"$regularExpression": {"pattern": ")" + std::string(size_bytes - 2, 'r') +
                          R"(", "options": ""}})");
    }
    std::string text;
    for (std::size_t i = 0; i < size_bytes - 5; ++i) text.push_back(static_cast<char>('a' + i % 23));
    return sample(name, true, '"' + text + '"');
}

Bytes document_of(std::uint8_t bson_type, std::span<const std::uint8_t> value) {
    const auto size_bytes = static_cast<std::uint32_t>(value_offset + value.size() + 1);
    Bytes document;
    for (unsigned shift = 0; shift < 32; shift += 8)
        document.push_back(static_cast<std::uint8_t>(size_bytes >> shift));
    document.insert(document.end(), {bson_type, 'v', 0});
    document.insert(document.end(), value.begin(), value.end());
    document.push_back(0);
    return document;
}

Bytes ciphertext_document(std::span<const std::uint8_t> blob) {
    const Bson bson(bson_new());
    bson_append_binary(bson.get(), "v", 1, BSON_SUBTYPE_ENCRYPTED, blob.data(),
                       static_cast<std::uint32_t>(blob.size()));
    return bytes_of(bson);
}

Bytes ciphertext_of(std::span<const std::uint8_t> document) {
    bson_t bson;
    bson_iter_t iter;
    if (!bson_init_static(&bson, document.data(), document.size()) ||
        !bson_iter_init_find(&iter, &bson, "v") || !BSON_ITER_HOLDS_BINARY(&iter)) {
        throw std::invalid_argument("no binary field v");
    }
    bson_subtype_t subtype{};
    std::uint32_t size_bytes = 0;
    const std::uint8_t* data = nullptr;
    bson_iter_binary(&iter, &subtype, &size_bytes, &data);
    if (subtype != BSON_SUBTYPE_ENCRYPTED) throw std::invalid_argument("binary, but not of subtype 6");
    return {data, data + size_bytes};
}

Bytes key_document(const KeyId& id, std::span<const std::uint8_t> wrapped) {
    const Bson bson(bson_new());
    bson_append_binary(bson.get(), "_id", -1, BSON_SUBTYPE_UUID, id.bytes.data(),
                       static_cast<std::uint32_t>(id.bytes.size()));
    bson_append_binary(bson.get(), "keyMaterial", -1, BSON_SUBTYPE_BINARY, wrapped.data(),
                       static_cast<std::uint32_t>(wrapped.size()));
    bson_append_date_time(bson.get(), "creationDate", -1, 1'600'000'000'000);
    bson_append_date_time(bson.get(), "updateDate", -1, 1'600'000'000'000);
    bson_append_int32(bson.get(), "status", -1, 0);
    const Bson master_key(from_json(R"({"provider": "local"})"));
    bson_append_document(bson.get(), "masterKey", -1, master_key.get());
    return bytes_of(bson);
}

std::map<std::string, std::string> read_vector(const std::string& path) {
    std::ifstream file(path);
    if (!file) throw std::runtime_error("cannot read " + path);
    const Bson bson = from_json(std::string(std::istreambuf_iterator<char>(file), {}));
    std::map<std::string, std::string> fields;
    bson_iter_t iter;
    bson_iter_init(&iter, bson.get());
    while (bson_iter_next(&iter)) {
        fields[bson_iter_key(&iter)] = BSON_ITER_HOLDS_UTF8(&iter)
                                           ? bson_iter_utf8(&iter, nullptr)
                                           : std::to_string(bson_iter_as_int64(&iter));
    }
    return fields;
}

}  // namespace fieldgate::crypto
