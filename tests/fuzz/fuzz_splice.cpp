// Edits of a checked document give a document that passes the check, within the limit or not at all; and
// putting the old values back gives the first bytes again.
//
// Input: the number of edits, for each how many elements to step over and what to do, then the document.

#include <algorithm>
#include <cstdlib>

#include "proxy/bson/error.hpp"
#include "proxy/bson/splice.hpp"
#include "tests/fuzz/walk.hpp"

using namespace fieldgate;

namespace {

constexpr std::uint32_t levels_max = 64;
constexpr std::size_t output_bytes_max = 1 << 20;

struct Plan {
    std::vector<bson::Edit> edits;
    std::vector<std::size_t> offsets;
    bool removes = false;
};

// A binary of up to 62 bytes, as its BSON value.
bson::Buffer new_value(std::uint8_t action) {
    const std::uint8_t byte_count = action % 63;
    bson::Buffer value = {byte_count, 0, 0, 0, 6};
    value.resize(5 + std::size_t{byte_count}, action);
    return value;
}

Plan plan_edits(bson::Bytes document, bson::Bytes steps, std::vector<bson::Buffer>& values) {
    Plan plan;
    const std::vector<std::size_t> offsets = fuzz::walk(document).offsets;
    std::size_t next = 0;
    for (std::size_t i = 0; i + 1 < steps.size(); i += 2) {
        next += steps[i];
        if (next >= offsets.size()) break;
        const std::uint8_t action = steps[i + 1];
        const bson::DocumentView::Iterator element(document.data() + offsets[next]);
        if (action % 3 == 0) {
            plan.edits.push_back({.offset = offsets[next], .is_removal = true});
            plan.removes = true;
        } else {
            values.push_back(new_value(action));
            plan.edits.push_back(
                {.offset = offsets[next], .type = bson::Type::binary, .value = values.back()});
        }
        plan.offsets.push_back(offsets[next]);
        const std::size_t end = offsets[next] + (*element).raw().size();
        while (next < offsets.size() && offsets[next] < end) ++next;
    }
    return plan;
}

bson::Buffer put_back(bson::Bytes changed, bson::Bytes document, const Plan& plan) {
    // With the edited elements as leaves, both documents have their elements in the same order.
    const std::vector<std::size_t> before = fuzz::walk(document, plan.offsets).offsets;
    const std::vector<std::size_t> after = fuzz::walk(changed).offsets;
    if (before.size() != after.size()) std::abort();
    std::vector<bson::Edit> edits;
    for (std::size_t i = 0; i < before.size(); ++i) {
        if (!std::ranges::binary_search(plan.offsets, before[i])) continue;
        const bson::DocumentView::Iterator old(document.data() + before[i]);
        edits.push_back({.offset = after[i], .type = (*old).type(), .value = (*old).value()});
    }
    bson::Buffer out;
    if (bson::splice(changed, edits, out, output_bytes_max)) std::abort();
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const bson::Bytes input(data, size);
    const std::size_t steps_bytes = std::size_t{2} * (input[0] % 16);
    if (input.size() < 1 + steps_bytes) return 0;
    const bson::Bytes steps = input.subspan(1, steps_bytes);
    const bson::Bytes document = input.subspan(1 + steps_bytes);
    if (!bson::DocumentView::check(document, bson::Limits{levels_max})) return 0;

    std::vector<bson::Buffer> values;
    values.reserve(16);
    const Plan plan = plan_edits(document, steps, values);
    bson::Buffer changed;
    if (bson::splice(document, plan.edits, changed, output_bytes_max)) std::abort();
    if (!bson::DocumentView::check(changed, bson::Limits{levels_max})) std::abort();

    bson::Buffer limited;
    if (bson::splice(document, plan.edits, limited, changed.size()) || limited != changed) std::abort();
    limited.clear();
    const std::size_t too_small = changed.size() - 1;
    if (bson::splice(document, plan.edits, limited, too_small) != bson::Errc::output_too_large) std::abort();
    if (limited.size() > too_small) std::abort();

    if (plan.removes) return 0;
    const bson::Buffer restored = put_back(changed, document, plan);
    if (!std::equal(restored.begin(), restored.end(), document.begin(), document.end())) std::abort();
    return 0;
}
