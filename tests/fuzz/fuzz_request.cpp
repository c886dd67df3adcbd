// Whatever a client sends, its analysis ends in a plan or a refusal; where the slices end makes no
// difference; the edits of a plan stand in order at values of the message; and what the sealer makes of it is
// a message whose documents are well formed, with ciphertext at every edit that encrypts.
//
// Input: the bytes of a slice of analysis and of sealing, then a message behind its header.

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "config/config.hpp"
#include "config/name_pattern.hpp"
#include "crypto/random.hpp"
#include "proxy/analysis/analysis.hpp"
#include "proxy/keys/key_ring.hpp"
#include "proxy/policy/policy.hpp"
#include "proxy/session/seal.hpp"
#include "proxy/wire/message.hpp"

using namespace fieldgate;

namespace {

using analysis::Edit;
using analysis::RequestAnalysis;
using Step = RequestAnalysis::Step;

constexpr std::size_t message_bytes_max = 1 << 22;
constexpr keys::Clock::time_point now{};

class PlainCollections final : public analysis::Catalog {
 public:
    const analysis::NamespaceFacts* find(std::string_view, std::string_view) const override {
        return &facts_;
    }

 private:
    analysis::NamespaceFacts facts_;
};

struct World {
    World() {
        key.fill(1);
        auto patients = std::make_shared<config::Schema>();
        using enum config::Algorithm;
        add(*patients, patients->root_.add_child("ssn"), "ssn", deterministic, {0x10});
        config::SchemaNode& insurance = patients->root_.add_child("insurance");
        add(*patients, insurance.add_child("policyNumber"), "insurance.policyNumber", deterministic, {0x12});
        add(*patients, insurance.add_child("plan"), "insurance.plan", random, {0x02});
        add(*patients, patients->root_.add_child("bloodType"), "bloodType", random, {0x02});
        add(*patients, patients->root_.add_child("records"), "records", random, {});
        add(*patients, patients->root_.add_child("own"), "own", random, {0x02});
        patients->fields_.back().key = config::KeyPointer{{"keyName"}};
        add(*patients, patients->root_.add_pattern(config::NamePattern::compile("^secret").pattern),
            "/^secret/", random, {});
        auto visits = std::make_shared<config::Schema>();
        add(*visits, visits->root_.add_child("patientSsn"), "patientSsn", deterministic, {0x10});
        add(*visits, visits->root_.add_child("ssn"), "ssn", random, {0x10});
        config.schemas.push_back(
            {{"clinic", "patients"}, patients, 0, true, true, config::ProtectedNamespace::Nulls::omit});
        config.schemas.push_back(
            {{"clinic", "visits"}, visits, 1, false, false, config::ProtectedNamespace::Nulls::store});
        role.rules = {std::vector<config::FieldRule>(patients->fields().size()),
                      std::vector<config::FieldRule>(visits->fields().size())};

        const std::array<std::uint8_t, crypto::key_bytes> material{};
        keys::KeyResult result;
        result.ids.emplace_back(crypto::KeyId{key},
                                keys::ReadyKey{std::make_shared<const crypto::DataKey>(std::span(material)),
                                               now + std::chrono::hours(1)});
        ring.put(result);
    }

    void add(config::Schema& schema, config::SchemaNode& node, const char* path, config::Algorithm algorithm,
             std::vector<std::uint8_t> types) const {
        node.field = static_cast<std::uint16_t>(schema.fields_.size());
        schema.fields_.push_back({path, algorithm, key, std::move(types)});
    }

    config::KeyUuid key{};
    crypto::SystemRandom random;
    keys::KeyRing ring{random};
    config::Config config;
    config::Role role;
    PlainCollections catalog;
};

Step run(RequestAnalysis& analysis, std::size_t slice_bytes) {
    Step step = Step::more;
    while (step == Step::more) step = analysis.step(slice_bytes);
    if (step == Step::refused && (analysis.refusal().code == 0 || analysis.refusal().errmsg.empty()))
        std::abort();
    return step;
}

bool same(const Edit& a, const Edit& b) {
    return a.offset == b.offset && a.field == b.field && a.kind == b.kind && a.type == b.type;
}

void expect_edits_at_values(const analysis::Plan& plan, wire::Bytes frame) {
    std::size_t end = 0;
    for (const Edit& edit : plan.edits) {
        if (edit.offset < end || edit.offset >= frame.size() || edit.field >= plan.fields->size())
            std::abort();
        const std::uint8_t* const key = frame.data() + edit.offset + 1;
        const auto rest = frame.size() - edit.offset - 1;
        const auto* const zero = static_cast<const std::uint8_t*>(std::memchr(key, 0, rest));
        if (zero == nullptr) std::abort();
        const wire::Bytes value = frame.subspan(static_cast<std::size_t>(zero + 1 - frame.data()));
        const auto bytes = bson::value_size(static_cast<bson::Type>(frame[edit.offset]), value);
        if (!bytes) std::abort();
        end = static_cast<std::size_t>(zero + 1 - frame.data()) + *bytes;
    }
}

void seal(World& world, const wire::OpMsg& message, wire::Bytes frame, const analysis::Plan& plan,
          std::size_t slice_bytes) {
    session::Sealer sealer(message, frame, plan, world.config, message_bytes_max);
    for (;;) {
        switch (sealer.step(world.ring, now, {1 + slice_bytes, 1 + slice_bytes})) {
            case session::Work::more:
                continue;
            case session::Work::need_keys:
                // The schemas' key is there; those that documents name are not.
                if (sealer.needed().alt_names.empty()) std::abort();
                return;
            case session::Work::refused:
                if (sealer.refusal().code == 0 || sealer.refusal().errmsg.empty()) std::abort();
                return;
            case session::Work::done:
                break;
        }
        const wire::Buffer sealed = sealer.take();
        const auto reparsed = wire::OpMsg::parse(sealed);
        if (!reparsed || reparsed->flags != message.flags) std::abort();
        if (!bson::DocumentView::check(reparsed->body.bytes(), bson::Limits{200})) std::abort();
        return;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static World world;
    if (size < 2) return 0;
    wire::Buffer frame;
    wire::append_header(frame, 1, 0, wire::Opcode::msg);
    frame.insert(frame.end(), data + 2, data + size);
    if (frame.size() < wire::header_bytes + 8) return 0;  // flags, and a checksum if they say so
    wire::finish_message(frame);
    const auto message = wire::OpMsg::parse(frame);
    if (!message) return 0;

    const analysis::Context context{world.config, world.catalog};
    RequestAnalysis whole(*message, context);
    RequestAnalysis sliced(*message, context);
    const Step step = run(whole, message_bytes_max);
    if (run(sliced, std::size_t{1} + data[0]) != step) std::abort();
    if (step != Step::done) {
        if (whole.refusal().errmsg != sliced.refusal().errmsg) std::abort();
        return 0;
    }
    const analysis::Plan& plan = whole.plan();
    if (!std::equal(plan.edits.begin(), plan.edits.end(), sliced.plan().edits.begin(),
                    sliced.plan().edits.end(), same))
        std::abort();
    if (!plan.edits.empty() && !plan.touches_protected()) std::abort();
    (void)policy::judge(plan, world.role, world.config);
    if (plan.edits.empty()) return 0;
    expect_edits_at_values(plan, frame);
    seal(world, *message, frame, plan, data[1]);
    return 0;
}
