#include "shrink.hpp"

#include <utility>

namespace fieldgate::property {
namespace {

// Containers are addressed through the command, which is tried as it is after each change.
bool shrink_container(Value& container, const std::function<bool()>& fails, int& tries) {
    bool smaller = false;
    for (std::size_t i = container.members.size(); !container.pinned && i-- > 0 && tries > 0;) {
        Member taken = std::move(container.members[i]);
        const auto at = container.members.begin() + static_cast<std::ptrdiff_t>(i);
        container.members.erase(at);
        --tries;
        if (fails()) {
            smaller = true;
        } else {
            container.members.insert(container.members.begin() + static_cast<std::ptrdiff_t>(i),
                                     std::move(taken));
        }
    }
    for (Member& member : container.members)
        if (member.value.is_container()) smaller = shrink_container(member.value, fails, tries) || smaller;
    return smaller;
}

}  // namespace

Command shrink(Command command, const std::function<bool(const Command&)>& fails, int tries) {
    const auto still_fails = [&] { return fails(command); };
    for (bool smaller = true; smaller && tries > 0;) {
        smaller = shrink_container(command.body, still_fails, tries);
        for (Sequence& sequence : command.sequences)
            smaller = shrink_container(sequence.documents, still_fails, tries) || smaller;
    }
    return command;
}

}  // namespace fieldgate::property
