#include "config/name_pattern.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <boost/assert.hpp>
#include <utility>

namespace fieldgate::config {
namespace {

constexpr std::uint32_t parentheses_levels_max = 50;

// The library counts the steps of a match anew at each position it starts from, so what a whole search may
// take is divided by the length of the name; a pattern with one place to start needs some steps per character
// all the same.
constexpr std::uint32_t search_steps_max = 20'000;
constexpr std::uint32_t match_steps_min = 500;
constexpr std::uint32_t backtracking_levels_max = 4000;
constexpr std::uint32_t heap_kib_max = 1024;

std::string message_of(int error) {
    PCRE2_UCHAR buffer[256] = {};
    if (pcre2_get_error_message(error, buffer, sizeof buffer) < 0) return "invalid";
    return reinterpret_cast<const char*>(buffer);
}

template <class T, void (*free_it)(T*)>
struct Free {
    void operator()(T* pointer) const { free_it(pointer); }
};
using CompileContext =
    std::unique_ptr<pcre2_compile_context, Free<pcre2_compile_context, pcre2_compile_context_free>>;
using MatchContext =
    std::unique_ptr<pcre2_match_context, Free<pcre2_match_context, pcre2_match_context_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Free<pcre2_match_data, pcre2_match_data_free>>;

// What a thread needs for a match.
struct Matcher {
    Matcher() : context(pcre2_match_context_create(nullptr)), data(pcre2_match_data_create(1, nullptr)) {
        BOOST_ASSERT(context != nullptr && data != nullptr);
        pcre2_set_depth_limit(context.get(), backtracking_levels_max);
        pcre2_set_heap_limit(context.get(), heap_kib_max);
    }
    MatchContext context;
    MatchData data;
};

}  // namespace

struct NamePattern::Code {
    std::unique_ptr<pcre2_code, Free<pcre2_code, pcre2_code_free>> compiled;
};

NamePattern::NamePattern(std::string text, std::unique_ptr<const Code> code)
    : text_(std::move(text)), code_(std::move(code)) {}

NamePattern::~NamePattern() = default;

NamePattern::Compiled NamePattern::compile(std::string_view text) {
    if (text.size() > pattern_bytes_max)
        return {nullptr, "longer than " + std::to_string(pattern_bytes_max) + " bytes", pattern_bytes_max};
    if (const std::size_t null = text.find('\0'); null != std::string_view::npos)
        return {nullptr, "a null character", null};
    const CompileContext context(pcre2_compile_context_create(nullptr));
    BOOST_ASSERT(context != nullptr);
    pcre2_set_parens_nest_limit(context.get(), parentheses_levels_max);

    int error = 0;
    PCRE2_SIZE offset = 0;
    auto code = std::make_unique<Code>();
    // \C takes single bytes out of characters, which the library itself calls dangerous.
    code->compiled.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                       PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &error, &offset, context.get()));
    if (code->compiled == nullptr) return {nullptr, message_of(error), offset};
    return {std::shared_ptr<const NamePattern>(new NamePattern(std::string(text), std::move(code))), {}, 0};
}

NamePattern::Answer NamePattern::matches(std::string_view name) const {
    if (name.size() > pattern_name_bytes_max) return Answer::undecided;
    thread_local Matcher matcher;
    const auto starts = static_cast<std::uint32_t>(name.size() + 1);
    pcre2_set_match_limit(matcher.context.get(), std::max(match_steps_min, search_steps_max / starts));
    const int result = pcre2_match(code_->compiled.get(), reinterpret_cast<PCRE2_SPTR>(name.data()),
                                   name.size(), 0, PCRE2_NO_JIT, matcher.data.get(), matcher.context.get());
    if (result >= 0) return Answer::yes;
    return result == PCRE2_ERROR_NOMATCH ? Answer::no : Answer::undecided;
}

}  // namespace fieldgate::config
