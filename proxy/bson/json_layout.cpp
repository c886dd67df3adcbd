#include "proxy/bson/json_layout.hpp"

#include <boost/assert.hpp>
#include <utility>
#include <vector>

namespace fieldgate::bson {
namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

// Brackets, commas and colons are tokens of one character; strings and literals are one token each.
std::vector<std::string_view> tokens_of(std::string_view json) {
    std::vector<std::string_view> tokens;
    for (std::size_t at = 0; at < json.size();) {
        if (is_blank(json[at])) {
            ++at;
            continue;
        }
        std::size_t end = at + 1;
        if (json[at] == '"') {
            while (end < json.size() && json[end] != '"') end += json[end] == '\\' ? 2u : 1u;
            ++end;
        } else if (std::string_view("{}[],:").find(json[at]) == std::string_view::npos) {
            while (end < json.size() && !is_blank(json[end]) &&
                   std::string_view("{}[],:\"").find(json[end]) == std::string_view::npos)
                ++end;
        }
        tokens.push_back(json.substr(at, end - at));
        at += tokens.back().size();
    }
    return tokens;
}

bool opens(std::string_view token) {
    return token == "{" || token == "[";
}
bool closes(std::string_view token) {
    return token == "}" || token == "]";
}

class Layout {
 public:
    explicit Layout(std::string_view json) : tokens_(tokens_of(json)) {}

    std::string text() {
        while (at_ < tokens_.size()) {
            const std::string_view token = tokens_[at_];
            if (opens(token)) {
                open(token);
            } else if (closes(token)) {
                BOOST_ASSERT_MSG(level_ != 0, "more is closed than was opened");
                --level_;
                new_line();
                out_ += token;
                ++at_;
            } else if (token == ",") {
                out_ += token;
                new_line();
                ++at_;
            } else {
                out_ += token == ":" ? ": " : token;
                ++at_;
            }
        }
        return std::move(out_);
    }

 private:
    void new_line() {
        out_ += '\n';
        line_start_ = out_.size();
        out_.append(level_ * 2, ' ');
    }

    void open(std::string_view token) {
        if (const std::size_t end = end_of_line_at(at_); end != 0) {
            for (; at_ < end; ++at_) append_in_line(tokens_[at_], at_ + 1 < end ? tokens_[at_ + 1] : "");
            return;
        }
        out_ += token;
        ++level_;
        ++at_;
        new_line();
    }

    // Behind the closing token if all of it fits into the line; 0: it does not.
    std::size_t end_of_line_at(std::size_t begin) const {
        std::size_t columns = out_.size() - line_start_ + 1;  // a comma may follow
        std::size_t depth = 0;
        for (std::size_t at = begin; at < tokens_.size(); ++at) {
            const std::string_view token = tokens_[at];
            const std::string_view next = at + 1 < tokens_.size() ? tokens_[at + 1] : "";
            columns += token.size() + (blank_between(token, next) ? 1 : 0);
            if (columns > json_line_columns_max) return 0;
            if (opens(token)) ++depth;
            if (closes(token) && --depth == 0) return at + 1;
        }
        return 0;
    }

    static bool blank_between(std::string_view token, std::string_view next) {
        if (token == "," || token == ":") return true;
        if (opens(token)) return !closes(next);
        return closes(next);
    }

    void append_in_line(std::string_view token, std::string_view next) {
        out_ += token;
        if (!next.empty() && blank_between(token, next)) out_ += ' ';
    }

    std::vector<std::string_view> tokens_;
    std::size_t at_ = 0;
    std::size_t level_ = 0;
    std::size_t line_start_ = 0;
    std::string out_;
};

}  // namespace

std::string lay_out_json(std::string_view json) {
    if (!json.starts_with('{')) return std::string(json);
    return Layout(json).text();
}

}  // namespace fieldgate::bson
