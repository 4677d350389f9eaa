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

#include <chorale/comm/control/channel.hpp>
#include <chorale/comm/control/hub.hpp>
#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {
using namespace std::chrono_literals;

/// A hub that a thread serves until it is told to go.
struct ServedHub {
  explicit ServedHub(int ranks) : hub({.ranks = ranks, .secret = secret, .address = "127.0.0.1"}) {
    thread = std::thread([this] {
      while (!over) {
        {
          const std::lock_guard lock(mutex);
          hub.serve(0ms);
        }
        std::this_thread::sleep_for(500us);  // who waits for the lock gets it
      }
    });
  }
  ~ServedHub() { end(); }
  void end() {
    over = true;
    if (thread.joinable()) thread.join();
  }
  template <class F>
  auto with(F&& f) {
    const std::lock_guard lock(mutex);
    return f(hub);
  }
  template <class F>
  bool soon(F&& f) {
    for (int i = 0; i < 3000; ++i) {
      if (with(f)) return true;
      std::this_thread::sleep_for(1ms);
    }
    return false;
  }
  ControlChannel::Options options(int rank, int local_rank = 0, std::string host = host_name()) {
    ControlChannel::Options out;
    out.hub = {.host = "127.0.0.1", .port = hub.port(), .secret = secret};
    out.rank = rank, out.local_rank = local_rank, out.host = std::move(host);
    return out;
  }
  std::string secret = new_secret();
  ControlHub hub;
  std::mutex mutex;
  std::atomic<bool> over{false};
  std::thread thread;
};

/// A process that waits for its end, by a signal for which the test's framework has no handler. It stays a zombie, which every kernel lets
/// others see; waiting for it is the destructor's.
struct Mortal {
  Mortal() : process(::fork()) {
    if (process != 0) return;
    for (;;) ::pause();
  }
  ~Mortal() {
    ::kill(process, SIGKILL);
    ::waitpid(process, nullptr, 0);
  }
  Mortal(const Mortal&) = delete;
  Mortal& operator=(const Mortal&) = delete;
  void end_by(int signal) const { ::kill(process, signal); }
  pid_t process;
};

RankStatus::State state_of(const ControlHub& hub, int rank) { return hub.ranks()[static_cast<std::size_t>(rank)].state; }
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

TEST_CASE("who does not know the run's secret, or comes twice, is refused", "[comm]") {
  ServedHub served(2);
  ControlChannel::Options stranger = served.options(0);
  stranger.hub.secret[3] ^= 1;
  const auto start = std::chrono::steady_clock::now();
  CHECK_THROWS_AS(ControlChannel(stranger, 60s), CommError);
  CHECK(std::chrono::steady_clock::now() - start < 20s);  // it is told so, and does not come again
  ControlChannel first(served.options(0));
  CHECK_THROWS_AS(ControlChannel(served.options(0), 2s), CommError);
  CHECK_THROWS_AS(ControlChannel(served.options(2), 2s), CommError);  // no such rank
  served.with([](ControlHub& hub) {
    CHECK(hub.refused() == 3);
    CHECK(hub.registered() == 1);
    return 0;
  });
}

TEST_CASE("strangers that stay, speak without end or send what is no message hold nobody up", "[comm]") {
  ServedHub served(1);
  const auto connected = [&] { return connect_to("127.0.0.1", served.hub.port(), 2s); };
  std::vector<Descriptor> silent;
  for (int i = 0; i < 80; ++i) silent.push_back(connected());  // 64 are kept, and one for the rank that is to come
  CHECK(served.soon([](ControlHub& hub) { return hub.refused() >= 15; }));
  ControlConnection talker(connected());
  for (int i = 0; i < 5000; ++i) talker.send({.kind = ControlMessage::Kind::beat, .rank = 0, .text = std::string(100, 'x')});
  talker.flush(1s);
  const Descriptor http = connected();
  const std::string request = "GET / HTTP/1.1\r\n\r\n";
  CHECK(::send(http.number(), request.data(), request.size(), MSG_NOSIGNAL) == std::ssize(request));
  CHECK(served.soon([&](ControlHub&) { return !talker.pump(); }));  // cut off after its first word
  const ControlChannel rank(served.options(0));
  CHECK(served.soon([](ControlHub& hub) { return hub.registered() == 1; }));
}

TEST_CASE("ranks that come in a crowd while the hub stands still are all let in, and the strangers among them go", "[comm]") {
  constexpr int kRanks = 150;
  ServedHub served(kRanks);
  std::list<ControlConnection> ranks;
  std::vector<Descriptor> silent;
  {
    const std::lock_guard held(served.mutex);
    for (int rank = 0; rank < kRanks; ++rank) {
      silent.push_back(connect_to("127.0.0.1", served.hub.port(), 2s));
      ranks.emplace_back(connect_to("127.0.0.1", served.hub.port(), 2s));
      ranks.back().send({.kind = ControlMessage::Kind::hello, .rank = rank, .number = 1, .text = served.secret + "\n" + host_name()});
      ranks.back().flush(1s);
    }
  }
  CHECK(served.soon([](ControlHub& hub) { return hub.registered() == kRanks && hub.refused() > 0; }));
  CHECK(served.with([](ControlHub& hub) { return hub.present(); }) == kRanks);
}

TEST_CASE("a node's ranks that come to its leader in a crowd are all heard, strangers keep none out", "[comm]") {
  constexpr int kRanks = 80;
  ServedHub served(kRanks + 1);
  Neighbours neighbours(served.secret);
  ControlConnection to_hub(connect_to("127.0.0.1", served.hub.port(), 2s));
  to_hub.send({.kind = ControlMessage::Kind::hello, .rank = kRanks, .number = 1, .port = 1, .text = served.secret + "\nfaraway"});
  to_hub.flush(1s);
  REQUIRE(served.soon([](ControlHub& hub) { return hub.registered() == 1; }));
  std::vector<Descriptor> silent;
  std::list<ControlConnection> ranks;
  for (std::size_t i = 0; i < kMostStrangers; ++i) silent.push_back(connect_to("127.0.0.1", neighbours.port(), 2s));
  neighbours.serve(&to_hub);
  for (int rank = 0; rank < kRanks; ++rank) {
    ranks.emplace_back(connect_to("127.0.0.1", neighbours.port(), 2s));
    ranks.back().send({.kind = ControlMessage::Kind::hello, .rank = rank, .code = 1, .number = 1, .text = served.secret + "\nfaraway"});
    ranks.back().flush(1s);
  }
  CHECK(served.soon([&](ControlHub& hub) { return neighbours.serve(&to_hub), to_hub.flush(10ms), hub.registered() == kRanks + 1; }));
}

namespace {
/// A hub that does to connections what a test wants, one after the other.
struct ScriptedHub {
  explicit ScriptedHub(std::function<void(Descriptor& listener)> acts) : listener(listen_at("127.0.0.1", port)) {
    thread = std::thread([this, acts = std::move(acts)] { acts(listener); });
  }
  ~ScriptedHub() { thread.join(); }
  static Descriptor next(const Descriptor& listener) {
    for (int i = 0; i < 3000; ++i) {
      if (Descriptor socket = accept_from(listener)) return socket;
      std::this_thread::sleep_for(1ms);
    }
    return Descriptor();
  }
  ControlChannel::Options options() const {
    ControlChannel::Options out;
    out.hub = {.host = "127.0.0.1", .port = port, .secret = "x"};
    out.rank = 0;
    return out;
  }
  std::uint16_t port = 0;
  Descriptor listener;
  std::thread thread;
};
}  // namespace

TEST_CASE("a rank whose connection ends before a welcome comes again, and is heard then", "[comm]") {
  std::atomic<int> ended{0};
  ScriptedHub crowded([&](Descriptor& listener) {
    for (; ended < 3; ++ended) ScriptedHub::next(listener);
    ControlConnection rank(ScriptedHub::next(listener));
    for (int i = 0; i < 3000 && rank.take().empty(); ++i) rank.pump(), std::this_thread::sleep_for(1ms);
    rank.send({.kind = ControlMessage::Kind::welcome, .rank = 0});
    rank.flush(1s);
    for (int i = 0; i < 3000 && rank.pump(); ++i) std::this_thread::sleep_for(1ms);
  });
  const ControlChannel rank(crowded.options(), 10s);
  CHECK(ended == 3);
}

TEST_CASE("a hub that ends before it has welcomed a rank is known to have ended at once, also by its process", "[comm]") {
  const auto start = std::chrono::steady_clock::now();
  {
    ScriptedHub dies([](Descriptor& listener) {
      const Descriptor rank = ScriptedHub::next(listener);
      listener = Descriptor();
    });
    CHECK_THROWS_AS(ControlChannel(dies.options(), 20s), HubGone);
  }
  ControlChannel::Options options;
  std::uint16_t port = 0;
  std::ignore = listen_at("127.0.0.1", port);  // and nobody does any more
  options.hub = {.host = "127.0.0.1", .port = port, .secret = "x"}, options.rank = 0;
  int asked = 0;
  options.is_hub_gone = [&] { return ++asked > 1; };
  CHECK_THROWS_AS(ControlChannel(options, 20s), HubGone);
  CHECK(std::chrono::steady_clock::now() - start < 10s);
  options.is_hub_gone = {};
  CHECK_THROWS_AS(ControlChannel(options, 200ms), CommError);
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

TEST_CASE("a stranger on a leader's node takes the leader nothing, and the hub does not hear of it", "[comm]") {
  ServedHub served(3);
  const auto saying = [&](ControlConnection& way, int rank, const std::string& secret) {
    way.send({.kind = ControlMessage::Kind::hello, .rank = rank, .code = 1, .number = 1, .port = 1, .text = secret + "\nfaraway"});
    way.flush(1s);
  };
  ControlChannel leader(served.options(0, 0, "faraway"));
  ControlConnection liar(connect_to("127.0.0.1", served.hub.port(), 2s));  // as the leader would hand it on, if it did
  saying(liar, 1, "no secret");
  CHECK(served.soon([](ControlHub& hub) { return hub.refused() == 1; }));

  Neighbours neighbours(served.secret);
  ControlConnection to_hub(connect_to("127.0.0.1", served.hub.port(), 2s));
  to_hub.send({.kind = ControlMessage::Kind::hello, .rank = 1, .code = 0, .number = 1, .port = 1, .text = served.secret + "\nb"});
  to_hub.flush(1s);
  REQUIRE(served.soon([](ControlHub& hub) { return state_of(hub, 1) == RankStatus::State::here; }));
  const auto serve = [&] {
    for (int i = 0; i < 50; ++i) neighbours.serve(&to_hub), to_hub.flush(10ms), std::this_thread::sleep_for(1ms);
  };
  ControlConnection stranger(connect_to("127.0.0.1", neighbours.port(), 2s)), twin(connect_to("127.0.0.1", neighbours.port(), 2s)),
      true_one(connect_to("127.0.0.1", neighbours.port(), 2s));
  saying(stranger, 2, "no secret");
  serve();
  CHECK_FALSE(stranger.pump());  // cut off
  CHECK(neighbours.empty() == false);
  saying(twin, 0, served.secret);  // is there already: refused, and the way to the hub stands
  saying(true_one, 2, served.secret);
  serve();
  CHECK(served.soon([](ControlHub& hub) { return state_of(hub, 2) == RankStatus::State::here; }));
  CHECK(served.with([](ControlHub& hub) { return state_of(hub, 1); }) == RankStatus::State::here);
  CHECK(served.with([](ControlHub& hub) { return hub.refused(); }) == 2);
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
