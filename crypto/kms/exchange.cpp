#include "crypto/kms/exchange.hpp"

#include <boost/throw_exception.hpp>
#include <stdexcept>

namespace fieldgate::crypto::kms {

void throw_exception_from_error(const Failure& failure, const boost::source_location& where) {
    boost::throw_exception(
        std::logic_error("a failure was taken for a value: " + failure.code + ": " + failure.text), where);
}

}  // namespace fieldgate::crypto::kms
