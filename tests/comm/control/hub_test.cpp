// Ranks as threads, one hub, real TCP on the loopback.
#include <catch2/catch.hpp>
#include <sys/socket.h>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <list>
#include <memory>
#include <tuple>

#include <chorale/core/base/error.hpp>
#include <chorale/tests/comm/control/served_hub.hpp>

namespace chorale {

namespace {
using namespace std::chrono_literals;
}  // namespace

TEST_CASE("the hub knows where every rank is, and tells those who ask", "[comm]") {
  ServedHub served(2);
  Presence presence;
  presence.begin_step(5);
  presence.enter(Activity::forward, "encoder.2");
  ControlChannel a(served.options(0)), b(served.options(1));
  a.follow(&presence);
  CHECK(served.soon([](ControlHub& hub) { return hub.ranks()[0].sighting.step == 5; }));
  CHECK(served.with([](ControlHub& hub) { return hub.registered(); }) == 2);
  const auto where = b.where(0, 2s);
  REQUIRE(where);
  CHECK(where->sighting.text() == "forward of layer 'encoder.2' in step 5");
  CHECK(where->is_here);
  CHECK(where->host == host_name());
}

TEST_CASE("a rank's goodbye, its cause of death and its silent end are three things", "[comm]") {
  ServedHub served(3);
  auto good = std::make_unique<ControlChannel>(served.options(0)), bad = std::make_unique<ControlChannel>(served.options(1)),
       mute = std::make_unique<ControlChannel>(served.options(2));
  good->done(0);
  CHECK(served.soon([](ControlHub& hub) { return hub.working() == 2 && hub.present() == 3; }));
  good->bye(0);
  bad->tell({.code = 65, .text = "row 3 is no number", .culprit = 2, .culprit_where = "reading\n of a file"});
  mute.reset();
  CHECK(served.soon([](ControlHub& hub) { return state_of(hub, 2) == RankStatus::State::lost; }));
  served.with([](ControlHub& hub) {
    CHECK(state_of(hub, 0) == RankStatus::State::left);
    CHECK(hub.ranks()[1].code == 65);
    CHECK(hub.ranks()[1].cause == "row 3 is no number");
    CHECK(hub.ranks()[1].kind == CauseKind::own);
    CHECK(hub.ranks()[1].culprit == 2);
    CHECK(hub.ranks()[1].culprit_where == "reading  of a file");
    CHECK(hub.fallen() == std::vector<int>{1, 2});
    return 0;
  });
}

TEST_CASE("stop and leave reach every rank, one that comes late too", "[comm]") {
  ServedHub served(2);
  std::atomic<int> stops{0}, leaves{0};
  const auto listening = [&](int rank) {
    ControlChannel::Options options = served.options(rank);
    options.on_stop = [&](int kind) { stops += kind; };
    options.on_leave = [&](const ControlChannel::Cause& why) {
      if (why.code == 75 && why.text == "rank 7 has died" && why.culprit == 7 && why.kind == CauseKind::follows) ++leaves;
    };
    return options;
  };
  ControlChannel a(listening(0));
  served.with([](ControlHub& hub) { return hub.stop(10), hub.leave(75, "rank 7 has died", 7), 0; });
  ControlChannel late(listening(1));
  CHECK(served.soon([&](ControlHub&) { return stops == 20 && leaves == 2; }));
}

TEST_CASE("a rank that is told to leave first says where it has come to", "[comm]") {
  ServedHub served(1);
  Presence presence;
  ControlChannel::Options options = served.options(0);
  std::atomic<bool> left{false};
  options.on_leave = [&](const ControlChannel::Cause&) {
    const bool known = served.soon([](ControlHub& hub) { return hub.ranks()[0].sighting.step == 17; });
    left = known;
  };
  ControlChannel rank(options);
  rank.follow(&presence);
  presence.begin_step(17);
  served.with([](ControlHub& hub) { return hub.leave(75, "rank 7 has died"), 0; });
  CHECK(served.soon([&](ControlHub&) { return left.load(); }));
}

TEST_CASE("ranks of another node go through its leader, and fall with it", "[comm]") {
  ServedHub served(4);
  ControlChannel here(served.options(0));
  std::unique_ptr<ControlChannel> leader, third;
  std::atomic<int> stops{0}, leaves{0};
  const auto far = [&](int rank, int local) {
    ControlChannel::Options options = served.options(rank, local, "faraway");
    options.on_stop = [&](int) { ++stops; };
    options.on_leave = [&](const ControlChannel::Cause&) { ++leaves; };
    return options;
  };
  std::thread early([&] { third = std::make_unique<ControlChannel>(far(2, 1)); });  // before its leader is there
  leader = std::make_unique<ControlChannel>(far(1, 0));
  early.join();
  ControlChannel fourth(far(3, 2));
  CHECK(served.soon([](ControlHub& hub) { return hub.registered() == 4; }));
  served.with([](ControlHub& hub) {
    CHECK(hub.ranks()[2].through == 1);
    CHECK(hub.ranks()[3].through == 1);
    return hub.stop(12), 0;
  });
  CHECK(served.soon([&](ControlHub&) { return stops == 3; }));
  const auto where = fourth.where(2, 2s);
  REQUIRE(where);
  CHECK(where->host == "faraway");
  fourth.bye(0);
  third.reset();  // its leader says so
  CHECK(served.soon([](ControlHub& hub) { return state_of(hub, 2) == RankStatus::State::lost; }));
  leader.reset();  // it has waited for the goodbye of the fourth, which stays, in vain
  CHECK(served.soon([](ControlHub& hub) { return state_of(hub, 1) == RankStatus::State::lost; }));
  CHECK(served.with([](ControlHub& hub) { return state_of(hub, 3); }) == RankStatus::State::left);
  CHECK(leaves == 0);
}

TEST_CASE("how the process of a lost rank ended is known on the hub's node, through its leader, and of a leader by its neighbours",
          "[comm]") {
  ServedHub served(4);
  const auto ends_with = [&](int rank, int signal) {
    return served.soon([&](ControlHub& hub) { return hub.ranks()[static_cast<std::size_t>(rank)].status.value_or(0) % 128 == signal; });
  };
  const auto of = [&](int rank, int local, const std::string& host, pid_t process) {
    ControlChannel::Options options = served.options(rank, local, host);
    options.process = process;
    return std::make_unique<ControlChannel>(options);
  };
  Mortal near, neighbour, chief;
  auto a = of(0, 0, host_name(), near.process), leader = of(1, 0, "faraway", chief.process);
  auto b = of(2, 1, "faraway", neighbour.process), witness = of(3, 2, "faraway", ::getpid());
  a.reset();
  CHECK(served.soon([](ControlHub& hub) { return state_of(hub, 0) == RankStatus::State::lost; }));
  CHECK_FALSE(served.with([](ControlHub& hub) { return hub.ranks()[0].status; }));
  near.end_by(SIGKILL);
  neighbour.end_by(SIGUSR1);
  b.reset();
  CHECK(ends_with(2, SIGUSR1));
  chief.end_by(SIGUSR2);
  leader.reset();
  CHECK(ends_with(1, SIGUSR2));
  CHECK(ends_with(0, SIGKILL));
  ControlConnection liar(connect_to("127.0.0.1", served.hub.port(), 2s));
  liar.send({.kind = ControlMessage::Kind::witness, .code = 3, .number = 1 + SIGTERM, .text = "no secret\nfaraway"});
  liar.flush(1s);
  CHECK(served.soon([](ControlHub& hub) { return hub.refused() == 1; }));
  CHECK(served.with([](ControlHub& hub) { return hub.ranks()[3].status; }) != SIGTERM);
}

TEST_CASE("a leader that falls takes its neighbours with it, one that ends in order passes their goodbyes on", "[comm]") {
  ServedHub served(3);
  std::atomic<int> leaves{0};
  const auto far = [&](int rank, int local) {
    ControlChannel::Options options = served.options(rank, local, "faraway");
    options.on_leave = [&](const ControlChannel::Cause&) { ++leaves; };
    return options;
  };
  auto leader = std::make_unique<ControlChannel>(far(0, 0));
  ControlChannel stays(far(1, 1));
  auto quick = std::make_unique<ControlChannel>(far(2, 2));
  std::thread ending([&] { leader.reset(); });
  quick->bye(0);
  quick.reset();
  CHECK(served.soon([](ControlHub& hub) { return state_of(hub, 2) == RankStatus::State::left; }));
  ending.join();  // after its patience
  CHECK(served.soon([](ControlHub& hub) { return state_of(hub, 1) == RankStatus::State::lost; }));
  CHECK(served.soon([&](ControlHub&) { return leaves == 1; }));
}

TEST_CASE("when the hub goes, ranks leave; after a goodbye they do not", "[comm]") {
  auto served = std::make_unique<ServedHub>(2);
  std::atomic<int> leaves{0};
  ControlChannel::Options options = served->options(0), gone = served->options(1);
  options.on_leave = gone.on_leave = [&](const ControlChannel::Cause& why) {
    if (why.code == 75 && why.text.find("has gone") != std::string::npos && why.kind == CauseKind::peer) ++leaves;
  };
  ControlChannel a(options), b(gone);
  b.bye(0);
  served.reset();
  for (int i = 0; i < 3000 && leaves == 0; ++i) std::this_thread::sleep_for(1ms);
  std::this_thread::sleep_for(50ms);
  CHECK(leaves == 1);
}

TEST_CASE("a hub that answers nothing is given up", "[comm]") {
  std::uint16_t port = 0;
  const Descriptor deaf = listen_at("127.0.0.1", port);
  ControlChannel::Options options;
  options.hub = {.host = "127.0.0.1", .port = port, .secret = "x"};
  options.rank = 0;
  const auto start = std::chrono::steady_clock::now();
  CHECK_THROWS_AS(ControlChannel(options, 300ms), CommError);
  CHECK(std::chrono::steady_clock::now() - start < 2s);
}

TEST_CASE("a hub that falls silent is not one that has gone", "[comm]") {
  std::uint16_t port = 0;
  const Descriptor deaf = listen_at("127.0.0.1", port);
  const auto joins = [&](const ControlChannel::Options& options) {
    try {
      const ControlChannel channel(options, 300ms);
      return std::string("welcome");
    } catch (const CommError& e) {
      return std::string(e.is_late ? "late" : "refused");
    }
  };
  CHECK(joins({.hub = {.host = "127.0.0.1", .port = port, .secret = "x"}, .rank = 0, .on_leave = {}, .on_stop = {}}) == "late");
  ServedHub served(1);
  ControlChannel::Options stranger = served.options(0);
  stranger.hub.secret[3] ^= 1;
  CHECK(joins(stranger) == "refused");

  ControlChannel::Options options = served.options(0);
  std::atomic<bool> silent{false};
  options.silence = 1500ms, options.hub_name = "the hub";  // it speaks once a second
  options.on_leave = [&](const ControlChannel::Cause& why) {
    silent = why.kind == CauseKind::late && why.text.starts_with("the hub (127.0.0.1:");
  };
  ControlChannel rank(options);
  std::this_thread::sleep_for(2s);
  CHECK_FALSE(silent);
  const std::lock_guard held(served.mutex);  // it stands still
  for (int i = 0; i < 3000 && !silent; ++i) std::this_thread::sleep_for(1ms);
  CHECK(silent);
}

TEST_CASE("an address is a host and a port", "[comm]") {
  CHECK(ControlAddress::parse("node1:4711", "s").port == 4711);
  for (const char* text : {"", "node1", "node1:", ":3", "node1:0", "node1:70000", "node1:12x"})
    CHECK_THROWS_AS(ControlAddress::parse(text, "s"), UsageError);
}

TEST_CASE("what a node's ranks have counted of processes killed for memory is known of that node only", "[comm]") {
  ServedHub served(2);
  const auto hello = [&](ControlConnection& rank, int number, const std::string& host) {
    rank.send({.kind = ControlMessage::Kind::hello, .rank = number, .number = 1, .port = 1, .text = served.secret + "\n" + host});
    rank.flush(1s);
  };
  ControlConnection a(connect_to("127.0.0.1", served.hub.port(), 2s)), b(connect_to("127.0.0.1", served.hub.port(), 2s));
  hello(a, 0, "a"), hello(b, 1, "b");
  REQUIRE(served.soon([](ControlHub& hub) { return hub.registered() == 2; }));
  b.send({.kind = ControlMessage::Kind::beat, .rank = 1, .number = 2});
  b.send({.kind = ControlMessage::Kind::beat, .rank = 1, .number = 1});  // a later one of less takes nothing back
  b.flush(1s);
  CHECK(served.soon([](ControlHub& hub) { return hub.memory_kills_on("b") == 2; }));
  CHECK(served.with([](ControlHub& hub) { return hub.memory_kills_on("a"); }) == 0);
}

}  // namespace chorale
