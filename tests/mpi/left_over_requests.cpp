// Two ranks on two nodes train a few steps; after each, every MPI request that was posted must have ended. MPI's calls go through this
// program first, which counts them. Arguments: who carries gradients (layers, thread).
#include <mpi.h>

#include <cstdio>
#include <string>
#include <vector>

#include <chorale/comm/backends/mpi.hpp>
#include <chorale/train/gradient_engine.hpp>

namespace {
long posted = 0, ended = 0;  // one thread at a time calls MPI
}

extern "C" int MPI_Isend(const void* data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm, MPI_Request* request) {
  ++posted;
  return PMPI_Isend(data, count, type, to, tag, comm, request);
}

extern "C" int MPI_Irecv(void* data, int count, MPI_Datatype type, int from, int tag, MPI_Comm comm, MPI_Request* request) {
  ++posted;
  return PMPI_Irecv(data, count, type, from, tag, comm, request);
}

extern "C" int MPI_Testall(int count, MPI_Request requests[], int* done, MPI_Status* statuses) {
  const int code = PMPI_Testall(count, requests, done, statuses);
  if (*done != 0) ended += count;
  return code;
}

int main(int, char** arguments) {
  using namespace chorale;
  const std::string overlap = arguments[1];
  const auto comm = make_mpi_world();
  std::string found;
  for (const std::string exchange : {"shared", "sharded"}) {
    GradientEngine engine(*comm, {.parallel = {.exchange = exchange, .overlap = overlap}});
    std::vector<std::size_t> slots;
    for (int i = 0; i < 6; ++i) slots.push_back(engine.add("p" + std::to_string(i), 9000));
    engine.start();
    for (int step = 0; step < 30; ++step) {
      for (auto slot = slots.rbegin(); slot != slots.rend(); ++slot) engine.ready(*slot, std::vector<float>(9000, 0.5f));
      engine.step(1, 1);
      if (posted != ended && found.empty())
        found = exchange + ", step " + std::to_string(step) + ": " + std::to_string(posted - ended) + " of " + std::to_string(posted) +
                " requests are left";
    }
  }
  if (posted < 100 && found.empty()) found = "only " + std::to_string(posted) + " requests were seen: this program does not count them";
  std::printf("rank %d %s %s\n", comm->rank(),
              found.empty() ? "held: no request left over," : "BROKEN:", found.empty() ? std::to_string(posted).c_str() : found.c_str());
  return found.empty() ? 0 : 1;
}
