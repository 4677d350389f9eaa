// A checkpoint that all ranks verify together: each a share, one verdict, the same words on all.
#include <catch2/catch.hpp>

#include <algorithm>
#include <fstream>
#include <thread>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/tests/core/io/written_checkpoint.hpp>
#include <chorale/train/shared_verification.hpp>

using namespace chorale;
namespace fs = std::filesystem;

namespace {

struct Words : Log {
  void write(LogLevel, std::string_view text) override { said += std::string(text) + "\n"; }
  std::string said;
};

void flip(const fs::path& path, std::uint64_t at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(at));
  const auto byte = static_cast<char>(file.get() ^ 4);
  file.seekp(static_cast<std::streamoff>(at));
  file.put(byte);
}

/// What each rank has found: a step, -1 for nothing, or its error; and what rank 0 said.
struct Found {
  std::vector<std::string> by_rank;
  std::string said;
  bool are_equal() const {
    return std::all_of(by_rank.begin(), by_rank.end(), [&](const std::string& s) { return s == by_rank[0]; });
  }
};

Found found_by(int ranks, int nodes, const fs::path& checkpoints) {
  auto comms = make_thread_communicators(ranks, nodes);
  Found out;
  out.by_rank.resize(static_cast<std::size_t>(ranks));
  std::vector<Words> words(static_cast<std::size_t>(ranks));
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < out.by_rank.size(); ++r)
    threads.emplace_back([&, r] {
      try {
        const auto found = newest_valid_together(*comms[r], checkpoints, words[r]);
        out.by_rank[r] = found ? std::to_string(found->manifest().step) : "-1";
      } catch (const CheckpointError& e) {
        out.by_rank[r] = e.what();
      }
    });
  for (std::thread& thread : threads) thread.join();
  out.said = words[0].said;
  for (std::size_t r = 1; r < words.size(); ++r) CHECK(words[r].said.empty());
  return out;
}

}  // namespace

TEST_CASE("of several that verify a checkpoint together exactly one finds a damaged block, and none reads it twice") {
  CheckpointFolder runs;
  const fs::path folder = write_checkpoint({.checkpoints = runs.path, .step = 5, .token = "test"});
  const Checkpoint checkpoint = described_step(runs.path, 5);
  std::size_t blocks = 0;
  for (const CheckpointFile& file : checkpoint.manifest().files) blocks += file.blocks.size();
  REQUIRE(blocks >= 3);
  for (const CheckpointFile& file : checkpoint.manifest().files)
    for (std::size_t b = 0; b < file.blocks.size(); ++b) {
      const std::uint64_t at = std::min((b << 20) + 77, file.bytes - 1);
      flip(folder / file.name, at);
      for (const int count : {1, 2, 3, 7, 40}) {
        CAPTURE(file.name, b, count);
        int complaints = 0;
        for (int place = 0; place < count; ++place) complaints += !complaint_of([&] { verify_share(checkpoint, place, count); }).empty();
        CHECK(complaints == 1);
      }
      flip(folder / file.name, at);
    }
  CHECK_NOTHROW(verify_share(checkpoint, 0, 1));
}

TEST_CASE("a damaged block in any rank's share is named on all ranks, and all fall back to the one before") {
  for (const auto& [ranks, nodes] : std::vector<std::pair<int, int>>{{1, 1}, {2, 1}, {3, 1}, {4, 2}}) {
    CheckpointFolder runs;
    const fs::path newest = write_checkpoint({.checkpoints = runs.path, .step = 6, .token = "test"});
    const std::uint64_t bytes = fs::file_size(newest / "model.safetensors");
    for (const std::uint64_t at : {std::uint64_t{9}, bytes / 2, bytes - 1}) {
      CAPTURE(ranks, nodes, at);
      flip(newest / "model.safetensors", at);
      const Found only = found_by(ranks, nodes, runs.path);
      CHECK(only.are_equal());
      CHECK_THAT(only.by_rank[0], Catch::StartsWith("no sound checkpoint") && Catch::Contains("step_6/model.safetensors: bytes"));
      write_checkpoint({.checkpoints = runs.path, .step = 5, .token = "test"});
      const Found before = found_by(ranks, nodes, runs.path);
      CHECK(before.by_rank == std::vector<std::string>(static_cast<std::size_t>(ranks), "5"));
      CHECK_THAT(before.said, Catch::Contains("step 6 cannot be used") && Catch::Contains("falling back to the checkpoint of step 5"));
      flip(newest / "model.safetensors", at);
      CHECK(found_by(ranks, nodes, runs.path).by_rank == std::vector<std::string>(static_cast<std::size_t>(ranks), "6"));
      fs::remove_all(runs.path / "step_5");
    }
  }
}

TEST_CASE("a checkpoint that is cut, without its manifest or under another name is passed over by all ranks") {
  CheckpointFolder runs;
  CHECK(found_by(3, 1, runs.path).by_rank == std::vector<std::string>(3, "-1"));
  write_checkpoint({.checkpoints = runs.path, .step = 5, .token = "test"});
  const fs::path newest = write_checkpoint({.checkpoints = runs.path, .step = 6, .token = "test"});
  fs::copy(newest, runs.path / "step_9", fs::copy_options::recursive);  // holds step 6
  CHECK(found_by(2, 1, runs.path).by_rank == std::vector<std::string>(2, "6"));
  fs::resize_file(newest / "model.safetensors", 100);
  const Found cut = found_by(2, 1, runs.path);
  CHECK(cut.by_rank == std::vector<std::string>(2, "5"));
  CHECK_THAT(cut.said, Catch::Contains("holds step 6") && Catch::Contains("has 100 bytes"));
  fs::remove(runs.path / "step_5" / "manifest.json");
  CHECK(found_by(2, 1, runs.path).are_equal());
}
