#pragma once

#include <cstddef>
#include <string>
#include <string_view>

// What may go to a terminal as it is. Names and texts come from clients, servers and key documents.
namespace fieldgate::observe {

// The length of the UTF-8 sequence at the front of `text`, which is not empty, or 0 where there is none (RFC
// 3629, section 4: no overlong forms, no surrogates, nothing above U+10FFFF).
std::size_t utf8_sequence_bytes(std::string_view text);

// Whether a terminal shows this sequence of UTF-8 as itself: no control character (C0, DEL, C1, which some
// terminals obey), none that hides or that turns the direction of others.
bool is_shown(std::string_view sequence);

// "\uXXXX" for a sequence of at most three bytes, as all that are not shown are.
std::string json_escape(std::string_view sequence);

// UTF-8, every sequence of it shown.
bool is_text_shown(std::string_view text);

}  // namespace fieldgate::observe
