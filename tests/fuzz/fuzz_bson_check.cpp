// A document that passes the check can be iterated to its last byte, is not deeper than the limit, and passes
// with that depth as its limit and not with one less; one that passes whole passes at its top level. (Its
// first byte is the limit.)

#include <cstdlib>

#include "proxy/bson/error.hpp"
#include "tests/fuzz/walk.hpp"

using namespace fieldgate;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const bson::Bytes bytes(data + 1, size - 1);
    const bson::Limits limits{data[0]};
    const auto top_level = bson::DocumentView::check_top_level(bytes);
    bson::Facts facts;
    const auto view = bson::DocumentView::check(bytes, limits, &facts);
    if (!view) return 0;
    if (!top_level) std::abort();

    const fuzz::Walked walked = fuzz::walk(bytes);
    if (!walked.fills_document || walked.levels > limits.nesting_levels_max) std::abort();
    const auto levels = static_cast<std::uint32_t>(walked.levels);
    if (!bson::DocumentView::check(bytes, bson::Limits{levels})) std::abort();
    if (levels > 0 &&
        bson::DocumentView::check(bytes, bson::Limits{levels - 1}).error() != bson::Errc::nested_too_deep) {
        std::abort();
    }
    for (const std::size_t offset : walked.offsets) {
        const bson::DocumentView::Iterator element(bytes.data() + offset);
        if (bson::check_value((*element).type(), (*element).value(), limits)) std::abort();
    }
    return 0;
}
