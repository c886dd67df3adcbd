#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "proxy/bson/view.hpp"

namespace fieldgate::fuzz {

struct Walked {
    std::vector<std::size_t> offsets;  // of every element, in order
    std::size_t levels = 0;            // of documents, arrays and scopes inside the outermost document
    bool fills_document = true;        // at each level the elements end at the terminator
};

// Walks a checked document the simple way, without the checking walk's code. Elements at `leaves` (sorted)
// are not entered; scopes of code are entered for `levels` but their elements are not listed, because nothing
// edits them.
inline Walked walk(bson::Bytes document, std::span<const std::size_t> leaves = {}) {
    struct Open {
        bson::Bytes bytes;
        std::size_t at = 4;
        bool is_listed = true;
    };
    Walked walked;
    std::vector<Open> open = {{document}};
    while (!open.empty()) {
        Open& inner = open.back();
        if (inner.bytes[inner.at] == 0) {
            if (inner.at + 1 != inner.bytes.size()) walked.fills_document = false;
            open.pop_back();
            continue;
        }
        const bson::DocumentView::Iterator iterator(inner.bytes.data() + inner.at);
        const bson::Element element = *iterator;
        const auto offset = static_cast<std::size_t>(element.raw().data() - document.data());
        const bool is_listed = inner.is_listed;
        inner.at += element.raw().size();
        if (is_listed) walked.offsets.push_back(offset);
        if (std::ranges::binary_search(leaves, offset)) continue;
        if (element.is_document() || element.is_array()) {
            open.push_back({element.value(), 4, is_listed});
        } else if (element.type() == bson::Type::javascript_with_scope) {
            const std::size_t scope_at = 8 + std::size_t{bson::detail::load_u32(element.value().data() + 4)};
            open.push_back({element.value().subspan(scope_at), 4, false});
        }
        walked.levels = std::max(walked.levels, open.size() - 1);
    }
    return walked;
}

}  // namespace fieldgate::fuzz
