#include "proxy/commands/text.hpp"

#include <algorithm>

#include "config/bson_types.hpp"
#include "proxy/observe/utf8.hpp"

namespace fieldgate::commands {

std::string printable(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const std::size_t sequence_bytes = observe::utf8_sequence_bytes(text);
        const std::string_view sequence = text.substr(0, sequence_bytes);
        if (sequence_bytes != 0 && observe::is_shown(sequence)) {
            out += sequence;
        } else {
            out += '?';
        }
        text.remove_prefix(std::max<std::size_t>(sequence_bytes, 1));
    }
    return out;
}

std::string printable_json(std::string_view json) {
    std::string out;
    while (!json.empty()) {
        const std::size_t sequence_bytes = std::max<std::size_t>(observe::utf8_sequence_bytes(json), 1);
        const std::string_view sequence = json.substr(0, sequence_bytes);
        // C0 is escaped within JSON's strings: what is here is of the layout.
        const bool is_layout = sequence == "\n" || sequence == "\t" || sequence == "\r";
        out +=
            is_layout || observe::is_shown(sequence) ? std::string(sequence) : observe::json_escape(sequence);
        json.remove_prefix(sequence_bytes);
    }
    return out;
}

std::string shortened(std::string_view text, std::size_t bytes_max) {
    if (text.size() <= bytes_max) return std::string(text);
    std::size_t end = bytes_max;
    const auto is_continuation = [&](std::size_t at) {
        return (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
    };
    while (end > 0 && is_continuation(end)) --end;
    return std::string(text.substr(0, end)) + "...";
}

std::string joined(const std::vector<std::string>& texts) {
    std::string out;
    for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + text;
    return out;
}

std::string table(const std::vector<std::vector<std::string>>& rows, std::size_t indent) {
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        if (widths.size() < row.size()) widths.resize(row.size());
        for (std::size_t i = 0; i + 1 < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string text;
    for (const auto& row : rows) {
        std::string line(indent, ' ');
        for (std::size_t i = 0; i < row.size(); ++i) {
            line += printable(row[i]);
            if (i + 1 < row.size()) line.append(widths[i] - row[i].size() + 2, ' ');
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + '\n';
    }
    return text;
}

std::optional<analysis::NamespaceName> parse_name(std::string_view full_name) {
    const std::size_t dot = full_name.find('.');
    if (dot == std::string_view::npos || dot == 0 || dot + 1 == full_name.size() ||
        full_name.find('*') != std::string_view::npos)
        return std::nullopt;
    return analysis::NamespaceName{std::string(full_name.substr(0, dot)),
                                   std::string(full_name.substr(dot + 1))};
}

std::string source_of(const config::ProtectedNamespace& entry, const config::Config& config) {
    if (entry.index == config::ProtectedNamespace::not_listed) return "the collection's own validator";
    const std::string place = "schemas: " + entry.pattern.text() + ", " + config.file.string() +
                              (entry.line == 0 ? "" : ":" + std::to_string(entry.line));
    return entry.schema_file.empty() ? "written in the configuration (" + place + ")"
                                     : entry.schema_file.string() + " (" + place + ")";
}

std::string types_text(const config::EncryptedField& field) {
    std::string text;
    for (const std::uint8_t type : field.bson_types)
        text += (text.empty() ? "" : ", ") + std::string(config::bson_type_alias(type));
    return text.empty() ? "any type" : text;
}

std::string_view algorithm_text(const config::EncryptedField& field) {
    return field.algorithm == config::Algorithm::deterministic ? "deterministic" : "random";
}

}  // namespace fieldgate::commands
