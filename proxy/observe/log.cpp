#include "proxy/observe/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>

#include "proxy/observe/utf8.hpp"

namespace fieldgate::observe {
namespace {

std::string_view level_name(Level level) {
    switch (level) {
        case Level::trace:
            return "trace";
        case Level::debug:
            return "debug";
        case Level::info:
            return "info";
        case Level::warn:
            return "warn";
        case Level::error:
            return "error";
    }
    return "error";
}

std::string_view level_color(Level level) {
    switch (level) {
        case Level::trace:
        case Level::debug:
            return "\x1b[2m";
        case Level::info:
            return "\x1b[32m";
        case Level::warn:
            return "\x1b[33m";
        case Level::error:
            return "\x1b[31m";
    }
    return "";
}

void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    while (!text.empty()) {
        const std::size_t sequence_bytes = utf8_sequence_bytes(text);
        if (sequence_bytes == 0) {
            out += "\\ufffd";
            text.remove_prefix(1);
            continue;
        }
        const char c = text.front();
        if (sequence_bytes > 1 && is_shown(text.substr(0, sequence_bytes))) {
            out += text.substr(0, sequence_bytes);
        } else if (sequence_bytes > 1) {
            out += json_escape(text.substr(0, sequence_bytes));
        } else if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\r') {
            out += "\\r";
        } else if (c == '\t') {
            out += "\\t";
        } else if (!is_shown(text.substr(0, 1))) {
            out += json_escape(text.substr(0, 1));
        } else {
            out += c;
        }
        text.remove_prefix(sequence_bytes);
    }
    out += '"';
}

// Text that needs no quotes: printable ASCII without the characters that structure a line.
bool is_plain(std::string_view text) {
    if (text.empty()) return false;
    for (const char c : text) {
        if (c <= 0x20 || c >= 0x7F || c == '"' || c == '\\' || c == '=') return false;
    }
    return true;
}

void append_value(std::string& out, const Field::Value& value, bool json) {
    if (const auto* text = std::get_if<std::string_view>(&value)) {
        if (!json && is_plain(*text)) {
            out += *text;
        } else {
            append_json_string(out, *text);
        }
    } else if (const auto* flag = std::get_if<bool>(&value)) {
        out += *flag ? "true" : "false";
    } else if (const auto* number = std::get_if<std::int64_t>(&value)) {
        out += std::to_string(*number);
    } else {
        out += std::to_string(std::get<std::uint64_t>(value));
    }
}

std::string time_text() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
    const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    char text[32];
    const std::size_t count = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    char fraction[8];
    std::snprintf(fraction, sizeof fraction, ".%03dZ", static_cast<int>(ms % 1000));
    return std::string(text, count) + fraction;
}

// spdlog owns the descriptor and the lock; lines come to it finished.
struct State {
    std::atomic<Level> level{Level::info};
    std::atomic<LineFormat> format{LineFormat::text};
    std::shared_ptr<spdlog::sinks::sink> sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    State() { sink->set_pattern("%v"); }
};

State& state() {
    static State* const instance = new State;  // never destroyed: threads may log until the process ends
    return *instance;
}

}  // namespace

std::string format_line(LineFormat format, Level level, std::string_view time, std::string_view message,
                        Fields fields) {
    std::string line;
    line.reserve(160);
    if (format == LineFormat::json) {
        line += "{\"ts\":";
        append_json_string(line, time);
        line += ",\"level\":";
        append_json_string(line, level_name(level));
        line += ",\"msg\":";
        append_json_string(line, message);
        for (const Field& field : fields) {
            line += ',';
            append_json_string(line, field.name());
            line += ':';
            append_value(line, field.value(), true);
        }
        line += '}';
        return line;
    }
    const bool colored = format == LineFormat::colored_text;
    line += time;
    line += ' ';
    if (colored) line += level_color(level);
    line += level_name(level);
    line.append(5 - level_name(level).size(), ' ');
    if (colored) line += "\x1b[0m";
    line += ' ';
    // A message is our own sentence, spaces and all; one that holds control characters came from a library.
    if (is_text_shown(message)) {
        line += message;
    } else {
        append_json_string(line, message);
    }
    for (const Field& field : fields) {
        line += ' ';
        line += field.name();
        line += '=';
        append_value(line, field.value(), false);
    }
    return line;
}

namespace log {

void set_up(Level level, config::Log::Format format) {
    LineFormat line_format = LineFormat::json;
    if (format == config::Log::Format::text ||
        (format == config::Log::Format::automatic && ::isatty(STDERR_FILENO) == 1)) {
        // no-color.org: present and not empty, regardless of its value.
        const char* no_color = std::getenv("NO_COLOR");
        const bool plain = (no_color != nullptr && *no_color != '\0') || ::isatty(STDERR_FILENO) != 1;
        line_format = plain ? LineFormat::text : LineFormat::colored_text;
    }
    state().level = level;
    state().format = line_format;
}

bool is_on(Level level) {
    return level >= state().level.load(std::memory_order_relaxed);
}

void write(Level level, std::string_view message, Fields fields) {
    if (!is_on(level)) return;
    State& log_state = state();
    const std::string line = format_line(log_state.format, level, time_text(), message, fields);
    log_state.sink->log(spdlog::details::log_msg({}, spdlog::level::info, spdlog::string_view_t(line)));
    log_state.sink->flush();
}

}  // namespace log
}  // namespace fieldgate::observe
