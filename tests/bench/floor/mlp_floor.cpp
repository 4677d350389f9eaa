// The floor of a data-parallel step on one machine: gradients in shared memory, each rank sums what it needs and updates at once.
//   mlp_floor --ranks 2 --batch 128 --steps 200 --form shared --gemm onednn 784 512 512 10
// Forms: `shared`, one copy of parameters and optimiser state, every rank updates its slice, two barriers a step; `private`, a copy a rank,
// every rank updates everything, gradients doubled, so that one barrier is enough. Prints one JSON object.
#include <chorale/tests/bench/floor/adam.hpp>
#include <chorale/tests/bench/floor/measure.hpp>
#include <chorale/tests/bench/floor/mlp.hpp>
#include <chorale/tests/bench/floor/team.hpp>

namespace {

using namespace chorale::bench;

struct Buffers {
  AdamState state;
  std::vector<float*> gradients[2];
};

Buffers map_buffers(std::size_t parameters, int ranks, bool shared) {
  Buffers b{.state = {map_floats(parameters, shared), map_floats(parameters, shared), map_floats(parameters, shared)}, .gradients = {}};
  for (int r = 0; r < ranks; ++r) {
    b.gradients[0].push_back(map_floats(parameters, true));
    b.gradients[1].push_back(shared ? b.gradients[0].back() : map_floats(parameters, true));
  }
  return b;
}

void update(const Buffers& b, Team& team, int step, const Mlp& mlp, int batch, bool shared) {
  const std::size_t blocks = mlp.parameters() / 16, r = team.rank(), n = team.size();
  const AdamScale scale(step + 1, static_cast<double>(batch) * team.size());
  const std::vector<float*>& g = b.gradients[step % 2];
  if (shared)
    adam(b.state, scale, g, blocks * r / n * 16, blocks * (r + 1) / n * 16);
  else
    adam(b.state, scale, g, 0, mlp.parameters());
  if (shared) team.barrier();
}

int run(const BenchWords& words) {
  const int ranks = words.number("ranks", 1), batch = words.number("batch", 32), steps = words.number("steps", 500);
  const std::string form = words.text("form", "shared");
  if (form != "shared" && form != "private") throw std::invalid_argument("--form is shared or private, got " + form);
  const bool shared = form == "shared";
  Mlp mlp(words.widths, batch, gemm_of(words.text("gemm", "onednn")));
  Buffers buffers = map_buffers(mlp.parameters(), ranks, shared);
  mlp.initialise(buffers.state.p);
  Team team(ranks);
  mlp.make_batch(7 + team.rank());
  StepTimes times(steps);
  double first = 0, last = 0;
  for (int step = 0; step < steps; ++step) {
    const auto start = StepTimes::Clock::now();
    mlp.forward(buffers.state.p);
    last = mlp.loss();
    if (step == 0) first = last;
    mlp.backward(buffers.state.p, buffers.gradients[step % 2][team.rank()]);
    team.barrier();
    update(buffers, team, step, mlp, batch, shared);
    times.add(start, StepTimes::Clock::now());
  }
  if (team.rank() == 0)
    std::printf(
        "{\"program\": \"floor\", \"form\": \"%s\", \"gemm\": \"%s\", \"ranks\": %d, \"batch_per_rank\": %d, \"step_ms\": "
        "{\"p10\": %.5f, \"p50\": %.5f, \"p90\": %.5f}, \"loss\": [%.5f, %.5f]}\n",
        form.c_str(), words.text("gemm", "onednn").c_str(), ranks, batch, times.quantile(0.1), times.quantile(0.5), times.quantile(0.9),
        first, last);
  std::fflush(stdout);
  team.end();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  use_one_thread();
  try {
    return run(BenchWords(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mlp_floor: %s\n", error.what());
    return 64;
  }
}
