// The backends of one process under the contract: every size from 1 to 8, one node and several.
#include <catch2/catch.hpp>

#include <mutex>
#include <thread>

#include "backend_suite.hpp"

namespace chorale::contract {
namespace {

/// Runs the check on every rank of a new world; what the ranks found, each with its rank.
std::string run(const Check& check, int size, int nodes) {
  auto world = make_thread_communicators(size, nodes);
  std::vector<std::thread> ranks;
  std::mutex mutex;
  std::string found;
  for (auto& comm : world)
    ranks.emplace_back([&, rank = comm.get()] {
      try {
        rank->set_timeout_ms(20000);
        check.run(*rank);
      } catch (const std::exception& error) {
        rank->abort(error.what());
        const std::lock_guard lock(mutex);
        found += "rank " + std::to_string(rank->rank()) + ": " + error.what() + "\n";
      }
    });
  for (std::thread& rank : ranks) rank.join();
  return found;
}

struct Layout {
  int size, nodes;
};

}  // namespace

TEST_CASE("threads keep the contract of a backend", "[comm]") {
  const auto layout = GENERATE(Layout{1, 1}, Layout{2, 1}, Layout{3, 1}, Layout{4, 1}, Layout{5, 1}, Layout{6, 1}, Layout{7, 1},
                               Layout{8, 1}, Layout{2, 2}, Layout{4, 2}, Layout{5, 3}, Layout{7, 7});
  for (const Check& check : working_checks()) {
    INFO(check.sentence << " at " << layout.size << " ranks on " << layout.nodes << " nodes");
    CHECK(run(check, layout.size, layout.nodes) == "");
  }
}

TEST_CASE("threads keep the contract for every type, size and offset", "[comm]") {
  const auto layout = GENERATE(Layout{1, 1}, Layout{2, 1}, Layout{3, 1}, Layout{4, 1}, Layout{5, 1}, Layout{6, 1}, Layout{7, 1},
                               Layout{8, 1}, Layout{2, 2}, Layout{4, 2}, Layout{5, 3});
  for (const Check& check : shape_checks()) {
    INFO(check.sentence << " at " << layout.size << " ranks on " << layout.nodes << " nodes");
    CHECK(run(check, layout.size, layout.nodes) == "");
  }
}

TEST_CASE("threads wait for a late rank in every verb", "[comm]") {
  const auto layout = GENERATE(Layout{2, 1}, Layout{3, 1}, Layout{4, 2});
  for (const Check& check : late_checks()) {
    INFO(check.sentence << " at " << layout.size << " ranks on " << layout.nodes << " nodes");
    CHECK(run(check, layout.size, layout.nodes) == "");
  }
}

TEST_CASE("threads move 2^26 + 1 elements", "[comm]") {
  const auto layout = GENERATE(Layout{2, 1}, Layout{3, 1});
  for (const Check& check : large_checks()) {
    INFO(check.sentence << " at " << layout.size << " ranks");
    CHECK(run(check, layout.size, layout.nodes) == "");
  }
}

TEST_CASE("threads move more than 2^31 elements", "[.bench]") {
  for (const Check& check : huge_checks()) {
    INFO(check.sentence);
    CHECK(run(check, 2, 1) == "");
  }
}

TEST_CASE("threads fail in every verb as the contract says", "[comm]") {
  const auto layout = GENERATE(Layout{2, 1}, Layout{3, 1}, Layout{4, 2});
  for (const Check& check : interrupted_checks()) {
    INFO(check.sentence << " at " << layout.size << " ranks on " << layout.nodes << " nodes");
    CHECK(run(check, layout.size, layout.nodes) == "");
  }
}

TEST_CASE("threads fail as the contract says", "[comm]") {
  const auto layout = GENERATE(Layout{2, 1}, Layout{3, 1}, Layout{4, 2}, Layout{3, 3});
  for (const Check& check : failing_checks()) {
    INFO(check.sentence << " at " << layout.size << " ranks on " << layout.nodes << " nodes");
    CHECK(run(check, layout.size, layout.nodes) == "");
  }
}

TEST_CASE("the backend of one rank keeps the contract", "[comm]") {
  for (const Check& check : working_checks()) {
    INFO(check.sentence);
    auto self = make_self_communicator();
    CHECK(self->backend() == "self");
    CHECK_NOTHROW(check.run(*self));
  }
}

}  // namespace chorale::contract
