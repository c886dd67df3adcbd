#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

// The names of `patternProperties`: regular expressions in MongoDB's dialect, which is PCRE in UTF mode
// without any other option ("$jsonSchema", "patternProperties"). Everything about a match is bounded, because
// a schema may come from a server that is not trusted, and the names from clients.
namespace fieldgate::config {

// A pattern is a line of a schema; the library itself bounds what a compiled one may take.
inline constexpr std::size_t pattern_bytes_max = 1024;
// Longer names are not tried: undecided.
inline constexpr std::size_t pattern_name_bytes_max = 512;

class NamePattern {
 public:
    struct Compiled {
        std::shared_ptr<const NamePattern> pattern;  // null: refused
        std::string fault;                           // the library's words
        std::size_t offset = 0;                      // in bytes: where in the pattern it is wrong
    };
    static Compiled compile(std::string_view text);

    NamePattern(const NamePattern&) = delete;
    NamePattern& operator=(const NamePattern&) = delete;
    ~NamePattern();

    enum class Answer : std::uint8_t {
        no,
        yes,
        undecided,  // the name is too long or not UTF-8, or the match took more than it may
    };
    // Anywhere in the name, unless the pattern is anchored. Memory for a match belongs to the thread and is
    // kept, so that only its first one allocates.
    Answer matches(std::string_view name) const;

    const std::string& text() const { return text_; }

 private:
    struct Code;
    NamePattern(std::string text, std::unique_ptr<const Code> code);

    std::string text_;
    std::unique_ptr<const Code> code_;
};

}  // namespace fieldgate::config
