#include <cstdio>
#include <cstdlib>

#include <boost/assert.hpp>

// An assertion that fails is our own mistake. Going on could send plaintext where it does not belong, so the
// process ends, in release builds too. Written with stdio because the logger may be what broke.
namespace boost {

void assertion_failed(const char* expression, const char* function, const char* file, long line) {
    std::fprintf(stderr, "fieldgate: assertion failed: %s in %s (%s:%ld)\n", expression, function, file,
                 line);
    std::abort();
}

void assertion_failed_msg(const char* expression, const char* message, const char* function, const char* file,
                          long line) {
    std::fprintf(stderr, "fieldgate: assertion failed: %s (%s) in %s (%s:%ld)\n", expression, message,
                 function, file, line);
    std::abort();
}

}  // namespace boost
