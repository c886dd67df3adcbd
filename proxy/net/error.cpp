#include "proxy/net/error.hpp"

#include <string>

namespace fieldgate::net {
namespace {

class Category final : public boost::system::error_category {
 public:
    const char* name() const noexcept override { return "fieldgate.net"; }
    std::string message(int value) const override {
        switch (static_cast<Errc>(value)) {
            case Errc::ok:
                return "no error";
            case Errc::tls_failed:
                return "TLS failed";
            case Errc::tls_truncated:
                return "the TLS stream was cut off";
            case Errc::timed_out:
                return "it took longer than allowed";
            case Errc::unsolicited_bytes:
                return "the server sent bytes that nobody asked for";
            case Errc::no_address:
                return "the host name has no address";
        }
        return "unknown error";
    }
};

}  // namespace

const boost::system::error_category& error_category() {
    static const Category category;
    return category;
}

}  // namespace fieldgate::net
