// Runs a fuzz target over known inputs, for compilers without libFuzzer:
//
//     fuzz_<target> TARGET SEEDS_CSV [CRASH_FOLDER]
//
// Each seed is also cut at every length and has each of its bytes changed, so that the replay is a test and
// not a demo.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Input = std::vector<std::uint8_t>;

[[noreturn]] void fail(const std::string& message) {
    std::fprintf(stderr, "replay: %s\n", message.c_str());
    std::exit(1);
}

// A heap block of exactly the input's size, so that sanitizers see a read beyond it.
void run(const Input& input) {
    const Input exact(input);
    LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

void run_with_changes(const Input& seed) {
    run(seed);
    for (std::size_t size = 0; size < seed.size(); ++size) {
        run(Input(seed.begin(), seed.begin() + static_cast<std::ptrdiff_t>(size)));
    }
    Input changed = seed;
    for (std::size_t at = 0; at < seed.size(); ++at) {
        for (const int delta : {1, -1, 0x80, 0x40}) {
            changed[at] = static_cast<std::uint8_t>(seed[at] + delta);
            run(changed);
        }
        changed[at] = seed[at];
    }
}

Input from_hex(const std::string& text) {
    if (text.size() % 2 != 0) fail("a seed of half a byte");
    Input bytes;
    for (std::size_t i = 0; i < text.size(); i += 2) {
        std::size_t used = 0;
        bytes.push_back(static_cast<std::uint8_t>(std::stoul(text.substr(i, 2), &used, 16)));
        if (used != 2) fail("a seed that is not hex");
    }
    return bytes;
}

std::size_t run_seeds(const std::string& target, const std::string& path) {
    std::ifstream file(path);
    if (!file) fail("cannot read " + path);
    std::size_t seed_count = 0;
    std::string line;
    while (std::getline(file, line)) {
        const std::size_t name_at = line.find(',') + 1;
        const std::size_t hex_at = line.find(',', name_at) + 1;
        if (name_at == 0 || hex_at == 0) fail("a line without three columns in " + path);
        if (line.substr(0, name_at - 1) != target) continue;
        run_with_changes(from_hex(line.substr(hex_at)));
        ++seed_count;
    }
    return seed_count;
}

std::size_t run_crashes(const std::filesystem::path& folder) {
    std::size_t crash_count = 0;
    if (!std::filesystem::is_directory(folder)) return 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        std::ifstream file(entry.path(), std::ios::binary);
        if (!file) fail("cannot read " + entry.path().string());
        run(Input(std::istreambuf_iterator<char>(file), {}));
        ++crash_count;
    }
    return crash_count;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) fail("usage: fuzz_<target> TARGET SEEDS_CSV [CRASH_FOLDER]");
    const std::size_t seed_count = run_seeds(argv[1], argv[2]);
    if (seed_count == 0) fail(std::string("no seeds for ") + argv[1]);
    const std::size_t crash_count = argc > 3 ? run_crashes(argv[3]) : 0;
    std::printf("%s: %zu seeds, %zu former crashes\n", argv[1], seed_count, crash_count);
    return 0;
}
