// chorale bench: `comm` measures collectives; `step` the trainer's own loop, loader and checks on, over generated tensors.
#include <cstdio>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/core/data/tensor_dataset.hpp>
#include <chorale/core/nn/sequential.hpp>
#include <chorale/launcher/arguments.hpp>
#include <chorale/launcher/bench/bench_comm.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/ranks.hpp>
#include <chorale/launcher/run_files.hpp>
#include <chorale/launcher/session.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/train/trainer.hpp>

namespace chorale {

namespace {

struct Words {
  RankOptions ranks;
  std::string layers = "linear(128) relu linear(64) relu linear(1)", loss = "binary_cross_entropy", optimizer = "adam";
  std::int64_t input = 100, batch = 32, batch_per_rank = 0, steps = 2000, virtual_workers = 0, threads = 1, rows = 0;
  std::string dtype = "f32", isa = "auto";
  bool json = false;
};

void describe(OptionTable& t, Words& w) {
  describe(t, w.ranks);
  t.add("layers", w.layers, "As model.layers.");
  t.add("input", w.input, "Features of a sample.", {.min = 1, .max = 1e7});
  t.add("loss", w.loss, "As train.loss.");
  t.add("optimizer", w.optimizer, "As optimizer.name, with its defaults.");
  t.add("batch", w.batch, "Samples of a step over all ranks.", {.min = 1, .max = 1e9});
  t.add("batch-per-rank", w.batch_per_rank, "Samples of a step on each rank; above 0 it replaces --batch.", {.min = 0, .max = 1e9});
  t.add("steps", w.steps, "Steps.", {.min = 1, .max = 1e9});
  t.add("rows", w.rows, "Generated samples; 0: enough for 16 batches.", {.min = 0, .max = 1e9});
  t.add("virtual-workers", w.virtual_workers, "As parallel.virtual_workers.", {.min = 0, .max = 65536});
  t.add("threads", w.threads, "Threads of a rank.", {.min = 1, .max = 1024});
  t.add("dtype", w.dtype, "f32 or f64.", {.choices = {"f32", "f64"}});
  t.add("isa", w.isa, "At most this instruction set.", {.choices = {"auto", "baseline", "avx2", "avx512"}});
  t.add("json", w.json, "One object.");
}

std::shared_ptr<TensorDataset> generated(const Words& w, std::int64_t rows, Loss::Task task, std::int64_t outputs) {
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

int bench_rank(Communicator& comm, const Words& w) {
  ParallelOptions parallel;
  parallel.virtual_workers = w.virtual_workers, parallel.threads = w.threads, parallel.isa = w.isa;
  Session session(comm, parallel);
  TrainerConfig config;
  config.train.loss = w.loss, config.train.steps = w.steps, config.train.dtype = w.dtype, config.parallel = parallel;
  config.train.batch = w.batch_per_rank > 0 ? w.batch_per_rank * comm.size() : w.batch;
  config.final_evaluation = false;
  config.stop_requested = stop_requested;
  OptimizerOptions optimizer;
  optimizer.name = w.optimizer;
  const auto model = build_layers(w.layers, {w.input}, session.registry);
  const auto loss = make_loss(config.train, {}, session.registry);
  const auto rule = make_optimizer(optimizer, session.registry);
  const auto data = generated(w, w.rows > 0 ? w.rows : 16 * config.train.batch, loss->task(), model->output_shape({w.input}).elements());
  Trainer trainer({comm, *session.device, *model, *loss, *rule, session.registry, session.log, data, nullptr, nullptr}, config);
  const Summary s = trainer.run();
  if (comm.rank() != 0) return 0;
  if (w.json)
    std::fputs(summary_json(s).c_str(), stdout);
  else
    std::printf(
        "%.0f samples/s, step %.4f ms (p10 %.4f, p90 %.4f): data %.4f, forward %.4f, backward %.4f, communicate %.4f, update %.4f; %lld "
        "parameters, %d ranks\n",
        s.samples_per_second, s.step_ms_p50, s.step_ms_p10, s.step_ms_p90, s.phases_ms.data, s.phases_ms.forward, s.phases_ms.backward,
        s.phases_ms.communicate, s.phases_ms.update, static_cast<long long>(s.parameters), s.world_size);
  return s.status == "interrupted" ? static_cast<int>(ExitCode::interrupted) : 0;
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
  std::vector<std::string> words = {"bench"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return with_ranks(plan_ranks(w.ranks, look_around(), 1), words, [&](Communicator& comm) { return bench_rank(comm, w); });
}

std::string bench_options() {
  Words w;
  OptionTable table;
  describe(table, w);
  return "step\n" + help_text(table) + "\ncomm\n" + bench_comm_options();
}

}  // namespace chorale
