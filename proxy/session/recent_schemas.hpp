#pragma once

#include <boost/system/result.hpp>
#include <cstddef>
#include <memory>
#include <vector>

#include "config/schema.hpp"
#include "proxy/session/analysis_request.hpp"

namespace fieldgate::session {

// From the schemas that drivers send to those that the analysis reads. A driver sends a collection's schema
// with each of its commands, and building one takes longer than analysing most of them: the last few of a
// connection are kept, by their bytes.
class RecentSchemas {
 public:
    // Without encrypted fields: an empty schema. The refusal names the collection and what is wrong.
    boost::system::result<std::shared_ptr<const config::Schema>, analysis::Refusal> get(
        const GivenSchema& given);

 private:
    // An idle connection keeps no more bytes than these, and what was built from them.
    static constexpr std::size_t entries_max = 8;
    static constexpr std::size_t entry_bytes_max = std::size_t{16} * 1024;

    struct Entry {
        wire::Buffer bytes;
        bool remote = false;
        std::shared_ptr<const config::Schema> schema;
    };
    std::vector<Entry> entries_;
    std::size_t next_ = 0;  // how many were replaced, oldest first
};

}  // namespace fieldgate::session
