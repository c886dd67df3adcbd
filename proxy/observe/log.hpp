#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "config/config.hpp"

// The process's log: one line per event on standard error. It takes ids, names, counts and codes; there is no
// overload for bytes, documents or spans, so that a payload cannot reach the log by accident. What a caller
// passes as text must not be a value of a document either.
//
//     observe::log::info("listening", {{"listener", listener.name}, {"port", port}});
//
// Any thread may call, before set_up() too (text, level info).
namespace fieldgate::observe {

// One named value of a log line. A view: used within the call that it is passed to.
class Field {
 public:
    Field(std::string_view name, std::string_view value) : name_(name), value_(value) {}
    Field(std::string_view name, const std::string& value) : name_(name), value_(std::string_view(value)) {}
    Field(std::string_view name, const char* value) : name_(name), value_(std::string_view(value)) {}
    Field(std::string_view name, bool value) : name_(name), value_(value) {}
    template <std::signed_integral T>
    Field(std::string_view name, T value) : name_(name), value_(static_cast<std::int64_t>(value)) {}
    template <std::unsigned_integral T>
    Field(std::string_view name, T value) : name_(name), value_(static_cast<std::uint64_t>(value)) {}
    // Anything else, pointers to bytes among them, is not for the log.
    template <typename T>
    Field(std::string_view name, const T* value) = delete;

    using Value = std::variant<std::string_view, bool, std::int64_t, std::uint64_t>;
    std::string_view name() const { return name_; }
    const Value& value() const { return value_; }

 private:
    std::string_view name_;
    Value value_;
};

using Fields = std::initializer_list<Field>;
using Level = config::Log::Level;

enum class LineFormat : std::uint8_t { text, colored_text, json };

// One line without its end. `time` is RFC 3339 with milliseconds. JSON escapes what RFC 8259 section 7
// demands and replaces what is not UTF-8; text quotes values that hold spaces, quotes or control characters,
// so that a name chosen by someone else cannot forge a line. Exposed for testing.
std::string format_line(LineFormat format, Level level, std::string_view time, std::string_view message,
                        Fields fields);

namespace log {

// Format::automatic is text on a terminal (in colour unless NO_COLOR is set), JSON elsewhere.
void set_up(Level level, config::Log::Format format);
bool is_on(Level level);

void write(Level level, std::string_view message, Fields fields);

inline void trace(std::string_view message, Fields fields = {}) {
    write(Level::trace, message, fields);
}
inline void debug(std::string_view message, Fields fields = {}) {
    write(Level::debug, message, fields);
}
inline void info(std::string_view message, Fields fields = {}) {
    write(Level::info, message, fields);
}
inline void warn(std::string_view message, Fields fields = {}) {
    write(Level::warn, message, fields);
}
inline void error(std::string_view message, Fields fields = {}) {
    write(Level::error, message, fields);
}

}  // namespace log
}  // namespace fieldgate::observe
