#include "path_matrix.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "pipeline_support.hpp"

namespace fieldgate::analysis::testing {
namespace {

// Values that nothing else in a form has, so that they are found wherever they were left in clear.
constexpr std::int32_t number = 145014007;
const std::string number_text = std::to_string(number);
const std::string text_value = "kept-from-the-server";

std::string value_of(PathKind kind) {
    switch (kind) {
        case PathKind::random:
            return "\"" + text_value + "\"";
        case PathKind::parent:
            return R"({"policyNumber": )" + number_text + R"(, "agent": {"code": ")" + text_value + R"("}})";
        case PathKind::deterministic:
        case PathKind::plain:
        case PathKind::below:
            break;
    }
    return number_text;
}

std::string replaced(std::string text, std::string_view token, const std::string& by) {
    for (std::size_t at = 0; (at = text.find(token, at)) != std::string::npos; at += by.size())
        text.replace(at, token.size(), by);
    return text;
}

bool is_in_clear(const bson::Buffer& message) {
    const auto holds = [&](const auto& bytes) {
        return std::search(message.begin(), message.end(), bytes.begin(), bytes.end()) != message.end();
    };
    std::array<std::uint8_t, 4> little_endian{};
    for (std::size_t i = 0; i < little_endian.size(); ++i)
        little_endian[i] = static_cast<std::uint8_t>(static_cast<std::uint32_t>(number) >> (8 * i));
    return holds(little_endian) || holds(text_value);
}

void expect_edits(const Outcome& outcome, const Cell& cell, const std::string& path) {
    ASSERT_EQ(outcome.edits.size(), cell.edits.size()) << outcome;
    for (std::size_t i = 0; i < cell.edits.size(); ++i) {
        const std::string expected = replaced(cell.edits[i], "PATH", path);
        EXPECT_TRUE(outcome.edits[i].ends_with(expected)) << outcome << "\n  lacks: " << expected;
    }
}

std::optional<std::string> problem_of(const Row& row) {
    std::size_t decided = 0;
    for (const PathKind kind : path_kinds) {
        const Cell& cell = row.on(kind);
        const std::string where =
            row.name + " " + row.form + " on a path that is " + std::string(name_of(kind));
        if (cell.is == Cell::Is::missing) return "no decision: " + where;
        if (cell.is != Cell::Is::passes && cell.text.empty()) return "no reason: " + where;
        if (cell.is != Cell::Is::absent) ++decided;
    }
    if (decided == 0 && row.alone.is != Cell::Is::passes && row.alone.is != Cell::Is::refused)
        return "no decision: " + row.name + " " + row.form;
    return std::nullopt;
}

}  // namespace

std::string_view name_of(PathKind kind) {
    constexpr std::array<std::string_view, 5> names{"deterministic", "random", "plain", "a parent",
                                                    "below an encrypted field"};
    return names.at(static_cast<std::size_t>(kind));
}

std::vector<std::string> paths_of(PathKind kind) {
    switch (kind) {
        case PathKind::deterministic:
            return {"ssn", "insurance.policyNumber"};
        case PathKind::random:
            return {"bloodType", "contact.email"};
        case PathKind::plain:
            return {"name", "insurance.provider"};
        case PathKind::parent:
            return {"insurance"};
        case PathKind::below:
            return {"ssn.x", "bloodType.x", "medicalRecords.0.weight", "insurance.policyNumber.x"};
    }
    return {};
}

Cell passes(std::optional<std::string> tree) {
    return {.is = Cell::Is::passes, .tree = std::move(tree)};
}

Cell encrypts(const std::string& at, std::optional<std::string> tree) {
    return encrypts_all({at + "=encrypt PATH"}, std::move(tree));
}

Cell encrypts_all(std::vector<std::string> edits, std::optional<std::string> tree) {
    return {.is = Cell::Is::passes, .edits = std::move(edits), .tree = std::move(tree)};
}

Cell encrypts_inside(const std::string& at, std::optional<std::string> tree) {
    return encrypts_all(
        {at + ".policyNumber=encrypt PATH.policyNumber", at + ".agent.code=encrypt PATH.agent.code"},
        std::move(tree));
}

Cell refuses(std::string text, std::int32_t code) {
    return {.is = Cell::Is::refused, .text = std::move(text), .code = code};
}

Cell absent(std::string reason) {
    return {.is = Cell::Is::absent, .text = std::move(reason)};
}

const Cell& Row::on(PathKind kind) const {
    switch (kind) {
        case PathKind::deterministic:
            return deterministic;
        case PathKind::random:
            return random;
        case PathKind::plain:
            return plain;
        case PathKind::parent:
            return parent;
        case PathKind::below:
            break;
    }
    return below;
}

Row pathless(std::string name, std::string form, const std::string& reason, Cell alone) {
    const Cell none = absent(reason);
    return {std::move(name), std::move(form), none, none, none, none, none, {}, std::move(alone)};
}

Row never(std::string name, std::string form, const std::string& reason, const Cell& refused) {
    return {std::move(name), std::move(form), refused, refused, refused, refused, refused, reason};
}

Row as_name(Row row) {
    row.as_name = true;
    return row;
}

void expect_cell(const Row& row, PathKind kind, const std::string& path, const RunForm& run,
                 CheckTrees trees) {
    const Cell& cell = row.on(kind).is == Cell::Is::absent ? row.alone : row.on(kind);
    const std::string form = replaced(replaced(row.form, "VALUE", value_of(kind)), "PATH", path);
    SCOPED_TRACE(row.name + " on " + path + ": " + form);
    const Outcome outcome = run(form, path);
    if (cell.is == Cell::Is::refused) {
        expect_refusal(outcome, cell.code, replaced(cell.text, "PATH", path));
        // Errors name what was wrong, never a value.
        EXPECT_EQ(outcome.refusal.errmsg.find(number_text), std::string::npos) << outcome;
        EXPECT_EQ(outcome.refusal.errmsg.find(text_value), std::string::npos) << outcome;
        return;
    }
    ASSERT_EQ(cell.is, Cell::Is::passes);
    ASSERT_TRUE(outcome.passed()) << outcome;
    expect_edits(outcome, cell, path);
    if (kind != PathKind::plain) {
        EXPECT_FALSE(is_in_clear(outcome.unedited)) << outcome;
    }
    if (cell.tree && trees == CheckTrees::yes && path == paths_of(kind).front()) {
        EXPECT_EQ(reply_tree(outcome), replaced(*cell.tree, "PATH", path));
    }
}

void expect_rows(const std::vector<Row>& rows, const RunForm& run, CheckTrees trees) {
    for (const Row& row : rows) {
        bool has_path = false;
        for (const PathKind kind : path_kinds) {
            if (row.on(kind).is == Cell::Is::absent) continue;
            has_path = true;
            for (const std::string& path : paths_of(kind))
                if (!row.as_name || path == paths_of(kind).front()) expect_cell(row, kind, path, run, trees);
        }
        if (!has_path) expect_cell(row, PathKind::plain, paths_of(PathKind::plain).front(), run, trees);
    }
}

std::vector<std::string> gaps(const std::vector<Row>& rows, const std::vector<std::string>& names) {
    std::vector<std::string> found;
    for (const Row& row : rows) {
        if (const auto problem = problem_of(row)) found.push_back(*problem);
        if (std::find(names.begin(), names.end(), row.name) == names.end())
            found.push_back("the code has no row " + row.name);
    }
    std::set<std::string> seen;
    for (const std::string& name : names) {
        if (!seen.insert(name).second) found.push_back("stands twice in the code's table: " + name);
        bool has_row = false;
        bool succeeds = false;
        bool never_succeeds = false;
        bool is_refused = false;
        for (const Row& row : rows) {
            if (row.name != name) continue;
            has_row = true;
            never_succeeds = never_succeeds || !row.never.empty();
            const auto count = [&](const Cell& cell) {
                succeeds = succeeds || cell.is == Cell::Is::passes;
                is_refused = is_refused || cell.is == Cell::Is::refused;
            };
            for (const PathKind kind : path_kinds) count(row.on(kind));
            count(row.alone);
        }
        if (!has_row)
            found.push_back("no row: " + name);
        else if (succeeds == never_succeeds)
            found.push_back(std::string(succeeds ? "succeeds, but never should: " : "no success: ") + name);
        else if (!is_refused)
            found.push_back("no refusal: " + name);
    }
    return found;
}

}  // namespace fieldgate::analysis::testing
