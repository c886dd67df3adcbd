#include "config/yaml_reader.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/node/node.h>  // parser.h only declares YAML::Node, which clang-tidy takes for ours
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>
#include <string_view>
#include <unordered_map>

namespace fieldgate::config {
namespace {

struct TooDeep {};

// Builds the tree from the parser's events. `frames_` holds the containers being filled; a map's frame
// remembers the key that waits for its value and the keys seen.
class TreeBuilder final : public YAML::EventHandler {
 public:
    TreeBuilder(std::string_view text, ProblemList& problems) : text_(text), problems_(problems) {}

    std::optional<Node> take_root() { return std::move(root_); }

    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}

    void OnAnchor(const YAML::Mark& mark, const std::string& name) override {
        problems_.add(where(mark), "anchors are not supported (&" + name + "): repeat the value");
    }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
        problems_.add(where(mark), "aliases are not supported (*): repeat the value");
        Node node;
        node.where = where(mark);
        place(std::move(node));
    }

    void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
        Node node;
        node.where = where(mark);
        // The parser reports an explicit null and a missing value alike; only the text tells them apart.
        if (written_at(mark, "null") || written_at(mark, "~"))
            node.text = "null";
        else
            node.where.line -= blank_lines_before(mark);
        place(std::move(node));
    }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  const std::string& value) override {
        check_tag(mark, tag);
        Node node;
        if (tag == "?") {
            node = plain_scalar(value, where(mark));
        } else {
            node.where = where(mark);
            node.kind = Node::Kind::string;
            node.text = value;
        }
        place(std::move(node));
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {
        open(mark, tag, Node::Kind::array);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                    YAML::EmitterStyle::value) override {
        open(mark, tag, Node::Kind::object);
    }
    void OnMapEnd() override { close(); }

 private:
    struct Frame {
        Node node;
        std::unordered_map<std::string, int> lines;  // of the keys seen
        bool has_key = false;
        bool drop_value = false;  // the key was refused: its value is read and forgotten
        std::string key;
        Where key_where;
    };

    static Where where(const YAML::Mark& mark) { return {mark.line + 1, {}}; }

    bool written_at(const YAML::Mark& mark, std::string_view word) const {
        return mark.pos >= 0 && static_cast<std::size_t>(mark.pos) < text_.size() &&
               text_.substr(static_cast<std::size_t>(mark.pos)).starts_with(word);
    }

    // A missing value is reported where the next token stands, often lines below the key or dash it belongs
    // to.
    int blank_lines_before(const YAML::Mark& mark) const {
        int lines = 0;
        std::size_t at = std::min(static_cast<std::size_t>(std::max(mark.pos, 0)), text_.size());
        for (; at > 0 && std::string_view(" \t\r\n").find(text_[at - 1]) != std::string_view::npos; --at)
            if (text_[at - 1] == '\n') ++lines;
        return lines;
    }

    void check_tag(const YAML::Mark& mark, const std::string& tag) {
        if (!tag.empty() && tag != "?" && tag != "!")
            problems_.add(where(mark),
                          "tags are not supported (" + tag + "): quote a value that is to be a string");
    }

    void open(const YAML::Mark& mark, const std::string& tag, Node::Kind kind) {
        check_tag(mark, tag);
        if (frames_.size() >= node_levels_max) {
            problems_.add(where(mark), "nested deeper than " + std::to_string(node_levels_max) + " levels");
            throw TooDeep{};
        }
        Frame frame;
        frame.node.kind = kind;
        frame.node.where = where(mark);
        frames_.push_back(std::move(frame));
    }

    void close() {
        Node node = std::move(frames_.back().node);
        frames_.pop_back();
        place(std::move(node));
    }

    // A finished node is the document, an item, a key or a value.
    void place(Node node) {
        if (frames_.empty()) {
            root_ = std::move(node);
            return;
        }
        Frame& frame = frames_.back();
        if (frame.node.kind == Node::Kind::array) {
            frame.node.children.push_back(std::move(node));
        } else if (!frame.has_key) {
            take_key(frame, std::move(node));
        } else {
            frame.has_key = false;
            if (frame.drop_value) return;
            node.key = std::move(frame.key);
            node.key_where = std::move(frame.key_where);
            frame.node.children.push_back(std::move(node));
        }
    }

    void take_key(Frame& frame, Node node) {
        frame.has_key = true;
        frame.drop_value = true;
        frame.key_where = node.where;
        if (!node.is_scalar() || node.is_null()) {
            problems_.add(node.where, "a key must be a word or a quoted string, not " + key_kind(node));
            return;
        }
        if (node.text == "<<") {
            problems_.add(node.where, "merge keys (<<) are not supported: repeat the keys");
            return;
        }
        const auto [seen, is_new] = frame.lines.emplace(node.text, node.where.line);
        if (!is_new) {
            problems_.add(node.where,
                          "duplicate key '" + node.text + "', first on line " + std::to_string(seen->second));
            return;
        }
        frame.drop_value = false;
        frame.key = std::move(node.text);
    }

    static std::string key_kind(const Node& node) { return std::string(kind_name(node.kind)); }

    std::string_view text_;
    ProblemList& problems_;
    std::vector<Frame> frames_;
    std::optional<Node> root_;
};

// A second document is looked for even when it would not parse.
class SecondDocument final : public YAML::EventHandler {
 public:
    struct Found {
        int line;
    };
    void OnDocumentStart(const YAML::Mark& mark) override { throw Found{mark.line + 1}; }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
    void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
    void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
    void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {}
    void OnSequenceEnd() override {}
    void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                    YAML::EmitterStyle::value) override {}
    void OnMapEnd() override {}
};

// Bytes of the UTF-8 sequence at the front of `text`, 0 when it is none (overlong forms and surrogates are
// none).
std::size_t utf8_sequence(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto continues = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xC0u) == 0x80u; };
    const unsigned char first = byte(0);
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF) {
        if (!continues(1) || !continues(2)) return 0;
        if (first == 0xE0 && byte(1) < 0xA0) return 0;
        if (first == 0xED && byte(1) > 0x9F) return 0;
        return 3;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        if (!continues(1) || !continues(2) || !continues(3)) return 0;
        if (first == 0xF0 && byte(1) < 0x90) return 0;
        if (first == 0xF4 && byte(1) > 0x8F) return 0;
        return 4;
    }
    return 0;
}

}  // namespace

std::optional<TextFault> find_text_fault(std::string_view text) {
    int line = 1;
    while (!text.empty()) {
        const std::size_t length = utf8_sequence(text);
        if (length == 0) return TextFault{line, "not UTF-8"};
        const auto first = static_cast<unsigned char>(text.front());
        // yaml-cpp takes 0x04 for the end of the file and would ignore what follows it.
        if ((first < 0x20 && first != '\n' && first != '\r' && first != '\t') || first == 0x7F)
            return TextFault{line, "a control character"};
        if (first == '\n') ++line;
        text.remove_prefix(length);
    }
    return std::nullopt;
}

std::optional<Node> read_yaml(const std::string& file_text, ProblemList& problems) {
    // yaml-cpp skips a byte order mark without counting it, which would shift its positions against the text.
    const std::string text = file_text.substr(file_text.starts_with("\xEF\xBB\xBF") ? 3 : 0);
    if (const auto fault = find_text_fault(text)) {
        problems.add({fault->line, {}}, "this text cannot be read: " + fault->what);
        return std::nullopt;
    }
    TreeBuilder builder(text, problems);
    try {
        std::istringstream stream(text);
        YAML::Parser parser(stream);
        if (!parser.HandleNextDocument(builder)) {
            problems.add({}, "the file is empty");
            return std::nullopt;
        }
        SecondDocument second;
        parser.HandleNextDocument(second);
    } catch (const SecondDocument::Found& found) {
        problems.add({found.line, {}}, "a second document is not supported: one file, one document");
        return std::nullopt;
    } catch (const TooDeep&) {
        return std::nullopt;
    } catch (const YAML::Exception& error) {
        problems.add({error.mark.is_null() ? 0 : error.mark.line + 1, {}}, "not valid YAML: " + error.msg);
        return std::nullopt;
    }
    return builder.take_root();
}

}  // namespace fieldgate::config
