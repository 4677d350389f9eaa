// Who comes to a hub or a leader: crowds of ranks, strangers among them, and those who come again.
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

}  // namespace chorale
