#include "proxy/session/recent_schemas.hpp"

#include <algorithm>
#include <boost/assert.hpp>
#include <string>
#include <utility>

#include "config/schema_builder.hpp"
#include "proxy/bson/node.hpp"

namespace fieldgate::session {
namespace {

using analysis::Refusal;

boost::system::result<std::shared_ptr<const config::Schema>, Refusal> schema_from(const GivenSchema& given) {
    const auto invalid = [&](const std::string& why) {
        return Refusal{analysis::code::failed_to_parse, analysis::code_name(analysis::code::failed_to_parse),
                       "Invalid schema of " + given.name.database + "." + given.name.collection + ": " + why};
    };
    if (given.schema.empty()) return std::make_shared<const config::Schema>();
    const auto node = bson::to_node(given.schema);
    if (!node) return invalid(node.error().message());
    config::BuiltSchema built = config::build_schema(
        *node, given.remote ? config::SchemaOrigin::remote : config::SchemaOrigin::local);
    if (built.schema) return std::move(built.schema);
    BOOST_ASSERT(!built.problems.empty());
    return invalid(built.problems.front().path + ": " + built.problems.front().what);
}

}  // namespace

boost::system::result<std::shared_ptr<const config::Schema>, Refusal> RecentSchemas::get(
    const GivenSchema& given) {
    const wire::Bytes bytes = given.schema.bytes();
    for (const Entry& entry : entries_)
        if (entry.remote == given.remote && std::ranges::equal(entry.bytes, bytes)) return entry.schema;
    auto schema = schema_from(given);
    if (!schema || bytes.size() > entry_bytes_max) return schema;
    Entry fresh{{bytes.begin(), bytes.end()}, given.remote, *schema};
    if (entries_.size() < entries_max)
        entries_.push_back(std::move(fresh));
    else
        entries_[next_++ % entries_max] = std::move(fresh);
    return schema;
}

}  // namespace fieldgate::session
