// A rank's place is read while it is written.
#include <catch2/catch.hpp>
#include <string>
#include <thread>

#include <chorale/comm/presence.hpp>

using namespace chorale;

TEST_CASE("a sighting says what a rank does and where") {
  Presence presence;
  CHECK(presence.read().text() == "starting");
  presence.begin_step(17);
  presence.enter(Activity::forward, "encoder.2");
  CHECK(presence.read().text() == "forward of layer 'encoder.2' in step 17");
  presence.join("all_reduce 'grad bucket 3'", 4182);
  CHECK(presence.read().text() == "all_reduce 'grad bucket 3' #4182 in step 17");
  presence.enter(Activity::saving);
  CHECK(presence.read().text() == "saving in step 17");
}

TEST_CASE("a visit leaves the rank where it was, and further on") {
  Presence presence;
  presence.enter(Activity::backward, "head");
  const std::uint64_t before = presence.read().beat;
  { const Visit visit(presence, Activity::communicating, "barrier 'x'"); }
  CHECK(presence.read().text() == "backward of layer 'head'");
  CHECK(presence.read().beat > before);
}

TEST_CASE("a name that is too long is cut, not spilled") {
  Presence presence;
  presence.enter(Activity::forward, std::string(200, 'x'));
  CHECK(presence.read().text() == "forward of layer '" + std::string(63, 'x') + "'");
}

TEST_CASE("a reader never sees half of a place") {
  Presence presence;
  std::atomic<bool> over{false};
  std::atomic<int> whole{0};
  std::thread writer([&] {
    // On a busy machine the reader may get its first turn after all of them: then the writer goes on until it has had one.
    for (int i = 0; i < 200000 || (whole == 0 && i < 20000000); ++i) {
      const bool even = i % 2 == 0;
      presence.enter(even ? Activity::forward : Activity::backward, std::string(60, even ? 'a' : 'b'));
      presence.read();  // a reader needs a moment without a write
    }
    over = true;
  });
  bool torn = false;
  while (!over) {
    const Sighting seen = presence.read();
    if (seen.what[0] == '\0' || !seen.is_whole) continue;  // before the first, or the writer was stopped inside
    ++whole;
    const char expected = seen.activity == Activity::forward ? 'a' : 'b';
    torn = torn || std::string(seen.what) != std::string(60, expected);
  }
  writer.join();
  CHECK_FALSE(torn);
  CHECK(whole > 0);
}
