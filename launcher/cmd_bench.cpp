// chorale bench: `comm` measures collectives; `step` the trainer's own loop, loader and checks on, over generated tensors.
#include <algorithm>
#include <cstdio>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/core/data/tensor_dataset.hpp>
#include <chorale/core/data/text_dataset.hpp>
#include <chorale/core/nn/sequential.hpp>
#include <chorale/launcher/arguments.hpp>
#include <chorale/launcher/bench/bench_comm.hpp>
#include <chorale/launcher/bench_step.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/ranks.hpp>
#include <chorale/launcher/run_files.hpp>
#include <chorale/launcher/session.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/start_check.hpp>
#include <chorale/train/trainer.hpp>

namespace chorale {

namespace {

struct Words {
  RankOptions ranks;
  BenchStep step;
  bool json = false;
};

void describe(OptionTable& t, Words& w) {
  w.ranks.ranks = "1";
  describe(t, w.ranks);
  describe(t, w.step);
  t.add("json", w.json, "One object.");
}

std::shared_ptr<TensorDataset> generated(const BenchStep& w, std::int64_t rows, Loss::Task task, std::int64_t outputs) {
  auto data = std::make_shared<TensorDataset>(rows);
  RandomStream random(7);
  std::vector<float> x(static_cast<std::size_t>(rows * w.input)),
      y(static_cast<std::size_t>(rows * (task == Loss::Task::classes ? 1 : outputs)));
  for (float& v : x) v = static_cast<float>(random.normal());
  for (float& v : y) {
    if (task == Loss::Task::value)
      v = static_cast<float>(random.normal());
    else
      v = static_cast<float>(random.below(task == Loss::Task::binary ? 2 : static_cast<std::uint64_t>(outputs)));
  }
  data->add("x", {w.input}, std::move(x));
  const bool one = task == Loss::Task::classes || outputs == 1;
  data->add("target", one ? Shape{} : Shape{outputs}, std::move(y));
  return data;
}

std::shared_ptr<TextDataset> generated_text(const BenchStep& w, std::int64_t rows) {
  const auto text = std::make_shared<std::vector<std::int32_t>>(static_cast<std::size_t>(rows * w.input + 1));
  RandomStream random(7);
  for (std::int32_t& token : *text) token = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(w.tokens)));
  return std::make_shared<TextDataset>(*text, w.input, text);
}

/// Enough that rows come from memory, as a real data set's do, and at least 16 batches.
std::int64_t default_rows(std::int64_t input, std::int64_t batch) {
  constexpr std::int64_t kBytes = 16 << 20;
  return std::max<std::int64_t>(16 * batch, kBytes / (input * static_cast<std::int64_t>(sizeof(float))));
}

int bench_rank(Communicator& comm, const BenchStep& w, bool json, const OptionTable& table) {
  check_start(comm, "bench", table);
  ParallelOptions parallel;
  parallel.virtual_workers = w.virtual_workers, parallel.threads = w.threads, parallel.isa = w.isa;
  parallel.exchange = w.exchange, parallel.wire = w.wire, parallel.overlap = w.overlap, parallel.local_steps = w.local_steps;
  Session session(comm, parallel);
  TrainerConfig config;
  config.train.loss = w.loss, config.train.steps = w.steps, config.train.dtype = w.dtype, config.parallel = parallel;
  config.train.batch = w.batch_per_rank > 0 ? w.batch_per_rank * comm.size() : w.batch;
  config.final_evaluation = false;
  config.stop_requested = requested_stop;
  OptimizerOptions optimizer;
  optimizer.name = w.optimizer;
  const auto model = build_layers(w.layers, {w.input}, session.registry);
  const auto loss = make_loss(config.train, {}, session.registry);
  const auto rule = make_optimizer(optimizer, session.registry);
  const std::int64_t rows = w.rows > 0 ? w.rows : default_rows(w.input, config.train.batch);
  if (w.tokens > 0 && loss->task() != Loss::Task::classes) throw UsageError("--tokens needs --loss cross_entropy");
  const std::shared_ptr<Dataset> data = w.tokens > 0 ? std::shared_ptr<Dataset>(generated_text(w, rows))
                                                     : generated(w, rows, loss->task(), model->output_shape({w.input}).elements());
  Trainer trainer({comm, *session.device, *model, *loss, *rule, session.registry, session.log, data, nullptr, nullptr}, config);
  const Summary s = trainer.run();
  if (comm.rank() != 0) return 0;
  if (json)
    std::fputs(summary_json(s).c_str(), stdout);
  else
    std::printf(
        "%.0f samples/s, step %.4f ms (p10 %.4f, p90 %.4f): data %.4f, forward %.4f, backward %.4f, communicate %.4f, update %.4f; %lld "
        "parameters, %d ranks\n",
        s.samples_per_second, s.step_ms_p50, s.step_ms_p10, s.step_ms_p90, s.phases_ms.data, s.phases_ms.forward, s.phases_ms.backward,
        s.phases_ms.communicate, s.phases_ms.update, static_cast<long long>(s.parameters), s.world_size);
  return s.status == "interrupted" || s.status == "checkpointed" ? static_cast<int>(ExitCode::interrupted) : 0;
}

}  // namespace

int run_bench(std::span<const std::string> arguments) {
  if (!arguments.empty() && arguments[0] == "comm") return run_bench_comm(arguments.subspan(1));
  if (arguments.empty() || arguments[0] != "step")
    throw UsageError("bench takes step or comm: chorale bench step --json, chorale bench comm --op all_reduce");
  Words w;
  OptionTable table;
  describe(table, w);
  read_flags(arguments.subspan(1), table, 0);
  apply_preset(table, w.step);
  std::vector<std::string> words = {"bench"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  const Surroundings around = look_around();
  take_omp_threads(table.find("threads"), around, w.step.threads);
  if (!table.find("ranks")->given && around.outer_size > 0) w.ranks.ranks = "auto";  // an outer launcher's ranks are taken
  return with_ranks(plan_ranks(w.ranks, around), words, [&](Communicator& comm) { return bench_rank(comm, w.step, w.json, table); });
}

std::string bench_options() {
  Words w;
  OptionTable table;
  describe(table, w);
  return "step\n" + help_text(table) + "\ncomm\n" + bench_comm_options();
}

}  // namespace chorale
