#include "config/section.hpp"

#include <algorithm>

#include "config/files.hpp"
#include "config/scalars.hpp"

namespace fieldgate::config {
namespace {

constexpr std::size_t secret_bytes_max = 65536;

}  // namespace

std::string duration_text(std::chrono::milliseconds duration) {
    const auto count = duration.count();
    if (count == 0) return "0s";
    std::string text;
    if (count >= 3'600'000) text += std::to_string(count / 3'600'000) + "h";
    if (count % 3'600'000 >= 60'000) text += std::to_string(count % 3'600'000 / 60'000) + "m";
    if (count % 60'000 >= 1000) text += std::to_string(count % 60'000 / 1000) + "s";
    if (count % 1000 != 0) text += std::to_string(count % 1000) + "ms";
    return text;
}

std::optional<std::string> LoadContext::secret(const Node& node, const std::string& path) const {
    ProblemList sink = problems;
    const auto refuse = [&](const Node& at, const std::string& what) {
        sink.add(at.where, path, what);
        return std::nullopt;
    };
    if (node.is_scalar()) {
        if (node.is_null()) return refuse(node, "has no value");
        return node.text;
    }
    if (!node.is_object() || node.children.size() != 1)
        return refuse(node, "must be a string, { file: PATH } or { env: NAME }");
    const Node& source = node.children.front();
    if (source.key != "file" && source.key != "env")
        return refuse(source, "unknown key '" + source.key + "': { file: PATH } or { env: NAME }");
    if (!source.is_scalar() || source.is_null() || source.text.empty())
        return refuse(source, "'" + source.key + "' must be a non-empty string");

    if (source.key == "env") {
        auto value = options.environment ? options.environment(source.text) : std::nullopt;
        if (!value || value->empty())
            return refuse(source, "environment variable " + source.text + " is not set");
        return value;
    }
    FileText file = read_text_file(resolve(source.text), secret_bytes_max);
    if (!file.fault.empty()) return refuse(source, "'" + source.text + "' " + file.fault);
    if (file.text.ends_with('\n')) file.text.pop_back();
    if (file.text.ends_with('\r')) file.text.pop_back();
    if (file.text.empty()) return refuse(source, "'" + source.text + "' is empty");
    return std::move(file.text);
}

Section::Section(LoadContext& context, const Node* node, std::string path)
    : context_(context), path_(std::move(path)) {
    if (node == nullptr) return;
    where_ = node->where;
    // A key with nothing behind it (all of it commented out, say) is an empty mapping.
    if (node->is_null() && node->text.empty()) return;
    if (!node->is_object()) {
        context_.problems.add(node->where, path_,
                              "must be a mapping, not " + std::string(kind_name(node->kind)));
        is_malformed_ = true;
        return;
    }
    node_ = node;
}

const Node* Section::take(const std::string& key) {
    known_.push_back(key);
    return node_ != nullptr ? node_->find(key) : nullptr;
}

const Node* Section::require(const std::string& key, const std::string& hint) {
    const Node* node = take(key);
    if (node == nullptr && !is_malformed_) context_.problems.add(where_, path(key), "missing: " + hint);
    return node;
}

void Section::unsupported(const std::string& key) {
    if (const Node* node = take(key))
        context_.problems.add(node->key_where, path(key), "not supported by this version");
}

std::optional<std::string> Section::string(const std::string& key) {
    const Node* node = take(key);
    if (node == nullptr) return std::nullopt;
    if (!node->is_scalar() || node->is_null()) {
        problem(*node, key,
                node->is_null() ? "has no value"
                                : "must be a single value, not " + std::string(kind_name(node->kind)));
        return std::nullopt;
    }
    if (node->text.empty()) {
        problem(*node, key, "must not be empty");
        return std::nullopt;
    }
    return node->text;
}

std::optional<std::string> Section::secret(const std::string& key) {
    const Node* node = take(key);
    return node != nullptr ? context_.secret(*node, path(key)) : std::nullopt;
}

std::optional<std::uint64_t> Section::number(const std::string& key, std::uint64_t min, std::uint64_t max) {
    const auto text = string(key);
    if (!text) return std::nullopt;
    const auto value = parse_unsigned(*text);
    if (value && *value >= min && *value <= max) return value;
    problem(*take(key), key,
            "must be a number from " + std::to_string(min) + " to " + std::to_string(max) + ", not '" +
                *text + "'");
    return std::nullopt;
}

std::optional<std::uint64_t> Section::bytes(const std::string& key, std::uint64_t min, std::uint64_t max) {
    const auto text = string(key);
    if (!text) return std::nullopt;
    const auto value = parse_byte_size(*text);
    if (value && *value >= min && *value <= max) return value;
    problem(*take(key), key,
            value ? "must be from " + std::to_string(min) + " to " + std::to_string(max) + " bytes, not '" +
                        *text + "'"
                  : "'" + *text + "' is no size: write bytes, or 64KiB, 16MiB, 48MB");
    return std::nullopt;
}

std::optional<std::chrono::milliseconds> Section::duration(const std::string& key,
                                                           std::chrono::milliseconds min,
                                                           std::chrono::milliseconds max) {
    const auto text = string(key);
    if (!text) return std::nullopt;
    const auto value = parse_duration(*text);
    if (value && *value >= min && *value <= max) return value;
    problem(*take(key), key,
            value
                ? "must be from " + duration_text(min) + " to " + duration_text(max) + ", not '" + *text + "'"
                : "'" + *text + "' is no duration: write 30s, 1m30s or 500ms");
    return std::nullopt;
}

std::vector<const Node*> Section::list(const std::string& key) {
    std::vector<const Node*> items;
    const Node* node = take(key);
    if (node == nullptr || (node->is_null() && node->text.empty())) return items;
    if (!node->is_array()) {
        problem(*node, key, "must be a list, not " + std::string(kind_name(node->kind)));
        return items;
    }
    items.reserve(node->children.size());
    for (const Node& item : node->children) items.push_back(&item);
    return items;
}

std::filesystem::path Section::readable_file(const std::string& key) {
    const auto name = string(key);
    if (!name) return {};
    std::filesystem::path path = context_.resolve(*name);
    const std::string fault = readable_fault(path);
    if (!fault.empty()) problem(*take(key), key, "'" + *name + "' " + fault);
    return path;
}

void Section::problem(const Node& at, const std::string& key, const std::string& what) const {
    context_.problems.add(at.where, path(key), what);
}

void Section::refuse_choice(const std::string& key, const std::string& text,
                            const std::vector<std::string>& names) {
    problem(*take(key), key,
            "must be " + join_or(names) + ", not '" + text + "'" + did_you_mean(text, names));
}

void Section::finish() {
    if (node_ == nullptr) return;
    for (const Node& child : node_->children)
        if (std::find(known_.begin(), known_.end(), child.key) == known_.end())
            context_.problems.add(child.key_where, path(child.key),
                                  "unknown key" + did_you_mean(child.key, known_));
}

}  // namespace fieldgate::config
