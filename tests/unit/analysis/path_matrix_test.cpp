#include "path_matrix.hpp"

namespace fieldgate::analysis::testing {
namespace {

using Texts = std::vector<std::string>;

const Cell ok = passes();
const Cell no = refuses("not here");
const Row whole{"$a", R"({"PATH": 1})", ok, no, ok, no, no};

TEST(PathMatrix, a_complete_one_has_no_gaps) {
    EXPECT_EQ(gaps({whole}, {"$a"}), Texts{});
    EXPECT_EQ(gaps({whole, pathless("$b", "5", "a number", ok), pathless("$b", "{}", "a number", no)},
                   {"$a", "$b"}),
              Texts{});
    EXPECT_EQ(gaps({never("$c", "{}", "runs JavaScript", no)}, {"$c"}), Texts{});
}

TEST(PathMatrix, a_row_of_the_code_without_one_here_is_a_gap) {
    EXPECT_EQ(gaps({whole}, {"$a", "$b"}), Texts{"no row: $b"});
    EXPECT_EQ(gaps({whole}, {"$b"}), (Texts{"the code has no row $a", "no row: $b"}));
    EXPECT_EQ(gaps({whole}, {"$a", "$a"}), Texts{"stands twice in the code's table: $a"});
}

TEST(PathMatrix, each_cell_that_is_left_out_is_a_gap) {
    for (Cell Row::* const cell :
         {&Row::deterministic, &Row::random, &Row::plain, &Row::parent, &Row::below}) {
        Row row = whole;
        row.*cell = {};
        EXPECT_EQ(gaps({whole, row}, {"$a"}).size(), 1u);
        row.*cell = absent("");
        EXPECT_EQ(gaps({whole, row}, {"$a"}).size(), 1u);
        row.*cell = absent("a reason");
        EXPECT_EQ(gaps({whole, row}, {"$a"}).size(), 0u);
        row.*cell = refuses("");
        EXPECT_EQ(gaps({whole, row}, {"$a"}).size(), 1u);
    }
}

TEST(PathMatrix, a_form_without_paths_needs_a_decision_of_its_own) {
    EXPECT_EQ(gaps({whole, pathless("$a", "5", "a number", {})}, {"$a"}).size(), 1u);
    EXPECT_EQ(gaps({whole, pathless("$a", "5", "a number", absent("x"))}, {"$a"}).size(), 1u);
}

TEST(PathMatrix, success_and_refusal_are_both_needed) {
    EXPECT_EQ(gaps({{"$a", "{}", ok, ok, ok, ok, ok}}, {"$a"}), Texts{"no refusal: $a"});
    EXPECT_EQ(gaps({{"$a", "{}", no, no, no, no, no}}, {"$a"}), Texts{"no success: $a"});
    EXPECT_EQ(gaps({whole, never("$a", "{}", "runs JavaScript", no)}, {"$a"}),
              Texts{"succeeds, but never should: $a"});
}

}  // namespace
}  // namespace fieldgate::analysis::testing
