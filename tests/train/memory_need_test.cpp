#include <catch2/catch.hpp>

#include <cstdlib>

#include <chorale/core/base/error.hpp>
#include <chorale/train/memory_need.hpp>

using namespace chorale;

TEST_CASE("a node needs one copy of parameters and state, and gradients of each rank") {
  const MemoryNeed need = memory_need(1000, 900, 2, 4, true);
  CHECK(need.parameters == 1000);
  CHECK(need.state == 1800);
  CHECK(need.gradients == 3600);
  CHECK(need.best == 1000);
  CHECK(need.total() == 7400);
  CHECK(memory_need(1000, 900, 2, 4, false).best == 0);
}

TEST_CASE("a need above the limit is refused with both numbers, one that just fits is not") {
  const MemoryNeed need = memory_need(2'000'000, 2'000'000, 1, 2, false);
  CHECK_NOTHROW(check_memory(need, {8'000'000, "Slurm (--mem)"}));
  CHECK_THROWS_WITH(check_memory(need, {7'999'999, "Slurm (--mem)"}),
                    Catch::Contains("needs at least 8.0 MB on a node") && Catch::Contains("Slurm (--mem) allows 8.0 MB"));
  CHECK_THROWS_AS(check_memory(need, {1, "its group"}), UsageError);
  CHECK_NOTHROW(check_memory(need, {1, ""}));  // nobody has set one
}

TEST_CASE("Slurm's limit is the node's, or that of its processors together") {
  REQUIRE(::getenv("SLURM_MEM_PER_NODE") == nullptr);
  ::setenv("SLURM_MEM_PER_NODE", "1", 1);
  CHECK(memory_limit().bytes == 1 << 20);
  CHECK(memory_limit().who == "Slurm (--mem)");
  ::unsetenv("SLURM_MEM_PER_NODE");
  ::setenv("SLURM_MEM_PER_CPU", "2", 1), ::setenv("SLURM_CPUS_ON_NODE", "3", 1);
  CHECK(memory_limit().bytes == 6 << 20);
  ::unsetenv("SLURM_MEM_PER_CPU"), ::unsetenv("SLURM_CPUS_ON_NODE");
}
