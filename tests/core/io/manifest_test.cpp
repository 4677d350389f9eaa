#include <catch2/catch.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/manifest.hpp>

using namespace chorale;

TEST_CASE("a manifest of a newer program is refused by its version, not called damaged") {
  Manifest newer;
  newer.version = kCheckpointVersion + 1;
  CHECK_THROWS_WITH(parse_manifest(manifest_text(newer), "step_9/manifest.json"),
                    Catch::StartsWith("step_9/manifest.json: has version") && Catch::Contains("newer program"));
  CHECK_THROWS_AS(parse_manifest(manifest_text(newer), "x"), CheckpointError);
}

TEST_CASE("any changed byte of a manifest is noticed") {
  Manifest manifest;
  manifest.step = 280;
  const std::string text = manifest_text(manifest);
  CHECK(parse_manifest(text, "x").step == 280);
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    CHECK_THROWS_AS(parse_manifest(damaged, "x"), CheckpointError);
  }
  for (std::size_t n = 0; n < text.size(); ++n) CHECK_THROWS_AS(parse_manifest(text.substr(0, n), "x"), CheckpointError);
}
