// A schema from a peer is refused with problems or gives a tree whose fields all exist, and which comes back
// the same when it is written and built again. The first byte chooses BSON (as a server sends it) or JSON (as
// a file has it) and the origin; what follows the document is a path to match.

#include <cstdlib>
#include <cstring>
#include <string>

#include "config/extended_json.hpp"
#include "config/json_reader.hpp"
#include "config/schema_builder.hpp"
#include "config/schema_writer.hpp"
#include "proxy/bson/node.hpp"

using namespace fieldgate;

namespace {

struct Input {
    std::optional<config::Node> root;
    std::string path;
};

Input read_bson(bson::Bytes bytes) {
    if (bytes.size() < 5) return {};
    const std::size_t size = bson::detail::load_u32(bytes.data());
    if (size > bytes.size()) return {};
    const auto view = bson::DocumentView::check(bytes.first(size), bson::Limits{200});
    if (!view) return {};
    auto root = bson::to_node(*view);
    if (!root) return {};
    const bson::Bytes rest = bytes.subspan(size);
    return {std::move(*root), std::string(rest.begin(), rest.end())};
}

Input read_text(const std::string& text) {
    const std::size_t end = text.find('\0');
    std::vector<config::Problem> problems;
    config::ProblemList list(problems, "fuzz");
    auto root = config::read_json(text.substr(0, end), list);
    if (!root) return {};
    config::decode_extended_json(*root, list);
    if (!problems.empty()) return {};
    return {std::move(root), end == std::string::npos ? "" : text.substr(end + 1)};
}

void check_tree(const config::Schema& schema, const config::SchemaNode& node, bool is_root) {
    const int roles = (node.is_protected() ? 1 : 0) + (node.is_parent() ? 1 : 0) + (node.unknown ? 1 : 0);
    if (roles != 1 && !(is_root && roles == 0)) std::abort();
    if (node.is_protected() && node.field >= schema.fields().size()) std::abort();
    node.for_each_child([&](const config::SchemaNode& child) { check_tree(schema, child, false); });
}

void check_equal(const config::Schema& a, const config::Schema& b) {
    if (!a.root().protects_alike(b.root()) || a.other_paths() != b.other_paths() ||
        a.fields().size() != b.fields().size())
        std::abort();
    for (std::size_t i = 0; i < a.fields().size(); ++i) {
        const config::EncryptedField& one = a.fields()[i];
        const config::EncryptedField& other = b.fields()[i];
        if (one.path != other.path || one.algorithm != other.algorithm || one.key != other.key ||
            one.bson_types != other.bson_types)
            std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const bool is_bson = (data[0] & 1) == 0;
    const auto origin = (data[0] & 2) == 0 ? config::SchemaOrigin::remote : config::SchemaOrigin::local;
    const Input input = is_bson ? read_bson({data + 1, size - 1})
                                : read_text(std::string(reinterpret_cast<const char*>(data + 1), size - 1));
    if (!input.root) return 0;
    const config::BuiltSchema built = config::build_schema(*input.root, origin);
    if ((built.schema == nullptr) != !built.problems.empty()) std::abort();
    if (!built.schema) return 0;

    check_tree(*built.schema, built.schema->root(), true);
    const config::PathMatch match = built.schema->match(input.path);
    if (match.below_protected && match.node == nullptr) std::abort();
    if (match.node != nullptr && match.node->is_protected() &&
        match.node->field >= built.schema->fields().size())
        std::abort();

    const config::BuiltSchema again = config::build_schema(config::write_schema(*built.schema), origin);
    if (!again.schema) std::abort();
    check_equal(*built.schema, *again.schema);
    return 0;
}
