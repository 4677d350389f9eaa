#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/content_hash.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/launcher/collab/study_result.hpp>
#include <chorale/tests/launcher/slurm/folder.hpp>

using namespace chorale;

namespace {

StudyResult some_result() {
  StudyResult r;
  r.key = {.labels = 100, .every = 50, .width = 8, .arm = "collab", .seed = 3};
  r.recipe = "0123456789abcdef";
  TaskScores income{.task = "income", .metric = "auc", .higher_is_better = true, .value = 0.75, .training_labels = 100};
  income.validation_labels = 15;
  income.peers_trained_on = 0;
  income.prediction = {0.25, 0.5, 0.75};
  income.target = {0, 1, 1};
  income.entity = {7, std::numeric_limits<std::uint64_t>::max(), 7};
  TaskScores spend{.task = "spend", .metric = "rmse", .value = 1.5};
  spend.prediction = {1, 2};
  spend.target = {3, 4};
  spend.weight = {0.5, 2};
  spend.entity = {1, 2};
  r.tasks = {income, spend};
  r.bytes_per_step_per_rank = 1234.5;
  r.step_ms = 0.75;
  r.affinity = {1, 0.5, 0.5, 1};
  return r;
}

std::string bytes_of(const tests::Folder& folder) { return folder.read(file_name(some_result().key)); }

/// With a hash that fits, so that only what it holds can be refused.
void write_sealed(const tests::Folder& folder, std::string body) {
  ContentHash hash;
  hash.add(std::as_bytes(std::span(body)));
  folder.write(file_name(some_result().key), body + hash.text());
}

StudyResult load(const tests::Folder& folder) { return load_result(folder.path, some_result().key, some_result().recipe); }

}  // namespace

TEST_CASE("a saved result is loaded as it was, and its file's name tells the run") {
  const tests::Folder folder;
  save_result(folder.path, some_result());
  CHECK(std::filesystem::exists(folder.path / "labels-100_every-50_width-8_collab_seed-3.result"));
  CHECK(load(folder) == some_result());
  CHECK(file_name({.labels = kAllLabels, .every = 1, .width = 2, .arm = "a_1", .seed = 18446744073709551615u}) ==
        "labels-all_every-1_width-2_a_1_seed-18446744073709551615.result");
}

TEST_CASE("a metric that is undefined survives saving") {
  const tests::Folder folder;
  StudyResult r = some_result();
  r.tasks[0].value = std::nan("");
  save_result(folder.path, r);
  CHECK(std::isnan(load(folder).tasks[0].value));
}

TEST_CASE("an arm that would leave the folder cannot name a file") {
  CHECK_THROWS_AS(file_name({.arm = "../x"}), UsageError);
  CHECK_THROWS_AS(file_name({.arm = ""}), UsageError);
}

TEST_CASE("arrays that do not fit together are not saved") {
  const tests::Folder folder;
  StudyResult r = some_result();
  r.tasks[1].weight.pop_back();
  CHECK_THROWS_WITH(save_result(folder.path, r), Catch::Contains("task spend has 2 predictions, 2 targets, 1 weights"));
  r = some_result();
  r.affinity.pop_back();
  CHECK_THROWS_AS(save_result(folder.path, r), InternalError);
  CHECK(std::filesystem::is_empty(folder.path));
}

TEST_CASE("a result with any byte changed is refused") {
  const tests::Folder folder;
  save_result(folder.path, some_result());
  const std::string whole = bytes_of(folder);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    folder.write(file_name(some_result().key), damaged);
    CHECK_THROWS_AS(load(folder), CheckpointError);
  }
}

TEST_CASE("a result cut anywhere is refused, also where its hash fits") {
  const tests::Folder folder;
  save_result(folder.path, some_result());
  const std::string whole = bytes_of(folder);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    folder.write(file_name(some_result().key), whole.substr(0, length));
    CHECK_THROWS_AS(load(folder), CheckpointError);
  }
  const std::string body = whole.substr(0, whole.size() - 32);
  for (std::size_t length = 0; length < body.size(); ++length) {
    write_sealed(folder, body.substr(0, length));
    CHECK_THROWS_AS(load(folder), CheckpointError);
  }
  write_sealed(folder, body + "x");
  CHECK_THROWS_WITH(load(folder), Catch::Contains("bytes after its end"));
  write_sealed(folder, body);
  CHECK(load(folder) == some_result());
}

TEST_CASE("a length that no file holds is refused before memory is taken for it") {
  const tests::Folder folder;
  save_result(folder.path, some_result());
  const std::string whole = bytes_of(folder);
  const std::string body = whole.substr(0, whole.size() - 32);
  int refused = 0;
  for (std::size_t at = 16; at + 8 <= body.size(); ++at) {
    std::string large = body;
    large.replace(at, 8, 8, '\x7f');
    write_sealed(folder, large);
    try {
      load(folder);  // a number may be any; a length may not, and never asks for memory
    } catch (const Error&) {
      ++refused;
    }
  }
  CHECK(refused > 150);
  std::string large = body;
  large.replace(body.size() - 5 * 8, 8, 8, '\xff');  // of the affinity matrix
  write_sealed(folder, large);
  CHECK_THROWS_WITH(load(folder), Catch::Contains("a length of 18446744073709551615"));
}

TEST_CASE("another run's result under this name, and one of another recipe, are refused with the remedy") {
  const tests::Folder folder;
  StudyKey other = some_result().key;
  save_result(folder.path, some_result());
  other.seed = 4;
  std::filesystem::copy_file(folder.path / file_name(some_result().key), folder.path / file_name(other));
  CHECK_THROWS_WITH(load_result(folder.path, other, some_result().recipe), Catch::Contains("holds the run") && Catch::Contains("seed-3"));
  CHECK_THROWS_AS(load_result(folder.path, some_result().key, "fedcba"), UsageError);
  CHECK_THROWS_AS(load_result(folder.path / "none", some_result().key, ""), IoError);
}
