// Bodies of ranks that are threads.
#pragma once
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <chorale/comm/communicator.hpp>

namespace chorale {

/// What each rank has thrown, by rank; empty: nothing. One that throws ends the others' waits.
inline std::vector<std::string> run_ranks(int size, const std::function<void(Communicator&)>& rank_body, int nodes = 1) {
  auto world = make_thread_communicators(size, nodes);
  std::vector<std::string> errors(world.size());
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < world.size(); ++r)
    threads.emplace_back([&, r] {
      try {
        rank_body(*world[r]);
      } catch (const std::exception& error) {
        errors[r] = error.what();
        world[r]->abort(error.what());
      }
    });
  for (std::thread& thread : threads) thread.join();
  return errors;
}

}  // namespace chorale
