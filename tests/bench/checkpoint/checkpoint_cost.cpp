// What a checkpoint costs training, and how fast its files are written. Both sides of each quotient take turns in one run.
//   checkpoint_cost FOLDER [ROUNDS]     1 and 2 ranks (threads); a network of 25 million parameters with Adam, 300 MB; then 1.2 GB beside
//   dd
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>
#include <vector>

#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/tests/train/run_ranks.hpp>

using namespace chorale;
namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

double ms_between(Clock::time_point from, Clock::time_point to) { return std::chrono::duration<double, std::milli>(to - from).count(); }

/// Processor time of this process so far, of all its threads.
double cpu_ms() {
  struct rusage used {};
  ::getrusage(RUSAGE_SELF, &used);
  const auto ms = [](const timeval& t) { return 1000.0 * static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1000.0; };
  return ms(used.ru_utime) + ms(used.ru_stime);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

/// When each step ended, and which checkpoint was there by then.
struct Times : Callback {
  void on_step(const StepEvent& e) override { ended.emplace_back(e.step, Clock::now()), used.push_back(cpu_ms()); }
  void on_checkpoint(const CheckpointEvent& e) override { saves.emplace_back(e, ended.empty() ? 0 : ended.back().first); }
  std::vector<std::pair<std::int64_t, Clock::time_point>> ended;
  std::vector<double> used;  // processor time by then
  std::vector<std::pair<CheckpointEvent, std::int64_t>> saves;
};

struct Cost {
  double pause_ms = 0, lost_ms = 0, write_ms = 0;
  double cpu_ms = 0;       // of all ranks, beyond what as many usual steps take: what a save costs however busy the machine is
  double slower = 0;       // steps until the commit was known, over usual ones
  double next_slower = 0;  // the first of them: what it overwrites is copied there
};

/// Of the checkpoint after step 8: the wall time from there to the end of the step after the commit, less as many usual steps.
Cost cost_of(const Times& times) {
  const auto end_of = [&](std::int64_t step) { return times.ended.at(static_cast<std::size_t>(step - 1)).second; };
  const auto used_by = [&](std::int64_t step) { return times.used.at(static_cast<std::size_t>(step - 1)); };
  std::vector<double> steps, step_cpu;
  for (std::int64_t s = 3; s <= 8; ++s)
    steps.push_back(ms_between(end_of(s - 1), end_of(s))), step_cpu.push_back(used_by(s) - used_by(s - 1));
  const auto& [event, known] = times.saves.at(0);
  const std::int64_t first = event.step, last = std::min<std::int64_t>(known + 1, std::ssize(times.ended));
  const double took = ms_between(end_of(first), end_of(last)), usual = static_cast<double>(last - first) * median(steps);
  return {.pause_ms = event.pause_ms,
          .lost_ms = took - usual,
          .write_ms = event.write_ms,
          .cpu_ms = used_by(last) - used_by(first) - static_cast<double>(last - first) * median(step_cpu),
          .slower = took / usual,
          .next_slower = ms_between(end_of(first), end_of(first + 1)) / median(steps)};
}

Cost train_once(const fs::path& folder, int ranks, bool background) {
  SmallRun run;
  run.layers = "linear(4096) relu linear(4096) relu linear(1024) relu linear(1)";
  run.train = small_data(256, 1024, 1), run.validation = nullptr;
  run.ranks = ranks;
  run.config.train.batch = 64, run.config.train.epochs = 100, run.config.train.steps = 30;
  run.config.checkpoint.every_steps = 8, run.config.checkpoint.background = background, run.config.final_evaluation = false;
  run.config.checkpoint.keep_last = 1;
  run.config.checkpoint_folder = folder.string();
  run.features = 1024;
  Times times;
  run.callbacks = {&times};
  const auto result = run.run();
  for (const std::string& error : result.errors)
    if (!error.empty()) std::fprintf(stderr, "%s\n", error.c_str()), std::exit(1);
  fs::remove_all(folder);
  return cost_of(times);
}

void compare(const fs::path& folder, int ranks, int rounds) {
  std::vector<double> pauses, losses, slower, next_slower, cpu, plain_cpu;
  for (int i = 0; i < rounds; ++i) {
    const Cost plain = train_once(folder, ranks, false), hidden = train_once(folder, ranks, true);
    pauses.push_back(hidden.pause_ms / plain.pause_ms), losses.push_back(hidden.lost_ms / plain.pause_ms);
    cpu.push_back(hidden.cpu_ms), plain_cpu.push_back(plain.cpu_ms);
    slower.push_back(hidden.slower), next_slower.push_back(hidden.next_slower);
    std::printf(
        "%d ranks: synchronous %7.1f ms (lost %7.1f) | background: pause %6.2f ms, lost %7.1f, until commit %7.1f, next step %.2f | "
        "pause %.4f, lost %.2f | processor %7.1f and %7.1f ms\n",
        ranks, plain.pause_ms, plain.lost_ms, hidden.pause_ms, hidden.lost_ms, hidden.write_ms, hidden.next_slower, pauses.back(),
        losses.back(), plain.cpu_ms, hidden.cpu_ms);
    std::fflush(stdout);
  }
  std::printf(
      "%d ranks, medians: pause %.4f of a synchronous write, lost %.2f of it, steps meanwhile %.2f of usual ones, the next one %.2f; "
      "processor time %.0f ms of all ranks, of a synchronous write %.0f\n",
      ranks, median(pauses), median(losses), median(slower), median(next_slower), median(cpu), median(plain_cpu));
}

/// Milliseconds that two ranks take for one file of a checkpoint, until it is committed.
double write_large(const fs::path& folder, const SafetensorsImage& image) {
  const Clock::time_point start = Clock::now();
  std::vector<std::future<std::vector<std::string>>> parts;
  for (int rank = 0; rank < 2; ++rank)
    parts.push_back(std::async(std::launch::async, [&, rank] {
      CheckpointWriter writer({.checkpoints = folder, .step = 1, .token = "large"});
      writer.join();
      if (rank == 0) writer.reserve("model.safetensors", image.size());
      const std::unique_ptr<void, void (*)(void*)> staged(std::aligned_alloc(4096, CheckpointWriter::kPiece), std::free);
      const auto piece = [&](ByteRange range) {
        auto* bytes = static_cast<std::byte*>(staged.get());
        image.copy_range(range, bytes);
        return std::span<const std::byte>(bytes, range.size());
      };
      return writer.write_part("model.safetensors", file_share(image.size(), rank, 2), piece, {});
    }));
  CheckpointFile file{"model.safetensors", image.size(), {}};
  for (auto& part : parts)
    for (std::string& hash : part.get()) file.blocks.push_back(std::move(hash));
  CheckpointWriter({.checkpoints = folder, .step = 1, .token = "large"}).commit({.files = {file}});
  const double ms = ms_between(start, Clock::now());
  fs::remove_all(folder);
  return ms;
}

double dd(const fs::path& folder, std::uint64_t mib) {
  fs::create_directories(folder);
  std::vector<std::string> words = {"dd",         "if=/dev/zero", "of=" + (folder / "dd").string(), "bs=1M", "count=" + std::to_string(mib),
                                    "conv=fsync", "status=none"};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const Clock::time_point start = Clock::now();
  pid_t child = 0;
  int status = 1;
  if (::posix_spawnp(&child, "dd", nullptr, nullptr, argv.data(), environ) != 0 || ::waitpid(child, &status, 0) < 0 || status != 0)
    std::fprintf(stderr, "dd failed\n"), std::exit(1);
  const double ms = ms_between(start, Clock::now());
  fs::remove_all(folder);
  return ms;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: checkpoint_cost FOLDER [ROUNDS]\n"), 64;
  const fs::path folder = fs::path(argv[1]) / "checkpoint_cost";
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  for (const int ranks : {1, 2}) compare(folder, ranks, rounds);
  std::vector<double> speeds;
  std::vector<float> values(300 << 20);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const SafetensorsImage image({{"weight", DType::f32, Shape{static_cast<std::int64_t>(values.size())}, values.data()}});
  for (int i = 0; i < rounds; ++i) {
    const double plain = dd(folder, image.size() >> 20), ours = write_large(folder, image);
    speeds.push_back(plain / ours);
    std::printf("1.2 GB: dd conv=fsync %7.1f ms, a checkpoint by 2 ranks %7.1f | %.2f of its speed\n", plain, ours, speeds.back());
    std::fflush(stdout);
  }
  std::printf("median: 1.2 GB at %.2f of dd's speed\n", median(speeds));
  return 0;
}
