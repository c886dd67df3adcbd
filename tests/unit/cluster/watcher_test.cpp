#include "proxy/cluster/watcher.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <mutex>

#include "tests/unit/cluster/scripted_server.hpp"

namespace fieldgate::cluster {
namespace {

using namespace std::chrono_literals;
using testing::hello_reply;
using testing::ScriptedServer;

// A replica set of one member whose role the test changes.
struct Deployment {
    std::atomic<int> role{0};  // index into roles
    static constexpr const char* roles[] = {"primary", "secondary", "standalone", "mongos"};
    ScriptedServer server{[this](bson::DocumentView) { return hello_reply(roles[role], server.address()); }};
    std::string uri(const std::string& options = "") const {
        return "mongodb://" + server.address() + "/?heartbeatFrequencyMS=500" + options;
    }
};

class Losses {
 public:
    void add(const HostPort& member) {
        const std::lock_guard lock(mutex_);
        lost_.push_back(member);
        changed_.notify_all();
    }
    std::size_t wait_for(std::size_t count, std::chrono::milliseconds timeout) {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, timeout, [&] { return lost_.size() >= count; });
        return lost_.size();
    }

 private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<HostPort> lost_;
};

std::pair<std::optional<HostPort>, std::string> find(Watcher& watcher, std::chrono::milliseconds wait = 10s) {
    std::promise<std::pair<std::optional<HostPort>, std::string>> promise;
    watcher.find_primary(wait, [&](std::optional<HostPort> member, std::string why) {
        promise.set_value({std::move(member), std::move(why)});
    });
    return promise.get_future().get();
}

WatcherOptions options_of(const std::string& uri, Losses& losses) {
    return {
        .uri = uri, .on_member_lost = [&losses](const HostPort& member) { losses.add(member); }, .log = {}};
}

TEST(Watcher, finds_what_takes_writes) {
    for (const int role : {0, 2, 3}) {
        SCOPED_TRACE(Deployment::roles[role]);
        Losses losses;
        Deployment deployment;
        deployment.role = role;
        Watcher watcher(options_of(deployment.uri(), losses));
        EXPECT_EQ(find(watcher).first, (HostPort{"127.0.0.1", deployment.server.port()}));
    }
}

TEST(Watcher, honours_direct_connections_and_set_names) {
    Losses losses;
    Deployment deployment;
    Watcher direct(options_of(deployment.uri("&directConnection=true"), losses));
    EXPECT_TRUE(find(direct).first.has_value());
    Watcher named(options_of(deployment.uri("&replicaSet=rs"), losses));
    EXPECT_TRUE(find(named).first.has_value());
    Watcher wrong(options_of(deployment.uri("&replicaSet=other"), losses));
    const auto [member, why] = find(wrong, 700ms);
    EXPECT_FALSE(member.has_value());
    EXPECT_NE(why.find("no server belongs to the replica set"), std::string::npos) << why;
}

TEST(Watcher, finds_a_member_again_that_belonged_to_another_set_for_a_while) {
    Losses losses;
    Deployment deployment;
    deployment.role = 2;  // restarted as a standalone, for maintenance
    Watcher watcher(options_of(deployment.uri("&replicaSet=rs"), losses));
    EXPECT_FALSE(find(watcher, 700ms).first.has_value());
    deployment.role = 0;
    EXPECT_TRUE(find(watcher).first.has_value());
    deployment.role = 2;
    EXPECT_EQ(losses.wait_for(1, 10s), 1u);
    deployment.role = 0;
    EXPECT_TRUE(find(watcher).first.has_value());
}

TEST(Watcher, says_why_there_is_no_primary) {
    Losses losses;
    Watcher nobody(options_of("mongodb://127.0.0.1:1/?heartbeatFrequencyMS=500", losses));
    const auto [member, why] = find(nobody, 700ms);
    EXPECT_FALSE(member.has_value());
    EXPECT_NE(why.find("no primary within 700 ms: 127.0.0.1:1: "), std::string::npos) << why;

    Deployment deployment;
    deployment.role = 1;
    Watcher secondary(options_of(deployment.uri(), losses));
    EXPECT_NE(find(secondary, 700ms).second.find(deployment.server.address() + ": not a primary"),
              std::string::npos);
}

TEST(Watcher, waits_for_an_election) {
    Losses losses;
    Deployment deployment;
    deployment.role = 1;
    Watcher watcher(options_of(deployment.uri(), losses));
    std::promise<std::optional<HostPort>> promise;
    watcher.find_primary(
        20s, [&](std::optional<HostPort> member, const std::string&) { promise.set_value(member); });
    auto found = promise.get_future();
    EXPECT_EQ(found.wait_for(300ms), std::future_status::timeout);
    deployment.role = 0;
    EXPECT_TRUE(found.get().has_value());
}

TEST(Watcher, tells_when_the_primary_steps_down) {
    Losses losses;
    Deployment deployment;
    Watcher watcher(options_of(deployment.uri(), losses));
    ASSERT_TRUE(find(watcher).first.has_value());
    deployment.role = 1;
    EXPECT_EQ(losses.wait_for(1, 10s), 1u);
    EXPECT_FALSE(find(watcher, 0ms).first.has_value());
}

TEST(Watcher, asks_a_suspected_member_at_once) {
    Losses losses;
    Deployment deployment;
    // Its own heartbeats are too rare to help.
    Watcher watcher(
        options_of("mongodb://" + deployment.server.address() + "/?heartbeatFrequencyMS=60000", losses));
    const auto member = find(watcher).first;
    ASSERT_TRUE(member.has_value());

    watcher.suspect(*member);
    EXPECT_EQ(find(watcher).first, member) << "it says that it takes writes";
    EXPECT_EQ(losses.wait_for(1, 0ms), 0u) << "other sessions must not notice";

    deployment.role = 1;
    watcher.suspect(*member);
    EXPECT_EQ(losses.wait_for(1, 10s), 1u);
    EXPECT_FALSE(find(watcher, 0ms).first.has_value());

    deployment.role = 0;
    watcher.suspect(*member);
    EXPECT_EQ(find(watcher).first, member);
    EXPECT_EQ(losses.wait_for(2, 0ms), 1u);
}

TEST(Watcher, ends_while_someone_waits) {
    Losses losses;
    bool called = false;
    {
        Watcher watcher(options_of("mongodb://127.0.0.1:1/", losses));
        watcher.find_primary(1h, [&](std::optional<HostPort>, const std::string&) { called = true; });
    }
    EXPECT_FALSE(called);
}

TEST(Watcher, refuses_a_connection_string_that_cannot_be_parsed) {
    Losses losses;
    EXPECT_THROW(Watcher(options_of("nonsense", losses)), std::runtime_error);
}

}  // namespace
}  // namespace fieldgate::cluster
