#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support.hpp"

// Rows of csfle.md 3, each on the five kinds of path: what is decided, and what it does to the command.
namespace fieldgate::analysis::testing {

enum class PathKind : std::uint8_t { deterministic, random, plain, parent, below };
inline constexpr std::array path_kinds{PathKind::deterministic, PathKind::random, PathKind::plain,
                                       PathKind::parent, PathKind::below};
std::string_view name_of(PathKind kind);
// The clinic's paths of a kind. Decisions and edits are those of every one; the reply's tree is that of the
// first.
std::vector<std::string> paths_of(PathKind kind);

// What becomes of a form on one kind of path. PATH in its texts stands for the path.
struct Cell {
    enum class Is : std::uint8_t { missing, passes, refused, absent };
    Is is = Is::missing;
    std::string text = {};  // of the refusal, or why no path of this kind can stand there
    std::int32_t code = 0;
    std::vector<std::string> edits = {};             // "<end of the place>=encrypt <field>", all there are
    std::optional<std::string> tree = std::nullopt;  // of the reply
};
// As it came: nothing is encrypted.
Cell passes(std::optional<std::string> tree = std::nullopt);
// One value of the path's own field is encrypted, in a place that ends in `at`.
Cell encrypts(const std::string& at, std::optional<std::string> tree = std::nullopt);
Cell encrypts_all(std::vector<std::string> edits, std::optional<std::string> tree = std::nullopt);
// The two fields of a whole `insurance`, in an object at a place that ends in `at`.
Cell encrypts_inside(const std::string& at, std::optional<std::string> tree = std::nullopt);
Cell refuses(std::string text, std::int32_t code = code::operation_not_on_encrypted);
Cell absent(std::string reason);

// In `form`, PATH stands for the path, VALUE for a value that it could have: an int, a string, or the whole
// object for the parent.
struct Row {
    std::string name;  // of the row in the code's table
    std::string form;
    Cell deterministic, random, plain, parent, below;
    std::string never = {};  // why no form of it can pass; empty: one does
    Cell alone = {};         // what becomes of a form in which no path can stand
    bool as_name = false;    // the path stands as one name: of each kind's paths only the first does

    const Cell& on(PathKind kind) const;
};
// A form in which no path can stand, for the reason given.
Row pathless(std::string name, std::string form, const std::string& reason, Cell alone);
// The same decision on every kind of path, the plain one too, for the reason given.
Row never(std::string name, std::string form, const std::string& reason, const Cell& refused);

// A form in which the path stands as one name.
Row as_name(Row row);

// The command that a form stands in; `path` is the one that stands in the form already.
using RunForm = std::function<Outcome(const std::string& form, const std::string& path)>;
enum class CheckTrees : std::uint8_t { yes, no };
void expect_rows(const std::vector<Row>& rows, const RunForm& run, CheckTrees trees = CheckTrees::yes);
// One form on one path.
void expect_cell(const Row& row, PathKind kind, const std::string& path, const RunForm& run,
                 CheckTrees trees);

// What is wrong with a matrix for a table of the code that has these names: rows that are not there, cells
// without a decision or a reason, names without a success or a refusal. Empty: it is complete.
std::vector<std::string> gaps(const std::vector<Row>& rows, const std::vector<std::string>& names);
template <typename Table>
std::vector<std::string> gaps_in(const std::vector<Row>& rows, const Table& table) {
    std::vector<std::string> names;
    for (const auto& row : table) names.emplace_back(row.name);
    return gaps(rows, names);
}

}  // namespace fieldgate::analysis::testing
