// What the analysis costs per command, alone and together with sealing, on the clinic's schema:
//
//     find      one deterministic predicate and one plain one
//     insert    1,000 patients, six protected fields each, in a document sequence
//     pipeline  $match by a protected field, $group by one, $lookup of the same collection
//
// The share of the analysis is of both together: what a faster analysis could save at most. Parsing the frame
// and writing it out are not counted. Repetitions are interleaved; run the release build on an idle machine.
#include "crypto/random.hpp"
#include "proxy/analysis/analysis.hpp"
#include "proxy/bson/builder.hpp"
#include "proxy/keys/key_ring.hpp"
#include "proxy/session/seal.hpp"
#include "proxy/wire/message.hpp"

#include <benchmark/benchmark.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fieldgate {
namespace {

using analysis::RequestAnalysis;

constexpr std::int32_t documents_in_insert = 1000;
constexpr std::size_t message_bytes_max = 48'000'000;
constexpr std::size_t slice_bytes = std::size_t{256} * 1024;  // as a session does

void require(bool done) {
    if (!done) std::abort();
}

void add_field(config::Schema& schema, std::vector<std::string> path, config::Algorithm algorithm,
               bson::Type type) {
    config::SchemaNode* node = &schema.root_;
    std::string dotted;
    for (std::string& name : path) {
        dotted += (dotted.empty() ? "" : ".") + name;
        node = &node->add_child(std::move(name));
    }
    node->field = static_cast<std::uint16_t>(schema.fields_.size());
    schema.fields_.push_back(
        {dotted, algorithm, config::KeyAltName{"clinic"}, {static_cast<std::uint8_t>(type)}});
}

// Every collection that is asked about is one, and no view.
class Collections : public analysis::Catalog {
 public:
    const analysis::NamespaceFacts* find(std::string_view, std::string_view) const override {
        return &facts_;
    }

 private:
    analysis::NamespaceFacts facts_;
};

// medicalRecords.patients of the README, and its data key.
class Clinic {
 public:
    Clinic() {
        using config::Algorithm;
        const auto schema = std::make_shared<config::Schema>();
        add_field(*schema, {"ssn"}, Algorithm::deterministic, bson::Type::int32);
        add_field(*schema, {"insurance", "policyNumber"}, Algorithm::deterministic, bson::Type::int32);
        add_field(*schema, {"bloodType"}, Algorithm::random, bson::Type::string);
        add_field(*schema, {"medicalRecords"}, Algorithm::random, bson::Type::array);
        add_field(*schema, {"dateOfBirth"}, Algorithm::random, bson::Type::date);
        add_field(*schema, {"email"}, Algorithm::random, bson::Type::string);
        config_.schemas.push_back({{"medicalRecords", "patients"}, schema, 0, false});

        std::array<std::uint8_t, crypto::key_bytes> bytes{};
        for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i);
        const crypto::KeyId id{};
        keys::KeyResult result;
        result.ids.emplace_back(id, keys::ReadyKey{std::make_shared<const crypto::DataKey>(bytes), never});
        result.alt_names.emplace_back("clinic", id);
        ring_.put(result);
    }

    void analyse(RequestAnalysis& analysis) const {
        RequestAnalysis::Step step = RequestAnalysis::Step::more;
        while (step == RequestAnalysis::Step::more) step = analysis.step(slice_bytes);
        require(step == RequestAnalysis::Step::done);
    }
    wire::Buffer seal(const wire::OpMsg& message, wire::Bytes frame, const analysis::Plan& plan) {
        session::Sealer sealer(message, frame, plan, config_, message_bytes_max);
        session::Work work = session::Work::more;
        while (work == session::Work::more) work = sealer.step(ring_, keys::Clock::time_point(), {});
        require(work == session::Work::done);
        return sealer.take();
    }
    analysis::Context context() const { return {config_, catalog_}; }

 private:
    static constexpr keys::Clock::time_point never = keys::Clock::time_point::max();
    config::Config config_;
    Collections catalog_;
    crypto::SystemRandom random_;
    keys::KeyRing ring_{random_};
};

wire::Buffer command(std::string_view json) {
    return wire::make_op_msg(1, 0, bson::from_json(json).value());
}

wire::Buffer find() {
    return command(R"({"find": "patients", "filter": {"ssn": 145014000, "ward": {"$gte": 3}}, "limit": 1,
                       "$db": "medicalRecords"})");
}

wire::Buffer pipeline() {
    return command(R"({"aggregate": "patients", "pipeline": [
        {"$match": {"insurance.policyNumber": {"$in": [123142, 123143]}, "ward": {"$gte": 3}}},
        {"$group": {"_id": "$ssn", "emails": {"$push": "$email"}, "n": {"$sum": 1}}},
        {"$lookup": {"from": "patients", "localField": "_id", "foreignField": "ssn", "as": "same",
                     "pipeline": [{"$match": {"$expr": {"$ne": ["$ssn", 145014000]}}}]}},
        {"$limit": 100}], "cursor": {}, "$db": "medicalRecords"})");
}

bson::Buffer patient(std::int32_t number) {
    bson::Buffer out;
    bson::Builder patient(out);
    patient.append_string("name", "Jon Doe").append_int32("ssn", 145014000 + number);
    patient.append_string("bloodType", "AB+").append_int32("ward", number % 8);
    patient.open_array("medicalRecords").open_document("0");
    patient.append_int32("weight", 180).append_string("bloodPressure", "120/80").close().close();
    patient.open_document("insurance").append_string("provider", "MaestCare");
    patient.append_int32("policyNumber", 123142 + number).close();
    patient.append_date("dateOfBirth", 315532800000 + number);
    patient.append_string("email", "jon.doe@clinic.example").append_bool("insured", true);
    patient.finish();
    return out;
}

void append_int32(wire::Buffer& out, std::size_t number) {
    for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::uint8_t>(number >> shift));
}

wire::Buffer insert() {
    wire::Buffer documents;
    for (std::int32_t number = 0; number < documents_in_insert; ++number) {
        const bson::Buffer each = patient(number);
        documents.insert(documents.end(), each.begin(), each.end());
    }
    wire::Buffer frame = command(R"({"insert": "patients", "$db": "medicalRecords"})");
    constexpr std::string_view name{"documents", sizeof "documents"};
    frame.push_back(1);
    append_int32(frame, 4 + name.size() + documents.size());
    frame.insert(frame.end(), name.begin(), name.end());
    frame.insert(frame.end(), documents.begin(), documents.end());
    wire::finish_message(frame);
    return frame;
}

enum class Sealing : bool { left_out, included };

void run(benchmark::State& state, wire::Buffer (*make)(), Sealing sealing) {
    Clinic clinic;
    const wire::Buffer frame = make();
    const wire::OpMsg message = wire::OpMsg::parse(frame).value();
    std::size_t edits = 0;
    for (auto _ : state) {
        RequestAnalysis analysis(message, clinic.context());
        clinic.analyse(analysis);
        edits = analysis.plan().edits.size();
        if (sealing == Sealing::included) {
            wire::Buffer sealed = clinic.seal(message, frame, analysis.plan());
            benchmark::DoNotOptimize(sealed.data());
        }
    }
    require(edits > 0);
    state.counters["sealed_values"] = static_cast<double>(edits);
}

// Prints as usual and keeps the medians.
class Collector : public benchmark::ConsoleReporter {
 public:
    void ReportRuns(const std::vector<Run>& runs) override {
        for (const Run& run : runs)
            if (run.run_type == Run::RT_Aggregate && run.aggregate_name == "median")
                median_[run.run_name.function_name] = run;
        ConsoleReporter::ReportRuns(runs);
    }

    void print_shares() const {
        std::printf("\n%-10s %14s %14s %20s %18s\n", "command", "sealed values", "analysis us",
                    "with sealing us", "analysis' share");
        for (const std::string what : {"find", "insert", "pipeline"}) {
            const auto alone = median_.find("analysis/" + what);
            const auto both = median_.find("with_sealing/" + what);
            if (alone == median_.end() || both == median_.end()) continue;  // filtered out
            const double analysis_us = microseconds(alone->second);
            const double whole_us = microseconds(both->second);
            std::printf("%-10s %14.0f %14.2f %20.2f %17.1f%%\n", what.c_str(),
                        alone->second.counters.at("sealed_values").value, analysis_us, whole_us,
                        100 * analysis_us / whole_us);
        }
    }

 private:
    static double microseconds(const Run& run) {
        return run.GetAdjustedCPUTime() * 1e6 / benchmark::GetTimeUnitMultiplier(run.time_unit);
    }
    std::map<std::string, Run> median_;
};

void register_all() {
    const auto add = [](const char* what, wire::Buffer (*make)()) {
        for (const Sealing sealing : {Sealing::left_out, Sealing::included}) {
            const std::string name = sealing == Sealing::included ? "with_sealing/" : "analysis/";
            benchmark::RegisterBenchmark((name + what).c_str(), run, make, sealing)
                ->Repetitions(9)
                ->MinTime(0.1);
        }
    };
    add("find", find);
    add("insert", insert);
    add("pipeline", pipeline);
}

}  // namespace
}  // namespace fieldgate

int main(int argc, char** argv) {
    // In front of the caller's own arguments, so that those win.
    std::vector<char*> arguments(argv, argv + argc);
    std::string interleave = "--benchmark_enable_random_interleaving=true";
    std::string aggregates = "--benchmark_display_aggregates_only=true";
    arguments.insert(arguments.begin() + 1, {interleave.data(), aggregates.data()});
    int argument_count = static_cast<int>(arguments.size());
    benchmark::Initialize(&argument_count, arguments.data());
    if (benchmark::ReportUnrecognizedArguments(argument_count, arguments.data())) return 64;

    fieldgate::register_all();
    fieldgate::Collector collector;
    benchmark::RunSpecifiedBenchmarks(&collector);
    collector.print_shares();
    return 0;
}
