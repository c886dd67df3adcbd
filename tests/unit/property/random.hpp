#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

// Chance for the property test: the same numbers for the same seed on every platform (SplitMix64).
namespace fieldgate::property {

class Random {
 public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    // The numbers of one case, whatever the cases before it drew: a case is replayed alone.
    static Random of_case(std::uint64_t seed, std::uint64_t number) {
        Random mixed(seed ^ (number * 0xD1342543DE82EF95u));
        return Random(mixed.next());
    }

    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }
    std::size_t below(std::size_t bound) { return static_cast<std::size_t>(next() % bound); }
    bool chance(unsigned percent) { return below(100) < percent; }
    template <class Container>
    auto& pick(Container& container) {
        return container[below(std::size(container))];
    }

 private:
    std::uint64_t state_;
};

}  // namespace fieldgate::property
