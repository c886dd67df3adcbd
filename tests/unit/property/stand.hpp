#pragma once

#include <memory>
#include <string>
#include <vector>

#include "canaries.hpp"
#include "tests/unit/session/transcript.hpp"
#include "tree.hpp"

// The configuration and the process that all cases share, and one request through a fresh session.
namespace fieldgate::property {

inline constexpr const char* database = "clinic";
inline constexpr const char* plain_collection = "wards";

// Where documents name the key of fields that have it by JSON pointer, and the name of one that no schema
// uses.
inline constexpr const char* key_pointer = "keyName";
inline constexpr const char* pointed_key = "alice";

// A collection; `tree` is empty for an unprotected one.
struct Collection {
    std::string name;
    Tree tree;
    std::vector<Buffer> ciphertexts;  // of its fields, that authenticate
    bool refuses_nulls = true;        // `nulls`
};

// A document sequence, in the body as an array or in a section of its own.
struct Sequence {
    std::string name;
    Value documents;
    bool in_section = false;
    bool before_body = false;
};

struct Command {
    std::string kind;  // of the statistics
    Value body;
    std::vector<Sequence> sequences;
    std::uint32_t flags = 0;
};

wire::Buffer frame_of(const Command& command);
// For people: the body, and the sequences of a section below their names.
std::string json_of(const Command& command);

struct Outcome {
    bool forwarded = false;
    wire::Buffer frame;                 // forwarded
    std::vector<wire::Buffer> answers;  // to the client
};

class Stand {
 public:
    // Schemas from the seed, loaded as a user's configuration is. Throws config::LoadError.
    Stand(std::uint64_t seed, std::size_t collections);
    const std::vector<Collection>& collections() const { return collections_; }
    // As a client whose role may do everything.
    Outcome send(const wire::Buffer& frame);

 private:
    void harvest_ciphertexts(Random& random, Collection& collection);
    std::vector<Collection> collections_;
    std::unique_ptr<session::testing::Process> process_;
};

}  // namespace fieldgate::property
