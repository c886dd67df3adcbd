#include "config/json_reader.hpp"

#include <boost/json/basic_parser_impl.hpp>
#include <limits>
#include <string_view>
#include <unordered_map>

namespace fieldgate::config {
namespace {

namespace json = boost::json;

// Boost.JSON's event parser reports no positions. It is fed line by line, and since no token crosses a line's
// end, the line being fed is the line of whatever it reports.
struct Handler {
    constexpr static std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
    constexpr static std::size_t max_array_size = std::numeric_limits<std::size_t>::max();
    constexpr static std::size_t max_key_size = std::numeric_limits<std::size_t>::max();
    constexpr static std::size_t max_string_size = std::numeric_limits<std::size_t>::max();

    struct Frame {
        Node node;
        std::unordered_map<std::string, int> lines;
        bool drop_value = false;
        std::string key;
        int key_line = 0;
    };

    ProblemList* problems = nullptr;
    int line = 1;
    std::vector<Frame> frames;
    std::optional<Node> root;
    std::string buffer;  // parts of a string or number

    bool on_document_begin(json::error_code&) { return true; }
    bool on_document_end(json::error_code&) { return true; }
    bool on_object_begin(json::error_code&) { return open(Node::Kind::object); }
    bool on_object_end(std::size_t, json::error_code&) { return close(); }
    bool on_array_begin(json::error_code&) { return open(Node::Kind::array); }
    bool on_array_end(std::size_t, json::error_code&) { return close(); }

    bool on_key_part(json::string_view part, std::size_t, json::error_code&) { return append(part); }
    bool on_key(json::string_view part, std::size_t, json::error_code&) {
        append(part);
        Frame& frame = frames.back();
        const auto [seen, is_new] = frame.lines.emplace(buffer, line);
        frame.drop_value = !is_new;
        if (!is_new)
            problems->add({line, {}},
                          "duplicate key '" + buffer + "', first on line " + std::to_string(seen->second));
        frame.key = std::move(buffer);
        frame.key_line = line;
        buffer.clear();
        return true;
    }
    bool on_string_part(json::string_view part, std::size_t, json::error_code&) { return append(part); }
    bool on_string(json::string_view part, std::size_t, json::error_code&) {
        append(part);
        Node node;
        node.kind = Node::Kind::string;
        node.text = std::move(buffer);
        buffer.clear();
        return place(std::move(node));
    }
    bool on_number_part(json::string_view part, json::error_code&) { return append(part); }
    bool on_int64(std::int64_t value, json::string_view part, json::error_code&) {
        const bool fits_int32 = value >= std::numeric_limits<std::int32_t>::min() &&
                                value <= std::numeric_limits<std::int32_t>::max();
        return number(part, fits_int32 ? Node::Kind::int32 : Node::Kind::int64, value);
    }
    bool on_uint64(std::uint64_t, json::string_view part, json::error_code&) {
        return number(part, Node::Kind::double_, 0);  // only called beyond int64
    }
    bool on_double(double, json::string_view part, json::error_code&) {
        return number(part, Node::Kind::double_, 0);
    }
    bool on_bool(bool value, json::error_code&) {
        Node node;
        node.kind = Node::Kind::boolean;
        node.boolean = value;
        node.text = value ? "true" : "false";
        return place(std::move(node));
    }
    bool on_null(json::error_code&) {
        Node node;
        node.text = "null";
        return place(std::move(node));
    }
    bool on_comment_part(json::string_view, json::error_code&) { return true; }
    bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
    bool append(json::string_view part) {
        buffer.append(part.data(), part.size());
        return true;
    }

    bool number(json::string_view part, Node::Kind kind, std::int64_t value) {
        append(part);
        Node node;
        node.kind = kind;
        node.integer = value;
        node.text = std::move(buffer);
        buffer.clear();
        return place(std::move(node));
    }

    bool open(Node::Kind kind) {
        Frame frame;
        frame.node.kind = kind;
        frame.node.where.line = line;
        frames.push_back(std::move(frame));
        return true;
    }

    bool close() {
        Node node = std::move(frames.back().node);
        frames.pop_back();
        return place(std::move(node));
    }

    bool place(Node node) {
        if (node.where.line == 0) node.where.line = line;
        if (frames.empty()) {
            root = std::move(node);
            return true;
        }
        Frame& frame = frames.back();
        if (frame.node.kind == Node::Kind::object) {
            if (frame.drop_value) return true;
            node.key = std::move(frame.key);
            node.key_where.line = frame.key_line;
        }
        frame.node.children.push_back(std::move(node));
        return true;
    }
};

}  // namespace

std::optional<Node> read_json(const std::string& text, ProblemList& problems) {
    json::parse_options options;
    options.max_depth = node_levels_max;
    json::basic_parser<Handler> parser(options);
    parser.handler().problems = &problems;

    const std::string_view all = text;
    std::size_t start = 0;
    json::error_code error;
    while (start < all.size() && !error) {
        const std::size_t newline = all.find('\n', start);
        const std::size_t end = newline == std::string_view::npos ? all.size() : newline + 1;
        const std::size_t consumed =
            parser.write_some(end < all.size(), all.data() + start, end - start, error);
        if (error) break;
        if (parser.done()) {
            // Another call would begin a new document.
            if (all.find_first_not_of(" \t\r\n", start + consumed) != std::string_view::npos)
                error = json::error::extra_data;
            break;
        }
        ++parser.handler().line;
        start = end;
    }
    if (!error && !parser.done()) error = json::error::incomplete;
    if (error) {
        const bool too_deep = error == json::error::too_deep;
        problems.add({parser.handler().line, {}},
                     too_deep ? "nested deeper than " + std::to_string(node_levels_max) + " levels"
                              : "not valid JSON: " + error.message());
        return std::nullopt;
    }
    return std::move(parser.handler().root);
}

}  // namespace fieldgate::config
