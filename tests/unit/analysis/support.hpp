#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "proxy/analysis/analysis.hpp"
#include "proxy/bson/builder.hpp"

// Commands as extended JSON in, plans and refusals out.
namespace fieldgate::analysis::testing {

class MapCatalog : public Catalog {
 public:
    const NamespaceFacts* find(std::string_view database, std::string_view collection) const override;
    std::map<std::string, NamespaceFacts, std::less<>> facts;  // "db.coll"; "*" answers for every other name
};

struct Section {
    std::string id;
    std::vector<std::string> documents;  // extended JSON
};

// What became of a command. `edits`: "path=kind field" in the order of the message, where a path starts at
// the command, e.g. "filter.ssn.$eq" or "documents[0].ssn"; " as <type>" follows if the value is converted.
struct Outcome {
    RequestAnalysis::Step step{};
    Plan plan;
    Refusal refusal;
    std::vector<NamespaceName> needed;
    std::vector<std::string> edits;
    bson::Buffer unedited;  // of a passed command: the message without the elements that are to be encrypted
                            // or removed
    bool passed() const { return step == RequestAnalysis::Step::done; }
    bool refused() const { return step == RequestAnalysis::Step::refused; }
};
std::ostream& operator<<(std::ostream& out, const Outcome& outcome);

// medicalRecords.patients with the clinic's schema; every other namespace is an unprotected collection.
class Clinic {
 public:
    Clinic();

    // The body's $db is "medicalRecords" unless it has one. Sections stand before the body if
    // `sections_first`.
    Outcome analyse(std::string_view body, const std::vector<Section>& sections = {},
                    bool sections_first = false) const;
    // The same for a body that is no JSON.
    Outcome analyse(const bson::Buffer& body, const std::vector<Section>& sections = {},
                    bool sections_first = false, std::size_t slice_bytes = 1u << 20) const;
    std::uint16_t field(std::string_view path) const;
    // Whether these are the clinic's fields and no others.
    bool is_only_namespace(const std::shared_ptr<const FieldSpace>& fields) const;
    const FieldUse& use(const Outcome& outcome, std::string_view path) const;

    config::Config config;
    MapCatalog catalog;
    std::shared_ptr<config::Schema> schema;
    mutable std::size_t steps = 0;  // that the last analysis took
};

// medicalRecords.patients with what the clinic's schema lacks: numbers of every type, fields that are
// encrypted alike, keys named by alternative names and JSON pointers, and one that may or may not be
// encrypted.
//
//     whole int, long long, tag string: deterministic; ratio double, exact decimal, mixed int or long, any:
//     random twin int and other int: encrypted alike; alias and aliasToo: alike, by an alternative name home
//     and work: { zip: int deterministic, town: string random } alike; club: { zip: long deterministic }
//     secret and deep.secret: random strings, with the key that /key/name and /owner name
//     murky: unknown; murkyParent: an object with a field of that kind
class Variants : public Clinic {
 public:
    Variants();
    config::ProtectedNamespace& settings() { return config.schemas[0]; }
};

bson::Buffer json(std::string_view text);
// A binary of subtype 6 as extended JSON, whose first byte is `kind`.
std::string ciphertext(int kind, int key_filler = 1, int type = 0x10);

void expect_refusal(const Outcome& outcome, std::int32_t code, std::string_view text);

}  // namespace fieldgate::analysis::testing
