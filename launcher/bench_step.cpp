#include <chorale/launcher/bench_step.hpp>

#include <array>

namespace chorale {

namespace {

/// The networks that docs/performance.md measures. Batches are a rank's.
struct Preset {
  const char* name;
  const char* layers;
  const char* loss;
  std::int64_t input, batch_per_rank, steps, tokens = 0;
};

constexpr std::array<Preset, 7> kPresets = {{
    {"article", "linear(128) relu linear(64) relu linear(1)", "binary_cross_entropy", 100, 32, 2000},
    {"mlp", "linear(512) relu linear(512) relu linear(10)", "cross_entropy", 784, 128, 200},
    {"wide", "linear(4096) relu linear(4096) relu linear(1024)", "cross_entropy", 1024, 256, 10},
    {"cnn",
     "reshape(28x28x1) conv2d(32, 3, padding=1) relu max_pool2d(2) conv2d(64, 3, padding=1) relu max_pool2d(2) flatten linear(128) relu "
     "linear(10)",
     "cross_entropy", 784, 64, 60},
    {"resnet",
     "reshape(28x28x1) conv2d(16, 3, padding=1, bias=false) batch_norm relu residual(conv2d(16, 3, padding=1, bias=false) batch_norm relu "
     "conv2d(16, 3, padding=1, bias=false) batch_norm) relu residual(conv2d(32, 3, stride=2, padding=1, bias=false) batch_norm relu "
     "conv2d(32, 3, padding=1, bias=false) batch_norm | conv2d(32, 1, stride=2, bias=false) batch_norm) relu residual(conv2d(64, 3, "
     "stride=2, padding=1, bias=false) batch_norm relu conv2d(64, 3, padding=1, bias=false) batch_norm | conv2d(64, 1, stride=2, "
     "bias=false) batch_norm) relu adaptive_avg_pool2d(1) flatten linear(10)",
     "cross_entropy", 784, 64, 40},
    {"transformer",
     "embedding(256, 128) transformer_block(4, 512) transformer_block(4, 512) transformer_block(4, 512) transformer_block(4, 512) "
     "linear(256)",
     "cross_entropy", 128, 16, 60, 256},
    {"lstm", "reshape(32x64) lstm(128) last linear(10)", "cross_entropy", 2048, 64, 200},
}};

}  // namespace

void describe(OptionTable& t, BenchStep& w) {
  t.add("preset", w.preset, "A network of docs/performance.md with its batch on each rank; other flags replace its parts.",
        {.choices = {"article", "mlp", "wide", "cnn", "resnet", "transformer", "lstm"}});
  t.add("layers", w.layers, "As model.layers.");
  t.add("input", w.input, "Features of a sample, or its tokens.", {.min = 1, .max = 1e7});
  t.add("tokens", w.tokens,
        "Above 0: samples are windows of a random text of so many different tokens, and each token's target is the next.",
        {.min = 0, .max = 1 << 24});
  t.add("loss", w.loss, "As train.loss.");
  t.add("optimizer", w.optimizer, "As optimizer.name, with its defaults.");
  t.add("batch", w.batch, "Samples of a step over all ranks.", {.min = 1, .max = 1e9});
  t.add("batch-per-rank", w.batch_per_rank, "Samples of a step on each rank; above 0 it replaces --batch.", {.min = 0, .max = 1e9});
  t.add("steps", w.steps, "Steps.", {.min = 1, .max = 1e9});
  t.add("rows", w.rows, "Generated samples; 0: at least 16 MiB and 16 batches.", {.min = 0, .max = 1e9});
  t.add("virtual-workers", w.virtual_workers, "As parallel.virtual_workers.", {.min = 0, .max = 65536});
  t.add("exchange", w.exchange, "As parallel.exchange.", {.choices = {"auto", "replicated", "shared", "sharded", "local_sgd"}});
  t.add("wire", w.wire, "As parallel.wire.", {.choices = {"f32", "bf16"}});
  t.add("overlap", w.overlap, "As parallel.overlap.", {.choices = {"auto", "thread", "layers"}});
  t.add("local-steps", w.local_steps, "As parallel.local_steps.", {.min = 1, .max = 1e9});
  t.add("threads", w.threads, "Threads of a rank; OMP_NUM_THREADS is taken where this is not given.", {.min = 1, .max = 1024});
  t.add("dtype", w.dtype, "f32 or f64.", {.choices = {"f32", "f64"}});
  t.add("isa", w.isa, "At most this instruction set.", {.choices = {"auto", "baseline", "avx2", "avx512"}});
}

void apply_preset(const OptionTable& table, BenchStep& w) {
  const auto given = [&](const char* key) { return table.find(key)->given; };
  for (const Preset& p : kPresets) {
    if (w.preset != p.name) continue;
    if (!given("layers")) w.layers = p.layers;
    if (!given("loss")) w.loss = p.loss;
    if (!given("input")) w.input = p.input;
    if (!given("tokens")) w.tokens = p.tokens;
    if (!given("steps")) w.steps = p.steps;
    if (!given("batch") && !given("batch-per-rank")) w.batch_per_rank = p.batch_per_rank;
  }
}

}  // namespace chorale
