#include <catch2/catch.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/checkpoint.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/tests/core/io/written_checkpoint.hpp>

using namespace chorale;
namespace fs = std::filesystem;

TEST_CASE("the points of the protocol come in their order") {
  CheckpointFolder runs;
  std::vector<SavePoint> seen;
  write_checkpoint({.checkpoints = runs.path, .step = 1, .token = "test"});
  write_checkpoint({.checkpoints = runs.path, .step = 2, .token = "test", .at = [&](SavePoint point) { seen.push_back(point); }},
                   {.last = 1});
  CHECK(seen ==
        std::vector<SavePoint>{SavePoint::part_written, SavePoint::part_written, SavePoint::manifest, SavePoint::rename, SavePoint::prune});
  CHECK(list_checkpoints(runs.path).steps == std::vector<std::int64_t>{2});
}

TEST_CASE("who does not own the run any more renames nothing and removes nothing") {
  CheckpointFolder runs;
  write_checkpoint({.checkpoints = runs.path, .step = 1, .token = "test"});
  int asked = 0;
  const auto lost_after = [&](int times) {
    return [&asked, times] {
      if (asked++ >= times) throw OwnedError("another attempt");
    };
  };
  CHECK_THROWS_AS(write_checkpoint({.checkpoints = runs.path, .step = 2, .token = "test", .still_ours = lost_after(0)}), OwnedError);
  CHECK(list_checkpoints(runs.path).steps == std::vector<std::int64_t>{1});
  asked = 0;
  CHECK_THROWS_AS(write_checkpoint({.checkpoints = runs.path, .step = 3, .token = "b", .still_ours = lost_after(1)}, {.last = 1}),
                  OwnedError);
  CHECK(list_checkpoints(runs.path).steps == std::vector<std::int64_t>{1, 3});
}

TEST_CASE("a step that is written again is replaced as a whole") {
  CheckpointFolder runs;
  const fs::path first = write_checkpoint({.checkpoints = runs.path, .step = 1, .token = "test"});
  fs::create_directory(first / "old");
  write_checkpoint({.checkpoints = runs.path, .step = 1, .token = "again"});
  CHECK(open_checkpoint(first).manifest().step == 1);
  CHECK_FALSE(fs::exists(first / "old"));
  CHECK(list_checkpoints(runs.path).leftovers.empty());
}

TEST_CASE("a stop ends a part in the middle") {
  CheckpointFolder runs;
  CheckpointWriter writer({.checkpoints = runs.path, .step = 1, .token = "t"});
  writer.join();
  std::stop_source stop;
  int pieces = 0;
  std::vector<std::byte> bytes(CheckpointWriter::kPiece);
  const auto piece = [&](ByteRange range) {
    if (++pieces == 2) stop.request_stop();
    return std::span<const std::byte>(bytes).first(range.size());
  };
  CHECK_THROWS_AS(writer.write_part("x", {0, 10 * CheckpointWriter::kPiece}, piece, stop.get_token()), IoError);
  CHECK(pieces == 2);
}

TEST_CASE("a token that could lead elsewhere is refused") {
  CHECK_THROWS_AS(CheckpointWriter({.checkpoints = "x", .step = 1, .token = "../y"}), UsageError);
  CHECK_THROWS_AS(CheckpointWriter({.checkpoints = "x", .step = -1, .token = "y"}), UsageError);
}
