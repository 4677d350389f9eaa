// What it costs to read a checkpoint again: 25 million parameters with Adam, 300 MB, from the page cache. Beside it the floor of reading it
// (cat into /dev/null, then one pass of hashing) and what it cost at least when every rank verified all of it twice and rank 0 three times:
// once less on each rank, and then as now. All sides take turns in one run.
//   restore_cost FOLDER [ROUNDS]     1 and 2 ranks (threads)
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <thread>
#include <vector>

#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/core/io/content_hash.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/tests/train/run_ranks.hpp>
#include <chorale/train/checkpointing.hpp>

using namespace chorale;
namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;
constexpr char kLayers[] = "linear(4096) relu linear(4096) relu linear(1024) relu linear(1)";
constexpr std::int64_t kFeatures = 1024;

/// Wall time and processor time of this process, of all its threads.
struct Cost {
  double wall_ms = 0, cpu_ms = 0;
};

double cpu_ms() {
  struct rusage used {};
  ::getrusage(RUSAGE_SELF, &used);
  const auto ms = [](const timeval& t) { return 1000.0 * static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1000.0; };
  return ms(used.ru_utime) + ms(used.ru_stime);
}

template <class F>
Cost cost_of(F&& work) {
  const double before = cpu_ms();
  const Clock::time_point start = Clock::now();
  work();
  return {std::chrono::duration<double, std::milli>(Clock::now() - start).count(), cpu_ms() - before};
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void must(const std::vector<std::string>& errors) {
  for (const std::string& error : errors)
    if (!error.empty()) std::fprintf(stderr, "%s\n", error.c_str()), std::exit(1);
}

void write_one(const fs::path& folder) {
  SmallRun run;
  run.layers = kLayers, run.features = kFeatures;
  run.train = small_data(64, kFeatures, 1), run.validation = nullptr;
  run.config.train.batch = 64, run.config.train.steps = 1, run.config.final_evaluation = false;
  run.config.checkpoint_folder = folder.string();
  must(run.run().errors);
}

void cat_to_nothing(std::vector<std::string> words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  int status = 1;
  if (::posix_spawnp(&child, "cat", &actions, nullptr, argv.data(), environ) != 0 || ::waitpid(child, &status, 0) < 0 || status != 0)
    std::fprintf(stderr, "cat failed\n"), std::exit(1);
  ::posix_spawn_file_actions_destroy(&actions);
}

/// cat of all files, and their hashes by one thread.
Cost floor_of(const fs::path& step) {
  return cost_of([&] {
    std::vector<std::string> words = {"cat"};
    for (const auto& entry : fs::directory_iterator(step)) words.push_back(entry.path().string());
    cat_to_nothing(words);
    std::vector<std::byte> piece(kHashBlock);
    std::vector<std::string> hashes;
    for (const auto& entry : fs::directory_iterator(step)) {
      const File file = File::open_read(entry.path());
      for (std::uint64_t at = 0; at < file.size(); at += kHashBlock)
        add_block_hashes(std::span(piece).first(file.read_at(at, piece)), hashes);
    }
  });
}

/// restore() by ranks that are threads; alone: with what every rank did before they shared the work.
Cost restore(const fs::path& folder, int ranks, bool alone) {
  auto comms = make_thread_communicators(ranks);
  std::vector<Cost> costs(static_cast<std::size_t>(ranks));
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < costs.size(); ++r)
    threads.emplace_back([&, r] {
      Communicator& comm = *comms[r];
      Registry registry;
      register_all(registry);
      SilentLog log;
      auto device = make_cpu_device();
      auto model = build_layers(kLayers, {kFeatures}, registry);
      auto rule = make_optimizer({}, registry);
      FlatParams params(*model, *device, DType::f32);
      DataParallel replicas({comm, params, *rule, registry, log, {.exchange = ranks == 1 ? "replicated" : "shared"}});
      EarlyStopping early({}, registry);
      Checkpointing checkpoints({comm, params, *rule, early, {}, {.comm = comm, .snapshot = replicas.snapshot(), .folder = folder}});
      comm.barrier("ready").wait();
      costs[r] = cost_of([&] {
        if (alone) {
          if (r == 0) newest_valid_checkpoint(folder, log);
          comm.barrier("chosen").wait();
          open_step(folder, 1);
        }
        if (!checkpoints.restore(log, {replicas.writers_of_values(), replicas.writers_of_state()})) std::exit(1);
        checkpoints.restore_carried({}, log);
        comm.barrier("restored").wait();
      });
    });
  for (std::thread& thread : threads) thread.join();
  return costs[0];
}

void compare(const fs::path& folder, int ranks, int rounds) {
  std::vector<double> floors, shared, alone, cpu_shared, cpu_alone, less;
  for (int i = 0; i < rounds; ++i) {
    const Cost floor = floor_of(folder / "step_1"), all = restore(folder, ranks, true), parts = restore(folder, ranks, false);
    floors.push_back(floor.wall_ms), shared.push_back(parts.wall_ms / floor.wall_ms), alone.push_back(all.wall_ms / floor.wall_ms);
    cpu_shared.push_back(parts.cpu_ms), cpu_alone.push_back(all.cpu_ms), less.push_back(parts.wall_ms / all.wall_ms);
    std::printf("%d ranks: floor %6.1f ms | each rank all of it %7.1f ms, %7.1f of processor | shared %7.1f ms, %7.1f of processor\n",
                ranks, floor.wall_ms, all.wall_ms, all.cpu_ms, parts.wall_ms, parts.cpu_ms);
    std::fflush(stdout);
  }
  std::printf("%d ranks, medians: %.2f of the floor, before %.2f; %.2f of the time before, processor %.0f ms, before %.0f\n", ranks,
              median(shared), median(alone), median(less), median(cpu_shared), median(cpu_alone));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: restore_cost FOLDER [ROUNDS]\n"), 64;
  const fs::path folder = fs::path(argv[1]) / "restore_cost";
  fs::remove_all(folder);
  write_one(folder);
  for (const int ranks : {1, 2}) compare(folder, ranks, argc > 2 ? std::atoi(argv[2]) : 5);
  fs::remove_all(folder);
  return 0;
}
