#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include <chorale/comm/control/message.hpp>
#include <chorale/core/base/error.hpp>

namespace chorale {

TEST_CASE("a control message arrives as it was sent, however the stream is cut", "[comm]") {
  Presence presence;
  presence.begin_step(7);
  presence.join("all_reduce 'grad'", 41);
  const ControlMessage sent = {.kind = ControlMessage::Kind::cause,
                               .rank = 3,
                               .code = 75,
                               .number = -9,
                               .port = 4711,
                               .sighting = presence.read(),
                               .text = "it broke"};
  const std::vector<std::byte> bytes = encoded(sent);
  ControlReader reader;
  std::vector<ControlMessage> got;
  for (int copy = 0; copy < 3; ++copy)
    for (const std::byte& byte : bytes) {
      reader.take(std::span(&byte, 1));
      while (auto message = reader.next()) got.push_back(*message);
    }
  REQUIRE(got.size() == 3);
  CHECK(got[2].kind == sent.kind);
  CHECK(got[2].rank == 3);
  CHECK(got[2].code == 75);
  CHECK(got[2].number == -9);
  CHECK(got[2].port == 4711);
  CHECK(got[2].sighting.text() == "all_reduce 'grad' #41 in step 7");
  CHECK(got[2].text == "it broke");
}

TEST_CASE("a text that is too long for the control channel is cut", "[comm]") {
  ControlReader reader;
  reader.take(encoded({.text = std::string(5000, 'x')}));
  CHECK(reader.next()->text == std::string(ControlMessage::kMostText, 'x'));
}

TEST_CASE("a message from a place that does not exist is refused", "[comm]") {
  ControlMessage message;
  message.sighting.activity = static_cast<Activity>(static_cast<int>(Activity::ending) + 1);
  ControlReader reader;
  reader.take(encoded(message));
  CHECK_THROWS_AS(reader.next(), DataError);
}

TEST_CASE("bytes that are no control message are refused, not stored", "[comm]") {
  const unsigned seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::byte> bytes = encoded({.kind = ControlMessage::Kind::beat, .text = "abc"});
    const std::size_t at = random() % bytes.size();
    bytes[at] ^= static_cast<std::byte>(1u << random() % 8);
    if (round % 3 == 0) bytes.resize(at);
    ControlReader reader;
    reader.take(bytes);
    try {
      while (const auto message = reader.next()) CHECK(message->text.size() <= ControlMessage::kMostText);
    } catch (const DataError& e) {
      CHECK(std::string(e.what()).find("refused") != std::string::npos);
    }
  }
  ControlReader reader;
  const std::uint32_t huge = 0xffffffff;
  reader.take(std::as_bytes(std::span(&huge, 1)));
  CHECK_THROWS_AS(reader.next(), DataError);
}

}  // namespace chorale
