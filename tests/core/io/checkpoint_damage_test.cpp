// Whatever happens to the bytes of a checkpoint is found before one of them is used, and named; the one before is taken instead.
#include <catch2/catch.hpp>

#include <cstring>
#include <fstream>
#include <iostream>
#include <random>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/checkpoint.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/core/io/content_hash.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/tests/core/io/written_checkpoint.hpp>

using namespace chorale;
namespace fs = std::filesystem;

namespace {

std::string damage_of(const fs::path& folder) {
  try {
    open_checkpoint(folder);
  } catch (const CheckpointError& e) {
    return e.what();
  }
  return "";
}

void flip(const fs::path& path, std::uint64_t bit) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(bit / 8));
  const int byte = file.get();
  file.seekp(static_cast<std::streamoff>(bit / 8));
  file.put(static_cast<char>(byte ^ (1 << (bit % 8))));
}

struct Words : Log {
  void write(LogLevel, std::string_view text) override { said += std::string(text) + "\n"; }
  std::string said;
};

}  // namespace

TEST_CASE("a cut file is named with both sizes, wherever it was cut") {
  CheckpointFolder runs;
  const fs::path folder = write_checkpoint({.checkpoints = runs.path, .step = 5, .token = "test"});
  REQUIRE(damage_of(folder) == "");
  const fs::path model = folder / "model.safetensors";
  const std::string whole = read_text(model);
  std::uint64_t header = 0;
  std::memcpy(&header, whole.data(), sizeof header);
  const std::uint64_t tensor = 8 + header + 600'000;
  for (const std::uint64_t bytes : {std::uint64_t{0}, std::uint64_t{7}, 8 + header / 2, 8 + header, tensor, whole.size() - 1}) {
    CAPTURE(bytes);
    fs::resize_file(model, bytes);
    CHECK_THAT(damage_of(folder), Catch::Contains(model.string() + ": has " + std::to_string(bytes) + " bytes, the manifest says " +
                                                  std::to_string(whole.size()) + "; it was cut"));
    // The same without the manifest's help: no tensor is believed, nothing of the claimed size is allocated.
    CHECK_THROWS_AS(SafetensorsFile(model), CheckpointError);
    std::ofstream(model, std::ios::binary) << whole;
  }
  std::ofstream(model, std::ios::binary | std::ios::app) << "x";
  CHECK_THAT(damage_of(folder), Catch::Contains("something was added"));
}

TEST_CASE("one flipped bit is found at any place, and its block and tensor are named") {
  CheckpointFolder runs;
  const fs::path folder = write_checkpoint({.checkpoints = runs.path, .step = 5, .token = "test"});
  const std::uint64_t seed = std::random_device()();
  std::cout << "bits flipped with seed " << seed << "\n";
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  REQUIRE(files.size() == 3);
  for (int i = 0; i < 200; ++i) {
    const fs::path& file = files[random() % files.size()];
    const std::uint64_t bit = random() % (8 * fs::file_size(file));
    CAPTURE(file, bit);
    flip(file, bit);
    CHECK_THAT(damage_of(folder), Catch::Contains(file.string()));
    flip(file, bit);
  }
  CHECK(damage_of(folder) == "");
  const fs::path model = folder / "model.safetensors";
  flip(model, 8 * (fs::file_size(model) - 1));
  CHECK_THAT(damage_of(folder), Catch::Contains("bytes 1048576 to ") && Catch::Contains("(tensor '0.weight')"));
}

TEST_CASE("a missing file is named, a missing manifest is no finished checkpoint") {
  CheckpointFolder runs;
  const fs::path folder = write_checkpoint({.checkpoints = runs.path, .step = 5, .token = "test"});
  fs::rename(folder / "model.safetensors", runs.path / "aside");
  CHECK_THAT(damage_of(folder), Catch::Contains("model.safetensors: is missing"));
  fs::create_directory(folder / "model.safetensors");
  CHECK_THAT(damage_of(folder), Catch::Contains("model.safetensors: is missing"));
  fs::remove(folder / "manifest.json");
  CHECK_THAT(damage_of(folder), Catch::Contains("no finished checkpoint"));
  CHECK_THAT(damage_of(runs.path / "step_6"), Catch::Contains("is no folder"));
}

TEST_CASE("files or folders swapped between two steps are found") {
  CheckpointFolder runs;
  const fs::path a = write_checkpoint({.checkpoints = runs.path, .step = 5, .token = "test"}),
                 b = write_checkpoint({.checkpoints = runs.path, .step = 6, .token = "test"});
  const auto swap = [&](const fs::path& x, const fs::path& y) {
    fs::rename(x, runs.path / "aside");
    fs::rename(y, x);
    fs::rename(runs.path / "aside", y);
  };
  swap(a / "model.safetensors", b / "model.safetensors");
  CHECK_THAT(damage_of(a), Catch::Contains("or the file belongs to another checkpoint"));
  CHECK_THAT(damage_of(b), Catch::Contains("or the file belongs to another checkpoint"));
  swap(a / "model.safetensors", b / "model.safetensors");
  swap(a, b);
  Words words;
  CHECK_THROWS_WITH(newest_valid_checkpoint(runs.path, words), Catch::Contains("holds step 5") && Catch::Contains("holds step 6"));
}

TEST_CASE("a damaged checkpoint is passed over loudly for the one before") {
  CheckpointFolder runs;
  write_checkpoint({.checkpoints = runs.path, .step = 5, .token = "test"});
  const fs::path newest = write_checkpoint({.checkpoints = runs.path, .step = 6, .token = "test"});
  flip(newest / "model.safetensors", 8000);
  Words words;
  const auto found = newest_valid_checkpoint(runs.path, words);
  REQUIRE(found);
  CHECK(found->manifest().step == 5);
  CHECK_THAT(words.said, Catch::Contains("step 6 cannot be used") && Catch::Contains("falling back to the checkpoint of step 5"));
}

TEST_CASE("a text of a checkpoint with more than 256 MiB of nothing is not read into memory") {
  CheckpointFolder runs;
  const fs::path folder = runs.path / "step_7";
  fs::create_directories(folder);
  std::ofstream(folder / "pipeline.json");
  CheckpointFile file{"pipeline.json", std::uint64_t{257} << 20, {}};
  fs::resize_file(folder / file.name, file.bytes);
  std::vector<std::string> one;
  add_block_hashes(std::vector<std::byte>(kHashBlock), one);
  file.blocks.assign(257, one[0]);
  std::ofstream(folder / kManifestName) << manifest_text({.step = 7, .files = {file}});
  const Checkpoint checkpoint = open_checkpoint(folder);
  CHECK_THROWS_WITH(checkpoint.text(file.name), Catch::Contains("a text of a checkpoint has"));
}

TEST_CASE("removing a checkpoint follows no link") {
  CheckpointFolder runs;
  write_checkpoint({.checkpoints = runs.path, .step = 5, .token = "test"});
  const fs::path outside = runs.path / "outside";
  fs::create_directories(outside);
  std::ofstream(outside / "precious") << "x";
  fs::create_directory_symlink(outside, runs.path / "step_4");
  fs::create_directory_symlink(outside, runs.path / "step_5" / "inside");
  remove_checkpoint(runs.path, 4, "t");
  remove_checkpoint(runs.path, 5, "t");
  CHECK(fs::exists(outside / "precious"));
  CHECK_FALSE(fs::exists(runs.path / "step_4"));
  CHECK_FALSE(fs::exists(runs.path / "step_5"));
}
