// What one writes by hand over Open MPI: the floor's network on every rank, MPI_Allreduce of its gradients, Adam on every rank.
//   mpirun -np 2 mlp_mpi --batch 128 --steps 200 --gemm onednn 784 512 512 10
// Prints one JSON object: the step, and the all-reduce of these gradients alone.
#include <mpi.h>

#include <chorale/tests/bench/floor/adam.hpp>
#include <chorale/tests/bench/floor/measure.hpp>
#include <chorale/tests/bench/floor/mlp.hpp>
#include <chorale/tests/bench/floor/team.hpp>

namespace {

using namespace chorale::bench;
using Clock = StepTimes::Clock;

void all_reduce(float* values, std::size_t count) {
  MPI_Allreduce(MPI_IN_PLACE, values, static_cast<int>(count), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
}

int run(const BenchWords& words, int rank, int ranks) {
  const int batch = words.number("batch", 32), steps = words.number("steps", 500);
  Mlp mlp(words.widths, batch, gemm_of(words.text("gemm", "onednn")));
  const std::size_t count = mlp.parameters();
  const AdamState state = {map_floats(count, false), map_floats(count, false), map_floats(count, false)};
  float* const gradients = map_floats(count, false);
  mlp.initialise(state.p);
  mlp.make_batch(7 + rank);
  StepTimes step_times(steps), alone(steps);
  double first = 0, last = 0;
  for (int step = 0; step < steps; ++step) {
    const auto start = Clock::now();
    mlp.forward(state.p);
    last = mlp.loss();
    if (step == 0) first = last;
    mlp.backward(state.p, gradients);
    all_reduce(gradients, count);
    adam(state, AdamScale(step + 1, static_cast<double>(batch) * ranks), {&gradients, 1}, 0, count);
    step_times.add(start, Clock::now());
  }
  for (int i = 0; i < steps; ++i) {
    std::fill_n(gradients, count, 1.0f);
    MPI_Barrier(MPI_COMM_WORLD);
    const auto start = Clock::now();
    all_reduce(gradients, count);
    alone.add(start, Clock::now());
  }
  if (rank == 0)
    std::printf(
        "{\"program\": \"openmpi\", \"gemm\": \"%s\", \"ranks\": %d, \"batch_per_rank\": %d, \"step_ms\": {\"p10\": %.5f, \"p50\": "
        "%.5f, \"p90\": %.5f}, \"all_reduce_ms\": %.5f, \"loss\": [%.5f, %.5f]}\n",
        words.text("gemm", "onednn").c_str(), ranks, batch, step_times.quantile(0.1), step_times.quantile(0.5), step_times.quantile(0.9),
        alone.quantile(0.5), first, last);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0, ranks = 1, code = 64;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  use_one_thread();
  try {
    code = run(BenchWords(argc, argv), rank, ranks);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mlp_mpi: %s\n", error.what());
  }
  MPI_Finalize();
  return code;
}
