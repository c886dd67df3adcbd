#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/wire/message.hpp"

namespace fieldgate::net {

// Whether the server has let a client do something that needs a login where there are logins: until then it
// is a stranger. Watches the requests that go upstream and their replies.
class Standing {
 public:
    bool is_stranger() const { return !proven_; }

    // A request was forwarded; `alone`: nothing was owed to the client before it. Of a client that sends
    // several requests at once none counts but the first: which reply is whose would have to be remembered.
    void request_sent(std::string_view command, std::int32_t request_id, bool alone);
    // A reply arrives, of which the first bytes are here.
    void reply_seen(wire::Bytes first);

 private:
    bool proven_ = false;
    bool watching_ = false;
    bool is_sasl_ = false;
    std::int32_t request_id_ = 0;
};

}  // namespace fieldgate::net
