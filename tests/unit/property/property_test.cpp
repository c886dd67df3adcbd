#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>

#include "generator.hpp"
#include "shrink.hpp"

// Generated commands against a session whose role may do everything: whatever is forwarded, no protected
// value is in its bytes; whatever is refused, none is in the answer.
//
//     FIELDGATE_PROPERTY_CASES=1000000     how many (100,000 and more in release)
//     FIELDGATE_PROPERTY_SEED=7            other cases than those of every day; `random` for a seed of its
//     own FIELDGATE_PROPERTY_CASE=4711         one case of that seed alone, with what became of it
namespace fieldgate::property {
namespace {

// What is accepted only without any protected value: an index or a validator on one is always refused.
const std::set<std::string> accepted_without_protected_values = {"createIndexes", "create", "collMod"};
constexpr std::size_t collections = 100;
constexpr std::uint64_t everyday_seed = 20261125;
constexpr int failures_shown_max = 5;
constexpr std::size_t cases_to_judge_min = 100;  // fewer do not say that a kind is never accepted
constexpr std::size_t cases_to_judge_features_min = 100'000;
// What must carry protected values in some accepted case, or the model has lost sight of it.
constexpr std::array features_that_carry = {"$changeStream", "$unwind joined",   "$lookup", "$facet",
                                            "$graphLookup",  "$unionWith",       "$group",  "$expr",
                                            "let",           "a key by pointer", "null"};

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    if (text == nullptr || *text == '\0') return otherwise;
    if (std::string_view(text) == "random")
        return static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
    return std::strtoull(text, nullptr, 10);
}

// What is wrong with the outcome; empty: nothing.
std::string judge(const Outcome& outcome, const Canaries& canaries) {
    if (outcome.forwarded) {
        const auto message = wire::OpMsg::parse(outcome.frame);
        if (!message) return "the forwarded message does not parse: " + message.error().message();
        if (!bson::DocumentView::check(message->body.bytes(), {})) return "the forwarded body is not BSON";
        for (const wire::Sequence& sequence : message->sequences()) {
            for (Bytes rest = sequence.documents; !rest.empty();) {
                const std::size_t size = rest[0] | std::size_t{rest[1]} << 8 | std::size_t{rest[2]} << 16;
                if (!bson::DocumentView::check(rest.first(size), {}))
                    return "a forwarded document is not BSON";
                rest = rest.subspan(size);
            }
        }
        if (std::string found = canaries.found_in_message(outcome.frame); !found.empty())
            return "the forwarded message holds " + found;
    }
    for (const wire::Buffer& answer : outcome.answers)
        if (std::string found = canaries.found_in_answer(answer); !found.empty())
            return "the answer holds " + found;
    return {};
}

struct Tally {
    std::size_t made = 0;
    std::size_t accepted = 0;
    std::size_t carried = 0;  // accepted, with protected values
    void count(bool forwarded, bool carries) {
        ++made;
        accepted += forwarded;
        carried += forwarded && carries;
    }
};

void print(const char* heading, const std::map<std::string, Tally>& tallies) {
    std::printf("%-28s %9s %9s %7s %14s\n", heading, "cases", "accepted", "", "with protected");
    for (const auto& [name, tally] : tallies)
        std::printf("  %-26s %9zu %9zu %6.1f%% %14zu\n", name.c_str(), tally.made, tally.accepted,
                    100.0 * static_cast<double>(tally.accepted) / static_cast<double>(tally.made),
                    tally.carried);
}

class Property : public ::testing::Test {
 protected:
    const std::uint64_t seed = number_from("FIELDGATE_PROPERTY_SEED", everyday_seed);
    Stand stand{seed, collections};
    std::map<std::string, Tally> kinds;
    std::map<std::string, Tally> features;
    int failures = 0;

    // Runs one case and reports what is wrong with it.
    void run(std::uint64_t number, bool talk) {
        Random random = Random::of_case(seed, number);
        Canaries canaries(random);
        Generator generator(random, stand.collections(), canaries);
        const Command command = generator.command();
        const Outcome outcome = stand.send(frame_of(command));
        const bool carries = canaries.protected_count() > 0;
        kinds[command.kind].count(outcome.forwarded, carries);
        const std::set<std::string> used(generator.features().begin(), generator.features().end());
        for (const std::string& feature : used) features[feature].count(outcome.forwarded, carries);
        const std::string problem = judge(outcome, canaries);
        if (!problem.empty()) report(number, command, problem, canaries);
        if (!talk) return;
        std::printf("%s\n%s\n", json_of(command).c_str(), outcome.forwarded ? "forwarded:" : "not forwarded");
        if (outcome.forwarded) {
            const auto message = wire::OpMsg::parse(outcome.frame);
            if (message) std::printf("%s\n", bson::to_json(message->body.bytes()).c_str());
        }
        for (const wire::Buffer& answer : outcome.answers) std::printf("%s\n", bson::to_json(answer).c_str());
    }

    void report(std::uint64_t number, const Command& command, const std::string& problem,
                const Canaries& canaries) {
        if (++failures > failures_shown_max) return;
        const Command smaller = shrink(command, [&](const Command& tried) {
            return !judge(stand.send(frame_of(tried)), canaries).empty();
        });
        std::string schemas;
        for (const Collection& collection : stand.collections())
            if (json_of(smaller).find('"' + collection.name + '"') != std::string::npos)
                schemas += "\n  " + collection.name + ": " + schema_json(collection.tree);
        ADD_FAILURE() << "FIELDGATE_PROPERTY_SEED=" << seed << " FIELDGATE_PROPERTY_CASE=" << number << ": "
                      << problem << "\n"
                      << json_of(command)
                      << "\nsmaller (which may have lost what made the value protected):\n"
                      << json_of(smaller) << schemas;
    }
};

TEST_F(Property, no_protected_value_reaches_the_server_or_an_error) {
    const std::uint64_t alone = number_from("FIELDGATE_PROPERTY_CASE", ~std::uint64_t{0});
    if (alone != ~std::uint64_t{0}) {
        run(alone, true);
        return;
    }
    const std::uint64_t cases = number_from("FIELDGATE_PROPERTY_CASES", FIELDGATE_PROPERTY_CASES_DEFAULT);
    std::printf("FIELDGATE_PROPERTY_SEED=%llu, %llu cases\n", static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(cases));
    for (std::uint64_t number = 0; number < cases; ++number) run(number, false);
    EXPECT_EQ(failures, 0);

    print("command", kinds);
    print("what it uses", features);
    for (const auto& [kind, tally] : kinds) {
        if (tally.made < cases_to_judge_min) continue;
        EXPECT_GT(tally.accepted, 0u) << kind << " is never accepted: nothing is proved about it";
        if (!accepted_without_protected_values.contains(kind)) {
            EXPECT_GT(tally.carried, 0u) << kind << " is never accepted with a protected value";
        }
    }
    if (cases < cases_to_judge_features_min) return;
    for (const char* feature : features_that_carry)
        EXPECT_GT(features[feature].carried, 0u) << feature << " is never accepted with a protected value";
}

// The test would be worth nothing if it could not see a leak.
TEST_F(Property, a_value_that_stands_in_the_message_is_found) {
    for (const Type type : every_type) {
        if (type == Type::undefined || type == Type::null || type == Type::boolean || type == Type::max_key ||
            type == Type::min_key)
            continue;
        Random random(seed);
        Canaries canaries(random);
        const Value canary = canaries.make(type, true);
        for (const bool in_section : {false, true}) {
            Command command{
                "insert", object({{"insert", text(plain_collection)}, {"$db", text(database)}}), {}};
            command.sequences.push_back({"documents", list({object({{"x", canary}})}), in_section});
            const Outcome outcome = stand.send(frame_of(command));
            EXPECT_TRUE(outcome.forwarded);
            EXPECT_FALSE(judge(outcome, canaries).empty()) << bson::alias(type) << in_section;
        }
        EXPECT_FALSE(canaries.found_in_answer(to_bson(object({{"errmsg", canary}}))).empty())
            << bson::alias(type);
    }
}

TEST_F(Property, shrinking_leaves_what_is_needed) {
    Command command{"find", object({{"a", int32(1)}, {"b", object({{"c", int32(2)}, {"d", int32(3)}})}}), {}};
    const Command smaller = shrink(
        command, [](const Command& tried) { return json_of(tried).find("\"d\"") != std::string::npos; });
    EXPECT_EQ(to_bson(smaller.body), to_bson(object({{"b", object({{"d", int32(3)}})}})));
}

}  // namespace
}  // namespace fieldgate::property
