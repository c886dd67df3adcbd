#include "crypto/kms/xml.hpp"

#include <expat.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "crypto/kms/http.hpp"
#include "crypto/locked_memory.hpp"

namespace fieldgate::crypto::kms {
namespace {

constexpr std::size_t levels_max = 16;

// Expat's heap: locked memory that is erased when it is given back. The size stands before what expat sees.
constexpr std::size_t size_field_bytes = alignof(std::max_align_t);

void* heap_allocate(std::size_t size_bytes) {
    std::uint8_t* memory = nullptr;
    try {
        memory = allocate_locked(size_bytes + size_field_bytes);
    } catch (const std::bad_alloc&) {
        return nullptr;  // expat is C: it must not see an exception, and it handles this
    }
    std::memcpy(memory, &size_bytes, sizeof size_bytes);
    return memory + size_field_bytes;
}

std::size_t heap_size_of(const void* memory) {
    std::size_t size_bytes = 0;
    std::memcpy(&size_bytes, static_cast<const std::uint8_t*>(memory) - size_field_bytes, sizeof size_bytes);
    return size_bytes;
}

void heap_release(void* memory) {
    if (memory == nullptr) return;
    release_locked(static_cast<std::uint8_t*>(memory) - size_field_bytes,
                   heap_size_of(memory) + size_field_bytes);
}

void* heap_resize(void* memory, std::size_t size_bytes) {
    void* const grown = heap_allocate(size_bytes);
    if (grown == nullptr || memory == nullptr) return grown;
    std::memcpy(grown, memory, std::min(size_bytes, heap_size_of(memory)));
    heap_release(memory);
    return grown;
}

constexpr XML_Memory_Handling_Suite heap{&heap_allocate, &heap_resize, &heap_release};

struct FreeParser {
    void operator()(XML_Parser parser) const { XML_ParserFree(parser); }
};

struct Reading {
    XML_Parser parser = nullptr;
    std::span<const std::string_view> paths;
    std::vector<std::optional<SecretBuffer>> texts;
    std::string path;
    std::size_t levels = 0;
    std::optional<std::size_t> open;  // of `paths`: the element whose text is being read
    std::string_view problem;

    void stop(std::string_view why) {
        problem = why;
        XML_StopParser(parser, XML_FALSE);
    }
};

void XMLCALL on_start(void* data, const XML_Char* name, const XML_Char**) {
    Reading& reading = *static_cast<Reading*>(data);
    if (++reading.levels > levels_max) return reading.stop("it is nested too deeply");
    if (reading.open) return reading.stop("an element stands where text must be");
    if (!reading.path.empty()) reading.path += '/';
    reading.path += name;
    const auto found = std::ranges::find(reading.paths, std::string_view(reading.path));
    if (found == reading.paths.end()) return;
    const auto at = static_cast<std::size_t>(found - reading.paths.begin());
    if (reading.texts[at]) return reading.stop("an element stands there twice");
    reading.texts[at].emplace();
    reading.open = at;
}

void XMLCALL on_end(void* data, const XML_Char*) {
    Reading& reading = *static_cast<Reading*>(data);
    --reading.levels;
    reading.open.reset();
    const std::size_t slash = reading.path.rfind('/');
    reading.path.resize(slash == std::string::npos ? 0 : slash);
}

void XMLCALL on_text(void* data, const XML_Char* text, int size_bytes) {
    Reading& reading = *static_cast<Reading*>(data);
    if (reading.open)
        append_text(*reading.texts[*reading.open], {text, static_cast<std::size_t>(size_bytes)});
}

// No reply of a key manager has a document type; entities could blow up a small one.
void XMLCALL on_document_type(void* data, const XML_Char*, const XML_Char*, const XML_Char*, int) {
    static_cast<Reading*>(data)->stop("it has a document type");
}

Failure not_xml(int status, std::string_view why) {
    return {Failure::Kind::malformed, status, "not_xml",
            "the reply is not XML as it must be: " + std::string(why)};
}

}  // namespace

Result<std::vector<std::optional<SecretBuffer>>> read_xml(const Reply& reply,
                                                          std::span<const std::string_view> paths) {
    if (reply.body.size() > reply_bytes_max) return not_xml(reply.status, "it is too large");
    const std::unique_ptr<XML_ParserStruct, FreeParser> parser(XML_ParserCreate_MM(nullptr, &heap, nullptr));
    if (!parser) throw std::bad_alloc();
    Reading reading{
        .parser = parser.get(), .paths = paths, .texts = {}, .path = {}, .open = {}, .problem = {}};
    reading.texts.resize(paths.size());
    XML_SetUserData(parser.get(), &reading);
    XML_SetElementHandler(parser.get(), &on_start, &on_end);
    XML_SetCharacterDataHandler(parser.get(), &on_text);
    XML_SetStartDoctypeDeclHandler(parser.get(), &on_document_type);
    const std::string_view text = text_of(reply.body.expose_secret());
    if (XML_Parse(parser.get(), text.data(), static_cast<int>(text.size()), XML_TRUE) != XML_STATUS_OK) {
        return not_xml(reply.status, reading.problem.empty() ? XML_ErrorString(XML_GetErrorCode(parser.get()))
                                                             : reading.problem);
    }
    return std::move(reading.texts);
}

}  // namespace fieldgate::crypto::kms
