#include <catch2/catch.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/content_hash.hpp>
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

TEST_CASE("a manifest without a hash for each MiB, with a path or with a key twice is refused") {
  const std::string one(32, 'a');
  CHECK_NOTHROW(parse_manifest(manifest_text({.files = {{"x", (1 << 20) + 1, {one, one}}}}), "m"));
  CHECK_THROWS_WITH(parse_manifest(manifest_text({.files = {{"x", 1 << 20, {one, one}}}}), "m"), Catch::Contains("one for each MiB"));
  CHECK_THROWS_WITH(parse_manifest(manifest_text({.files = {{"x", 5, {}}}}), "m"), Catch::Contains("one for each MiB"));
  CHECK_THROWS_AS(manifest_text({.files = {{"../x", 0, {}}}}), UsageError);
  const auto signed_again = [](std::string body) {
    ContentHash hash;
    hash.add(std::as_bytes(std::span(body)));
    return body + ",\n \"hash\": \"" + hash.text() + "\"\n}\n";
  };
  std::string text = manifest_text({.step = 3, .fields = R"({"a": 1})"});
  text.resize(text.rfind(",\n \"hash\""));
  CHECK_NOTHROW(parse_manifest(signed_again(text), "m"));
  CHECK_THROWS_WITH(parse_manifest(signed_again(text + ",\n \"step\": 4"), "m"), Catch::Contains("has the key 'step' twice"));
  std::string path = text;
  path.replace(path.find("\"files\": {"), 10, R"("files": {"../x": {"bytes": 0, "xxh3_128": []})");
  CHECK_THROWS_WITH(parse_manifest(signed_again(path), "m"), Catch::Contains("no plain name"));
}
