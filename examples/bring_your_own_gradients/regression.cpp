// Data parallelism for gradients of one's own, here of a regression written by hand: mpirun -np 2 ./regression
#include <chorale/comm/backends/mpi.hpp>
#include <chorale/train/gradient_engine.hpp>
#include <cmath>
#include <cstdio>

int main() {
  const auto comm = chorale::make_mpi_world();  // or make_mpi_communicator(your_comm), which leaves MPI to you
  chorale::GradientEngine engine(*comm, {.optimizer = {.name = "adam", .lr = 0.05}});
  const auto weight = engine.add("weight", 2), bias = engine.add("bias", 1);
  engine.start();
  double loss = 0;
  for (int step = 0; step < 500; ++step) {
    const auto w = engine.values(weight), b = engine.values(bias), dw = engine.gradient(weight), db = engine.gradient(bias);
    dw[0] = dw[1] = db[0] = 0;
    double sum = 0, samples = 0;
    for (int i = comm->rank(); i < 1000; i += comm->size(), ++samples) {  // this rank's rows
      const float x0 = std::sin(float(i)), x1 = std::cos(float(3 * i)), y = 2 * x0 - 3 * x1 + 1;
      const float error = w[0] * x0 + w[1] * x1 + b[0] - y;
      dw[0] += error * x0, dw[1] += error * x1, db[0] += error;  // sums: the one division is the engine's
      sum += error * error / 2;
    }
    engine.ready(bias), engine.ready(weight);  // in any order, as soon as each is complete
    loss = engine.step(samples, sum);
  }
  const auto w = engine.values(weight), b = engine.values(bias);
  if (comm->rank() == 0) std::printf("%d ranks: y = %.3f x0 %+.3f x1 %+.3f, loss %.2g\n", comm->size(), w[0], w[1], b[0], loss);
}
