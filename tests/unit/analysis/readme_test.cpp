#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>
#include <utility>
#include <vector>

#include "proxy/analysis/commands.hpp"
#include "proxy/analysis/expressions.hpp"
#include "proxy/analysis/match.hpp"
#include "proxy/analysis/pipeline.hpp"
#include "proxy/analysis/server_documents.hpp"
#include "proxy/analysis/stages.hpp"
#include "proxy/analysis/updates.hpp"

// The README's tables of what works and what is refused are those that the code uses: this test writes them
// and compares. `FIELDGATE_WRITE_README=1 build/release/analysis_tests --gtest_filter='Readme.*'` puts them
// into the README.
namespace fieldgate::analysis {
namespace {

constexpr std::string_view begin_mark = "<!-- tables: begin -->\n";
constexpr std::string_view end_mark = "<!-- tables: end -->";

// What is said of each group, in this order, and the names in it.
class Groups {
 public:
    // `first`: groups in this order; others follow in the order of their text.
    Groups(std::string title, std::string head, std::initializer_list<std::string_view> first = {})
        : title_(std::move(title)), head_(std::move(head)), first_(first.size()) {
        for (const std::string_view group : first) groups_.push_back({std::string(group), {}});
    }
    void add(std::string_view group, std::string_view name) {
        for (auto& [known, names] : groups_)
            if (known == group) return static_cast<void>(names.insert(std::string(name)));
        groups_.push_back({std::string(group), {std::string(name)}});
    }
    std::string text() const {
        std::string out = "#### " + title_ + "\n\n| " + head_ + " | |\n|---|---|\n";
        auto groups = groups_;
        std::sort(groups.begin() + static_cast<std::ptrdiff_t>(first_), groups.end());
        for (const auto& [group, names] : groups) {
            out += "| " + group + " |";
            for (const std::string& name : names) out += (name == *names.begin() ? " `" : ", `") + name + "`";
            out += " |\n";
        }
        return out + "\n";
    }

 private:
    std::string title_;
    std::string head_;
    std::size_t first_;
    std::vector<std::pair<std::string, std::set<std::string>>> groups_;
};

std::string_view in_words(MatchRule rule) {
    switch (rule) {
        case MatchRule::logical:
            return "combine filters, to any depth";
        case MatchRule::pass_at_top:
            return "name no field: pass";
        case MatchRule::never:
            return "refused on the whole namespace";
        case MatchRule::expression:
            return "by the rules of expressions, below";
        case MatchRule::equality:
        case MatchRule::set:
            return "deterministic: the value is encrypted; random: refused";
        case MatchRule::negation:
            return "by the rules of what it negates";
        case MatchRule::existence:
            return "answered as it is";
        case MatchRule::type_of_parent:
            return "answered on an object above encrypted fields, refused on the field";
        case MatchRule::plain_only:
            break;
    }
    return "refused: ciphertext cannot answer it";
}

std::string_view in_words(UpdateRule rule) {
    switch (rule) {
        case UpdateRule::set:
        case UpdateRule::set_on_insert:
            return "the value is encrypted, inside objects too";
        case UpdateRule::unset:
            return "passes";
        case UpdateRule::rename:
            return "between fields that are encrypted alike";
        case UpdateRule::plain_only:
            break;
    }
    return "refused: it needs the stored value";
}

std::string_view in_words(ExpressionRule rule) {
    switch (rule) {
        case ExpressionRule::plain_only:
            return "refused: it computes from values";
        case ExpressionRule::equality:
        case ExpressionRule::membership:
            return "deterministic fields with constants, which are encrypted, or with fields encrypted alike";
        case ExpressionRule::condition:
        case ExpressionRule::if_null:
        case ExpressionRule::branches:
            return "followed: constants beside an encrypted field are encrypted like it; what may be "
                   "encrypted "
                   "or not cannot be used again";
        case ExpressionRule::variables:
            return "followed: variables may stand for encrypted fields";
        case ExpressionRule::of_array:
            return "over arrays that stages made, whatever is in them, and over plain ones";
        case ExpressionRule::element_wise:
            return "over plain arrays";
        case ExpressionRule::constant:
            return "encrypted opposite a deterministic field";
        case ExpressionRule::by_name:
        case ExpressionRule::merge:
            return "followed: names must be constants";
        case ExpressionRule::metadata:
            return "passes: it reads no field";
        case ExpressionRule::never:
            break;
    }
    return "refused: JavaScript";
}

std::string_view in_words(AccumulatorRule rule) {
    switch (rule) {
        case AccumulatorRule::plain_only:
            return "refused: it computes from values";
        case AccumulatorRule::one_of:
        case AccumulatorRule::all_of:
        case AccumulatorRule::some_of:
        case AccumulatorRule::top:
        case AccumulatorRule::top_of:
            return "followed; of an array of encrypted values only the length can be queried before $unwind";
        case AccumulatorRule::different:
            return "deterministic fields only";
        case AccumulatorRule::counts:
            return "passes";
        case AccumulatorRule::merges:
            return "the result cannot be used again";
        case AccumulatorRule::never:
            break;
    }
    return "refused: JavaScript";
}

std::string commands() {
    Groups groups(
        "Commands", "on a namespace with encrypted fields",
        {"analysed", "passes: names, options and counts only", "about no namespace: passes",
         "about a whole database: passes", "about no namespace: only for roles that reveal everything"});
    for (const Command& row : command_table()) {
        if (row.standing == Standing::closed)
            groups.add("refused on every namespace: " + std::string(row.why), row.name);
        else if (row.on_protected == OnProtected::analyse && !row.structure_only)
            groups.add("analysed", row.name);
        else if (row.on_protected == OnProtected::analyse)
            groups.add("passes: names, options and counts only", row.name);
        else if (row.where == Where::nowhere && row.standing == Standing::reveals)
            groups.add("about no namespace: only for roles that reveal everything", row.name);
        else if (row.where == Where::nowhere)
            groups.add("about no namespace: passes", row.name);
        else if (row.where == Where::database)
            groups.add("about a whole database: passes", row.name);
        else if (row.name == "explain")
            groups.add("analysed", row.name);
        else
            groups.add("refused there" + (row.why.empty() ? std::string() : ": " + std::string(row.why)),
                       row.name);
    }
    return groups.text();
}

std::string match() {
    Groups groups("Match operators", "on an encrypted field");
    for (const MatchOperator& row : match_operators()) groups.add(in_words(row.rule), row.name);
    return groups.text();
}

std::string updates() {
    Groups groups("Update operators", "on an encrypted field");
    for (const UpdateOperator& row : update_operators()) groups.add(in_words(row.rule), row.name);
    return groups.text();
}

std::string stages() {
    Groups groups("Aggregation stages", "where encrypted fields can be reached");
    for (const Stage& row : stage_table()) {
        if (row.walk == nullptr)
            groups.add("refused", row.name);
        else if (row.walk == walk_server_stage)
            groups.add("followed, as the first stage of no collection: see the last table", row.name);
        else if (row.place == StagePlace::update)
            groups.add("followed, in updates too if they leave encrypted fields alone", row.name);
        else if (row.place == StagePlace::first)
            groups.add("followed, as the first stage", row.name);
        else if (row.place == StagePlace::last)
            groups.add("into a namespace that encrypts the same fields with the same keys", row.name);
        else
            groups.add("followed: later stages know which field is where", row.name);
    }
    return groups.text();
}

std::string expressions() {
    Groups groups("Expressions", "with encrypted operands");
    for (const ExpressionOperator& row : expression_operators()) groups.add(in_words(row.rule), row.name);
    return groups.text();
}

std::string accumulators() {
    Groups groups("Accumulators", "with encrypted values");
    for (const AccumulatorOperator& row : accumulator_operators()) groups.add(in_words(row.rule), row.name);
    return groups.text();
}

std::string server_documents_table() {
    std::string out =
        "#### What servers keep of other namespaces\n\n"
        "| roles that reveal everything | paths that filters and stages may compare |\n|---|---|\n";
    std::string like_any;
    for (const ServerDocuments& row : server_documents()) {
        const std::string name = "`" + std::string(row.name) + "`";
        if (row.nothing_else) {
            like_any += (like_any.empty() ? "" : ", ") + name;
            continue;
        }
        const bool rest = row.name.ends_with(".*");
        out += "| " + name + (rest ? ", where no other row names it" : "") + " | ";
        for (const std::string_view plain : row.plain)
            out += (plain == row.plain.front() ? "`" : ", `") + std::string(plain) + "`";
        out += row.plain.empty() ? "none |\n" : " |\n";
    }
    return out + "| " + like_any + " | all: they are like any collection without a schema |\n\n";
}

const std::string path = FIELDGATE_SOURCE_DIR "/README.md";

std::string read_readme() {
    std::stringstream readme;
    readme << std::ifstream(path).rdbuf();
    return readme.str();
}

TEST(Readme, every_code_of_a_refusal_is_tabled) {
    const std::string text = read_readme();
    for (const std::int32_t each :
         {code::bad_value, code::failed_to_parse, code::unauthorized, code::type_mismatch, code::invalid_bson,
          code::cursor_not_found, code::command_not_supported, code::invalid_namespace,
          code::unsupported_op_query_command, code::field_cannot_be_encrypted,
          code::operation_not_on_encrypted, code::bson_object_too_large, code::key_not_available,
          code::unknown_field}) {
        const std::string row = "| " + std::to_string(each) + " | " + std::string(code_name(each)) + " |";
        EXPECT_NE(text.find(row), std::string::npos) << row;
    }
}

TEST(Readme, tables_are_those_of_the_code) {
    const std::string text = read_readme();
    const std::size_t begin = text.find(begin_mark);
    const std::size_t end = text.find(end_mark);
    ASSERT_NE(begin, std::string::npos) << path << " lacks the mark " << begin_mark;
    ASSERT_NE(end, std::string::npos) << path << " lacks the mark " << end_mark;

    const std::string wanted = "\n" + commands() + match() + updates() + stages() + expressions() +
                               accumulators() + server_documents_table();
    const std::size_t from = begin + begin_mark.size();
    if (std::getenv("FIELDGATE_WRITE_README") != nullptr)
        std::ofstream(path) << text.substr(0, from) << wanted << text.substr(end);
    else
        EXPECT_EQ(text.substr(from, end - from), wanted)
            << "run FIELDGATE_WRITE_README=1 analysis_tests --gtest_filter='Readme.*'";
}

}  // namespace
}  // namespace fieldgate::analysis
