#include <catch2/catch.hpp>

#include <thread>

#include <chorale/core/base/error.hpp>
#include <chorale/train/common_device.hpp>
#include <chorale/tests/skip.hpp>

using namespace chorale;

namespace {

/// text() of every rank's device, with the isa that each rank asks for.
std::vector<std::string> texts(const std::vector<std::string>& asked) {
  auto comms = make_thread_communicators(static_cast<int>(asked.size()));
  std::vector<std::string> out(asked.size());
  std::vector<std::thread> ranks;
  for (std::size_t r = 0; r < asked.size(); ++r)
    ranks.emplace_back([&, r] { out[r] = make_common_device(*comms[r], {.threads = 1, .isa = asked[r]})->text(); });
  for (std::thread& rank : ranks) rank.join();
  return out;
}

}  // namespace

TEST_CASE("all ranks take the lowest common instruction set") {
  const std::string baseline = "cpu, baseline, 1 thread";
  CHECK(texts({"auto", "baseline", "auto"}) == std::vector<std::string>(3, baseline));
  const std::string best = std::string("cpu, ") + cpu_isa_name(best_cpu_isa()) + ", 1 thread";
  CHECK(texts({"auto", "auto"}) == std::vector<std::string>(2, best));
  if (best_cpu_isa() < 2) CHORALE_SKIP("this processor has no AVX-512");
  CHECK(texts({"avx512", "avx2", "auto"}) == std::vector<std::string>(3, "cpu, avx2, 1 thread"));
}

TEST_CASE("an instruction set that is unknown is refused with those there are") {
  auto self = make_self_communicator();
  CHECK_THROWS_WITH(make_common_device(*self, {.isa = "sse9"}), Catch::Contains("sse9") && Catch::Contains("avx512"));
}
