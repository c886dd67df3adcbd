#include "proxy/bson/json_syntax.hpp"

#include <vector>

namespace fieldgate::bson {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

class Scanner {
 public:
    Scanner(std::string_view text, std::uint32_t levels_max) : text_(text), levels_max_(levels_max) {}

    // Open objects and arrays are kept in a vector of their closing characters, never on the call stack.
    bool object() {
        skip_space();
        if (peek() != '{') return false;
        if (!value()) return false;
        while (!closers_.empty()) {
            const bool in_object = closers_.back() == '}';
            skip_space();
            if (peek() == closers_.back()) {
                if (after_comma_) return false;
                ++at_;
                closers_.pop_back();
                need_comma_ = true;
                continue;
            }
            if (need_comma_) {
                if (peek() != ',') return false;
                ++at_;
                need_comma_ = false;
                after_comma_ = true;
                continue;
            }
            after_comma_ = false;
            if (in_object && !key()) return false;
            if (!value()) return false;
        }
        skip_space();
        return at_ == text_.size();
    }

 private:
    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    bool take(char expected) {
        if (peek() != expected || at_ == text_.size()) return false;
        ++at_;
        return true;
    }
    void skip_space() {
        while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos)
            ++at_;
    }

    bool key() {
        bool has_zero = false;
        if (!string(has_zero) || has_zero) return false;
        skip_space();
        return take(':');
    }

    // A scalar whole; of an object or array only the opening.
    bool value() {
        skip_space();
        need_comma_ = true;
        bool has_zero = false;
        switch (peek()) {
            case '{':
            case '[':
                if (closers_.size() >= levels_max_) return false;
                closers_.push_back(peek() == '{' ? '}' : ']');
                need_comma_ = false;
                ++at_;
                return true;
            case '"':
                return string(has_zero);
            case 't':
                return word("true");
            case 'f':
                return word("false");
            case 'n':
                return word("null");
            default:
                return number();
        }
    }

    bool word(std::string_view expected) {
        if (text_.substr(at_, expected.size()) != expected) return false;
        at_ += expected.size();
        return true;
    }

    bool digits() {
        if (!is_digit(peek())) return false;
        while (is_digit(peek())) ++at_;
        return true;
    }

    bool number() {
        if (peek() == '-') ++at_;
        if (peek() == '0') {
            ++at_;
        } else if (!digits()) {
            return false;
        }
        if (peek() == '.') {
            ++at_;
            if (!digits()) return false;
        }
        if (peek() == 'e' || peek() == 'E') {
            ++at_;
            if (peek() == '+' || peek() == '-') ++at_;
            if (!digits()) return false;
        }
        return true;
    }

    bool string(bool& has_zero) {
        if (!take('"')) return false;
        while (at_ < text_.size()) {
            const char c = text_[at_++];
            if (c == '"') return true;
            if (static_cast<unsigned char>(c) < 0x20) return false;
            if (c != '\\') continue;
            const char escape = peek();
            ++at_;
            if (escape != 'u') {
                if (escape == '\0' || std::string_view("\"\\/bfnrt").find(escape) == std::string_view::npos) {
                    return false;
                }
                continue;
            }
            const std::string_view code = text_.substr(at_, 4);
            if (code.size() != 4) return false;
            for (const char digit : code) {
                if (!is_hex(digit)) return false;
            }
            has_zero = has_zero || code == "0000";
            at_ += 4;
        }
        return false;
    }

    std::string_view text_;
    std::uint32_t levels_max_;
    std::size_t at_ = 0;
    std::vector<char> closers_;
    bool need_comma_ = false;   // a member was read: a comma or the end follows
    bool after_comma_ = false;  // a comma was read: a member follows, not the end
};

}  // namespace

bool is_strict_json_object(std::string_view text, std::uint32_t levels_max) {
    return Scanner(text, levels_max).object();
}

}  // namespace fieldgate::bson
