#include "crypto/kms/xml.hpp"

#include "tests/unit/crypto/kms_support.hpp"

namespace fieldgate::crypto::kms {
namespace {

constexpr std::string_view paths[] = {"a/b/c", "a/d"};

std::string read(std::string_view xml) {
    const auto texts = read_xml(reply_of(200, xml), paths);
    if (!texts) return described(texts.error());
    std::string all;
    for (const auto& text : *texts) all += (text ? text_of(*text) : std::string("-")) + "|";
    return all;
}

TEST(KmsXml, texts_are_found_by_path) {
    EXPECT_EQ(read("<a><b><c>1</c></b><d>2</d></a>"), "1|2|");
    EXPECT_EQ(
        read("<?xml version='1.0' encoding='UTF-8'?>\n<a xmlns='urn:x' y='z'>\n <b>\n <c>1</c></b>\n</a>\n"),
        "1|-|");
    EXPECT_EQ(read("<a><d>x&amp;&#60;<![CDATA[y<z]]><!-- no --></d></a>"), "-|x&<y<z|");
    EXPECT_EQ(read("<a><b><c/></b></a>"), "|-|");
    EXPECT_EQ(read("<a><c>1</c><b><d>2</d></b></a>"), "-|-|");
    EXPECT_EQ(read("<b><c>1</c></b>"), "-|-|");
}

TEST(KmsXml, what_is_not_xml_as_it_must_be_is_malformed) {
    for (const std::string_view xml :
         {"", "x", "{}", "<a>", "<a></b>", "<a/><a/>", "<a><d>1</d><d>2</d></a>", "<a><d><e/></d></a>",
          "<a>&x;</a>", "<a>\xff</a>", "<!DOCTYPE a><a/>", "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
          "<!DOCTYPE a SYSTEM 'file:///etc/hostname'><a/>", "<?xml version='1.0' encoding='no-such'?><a/>"})
        EXPECT_EQ(read(xml), "malformed not_xml") << xml;
    const std::string good = "<a><b><c>1</c></b><d>2</d></a>";
    for (std::size_t size = 0; size < good.size(); ++size)
        EXPECT_EQ(read(good.substr(0, size)), "malformed not_xml") << size;
}

TEST(KmsXml, depth_and_size_are_bounded) {
    const auto nested = [](int levels) {
        std::string text;
        for (int i = 0; i < levels; ++i) text += "<x>";
        for (int i = 0; i < levels; ++i) text += "</x>";
        return text;
    };
    EXPECT_EQ(read(nested(16)), "-|-|");
    EXPECT_EQ(read(nested(17)), "malformed not_xml");
    std::string large = "<a><d>" + std::string(reply_bytes_max - 14, 'x') + "</d></a>";
    ASSERT_EQ(large.size(), reply_bytes_max);
    EXPECT_EQ(read(large).size(), reply_bytes_max - 14 + 3);
    EXPECT_EQ(read(large + " "), "malformed not_xml");
}

}  // namespace
}  // namespace fieldgate::crypto::kms
