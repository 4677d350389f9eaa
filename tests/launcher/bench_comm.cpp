#include <catch2/catch.hpp>

#include <thread>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/bench/byte_sizes.hpp>
#include <chorale/launcher/bench/collective_bench.hpp>
#include <chorale/launcher/bench/test_pattern.hpp>

using namespace chorale;

namespace {

/// Rank 0's figures of a run over threads.
CollectiveFigures figures_of(const CollectiveBenchConfig& config, int ranks, std::int64_t bytes) {
  auto world = make_thread_communicators(ranks);
  std::vector<std::thread> others;
  for (auto& comm : world)
    if (comm->rank() > 0) others.emplace_back([&] { measure_collective(*comm, config, bytes, nullptr); });
  CollectiveFigures out = measure_collective(*world[0], config, bytes, nullptr);
  for (std::thread& each : others) each.join();
  return out;
}

}  // namespace

TEST_CASE("sizes double or are a list, with binary units") {
  CHECK(parse_byte_sizes("4:32") == std::vector<std::int64_t>{4, 8, 16, 32});
  CHECK(parse_byte_sizes("1K:4K") == std::vector<std::int64_t>{1024, 2048, 4096});
  CHECK(parse_byte_sizes("0,26M,3G") == std::vector<std::int64_t>{0, 26 << 20, std::int64_t{3} << 30});
  CHECK(parse_byte_sizes("4:256M").size() == 27);
}

TEST_CASE("what is no size is refused with the word") {
  for (const char* bad : {"", "4,,8", "1.5M", "12Q", "-4", "8:4", "0:4", "4:", "99999999999G"}) {
    INFO(bad);
    CHECK_THROWS_AS(parse_byte_sizes(bad), UsageError);
  }
  CHECK_THROWS_WITH(parse_byte_sizes("4,12Q"), Catch::Contains("'12Q'"));
}

TEST_CASE("a spread gives least, middle and nearly worst") {
  std::vector<double> samples;
  for (int i = 100; i >= 0; --i) samples.push_back(i);
  const Spread spread = spread_of(samples);
  CHECK(spread.min == 0);
  CHECK(spread.median == 50);
  CHECK(spread.p95 == 95);
  CHECK(spread_of({7}).p95 == 7);
}

TEST_CASE("a pattern sees a wrong element, a shifted block and another rank's data") {
  const TestPattern pattern = TestPattern::of_rank(1, DType::i32);
  std::vector<std::int32_t> data(20000);
  const Buffer buffer = buffer_of(std::span(data));
  pattern.write(buffer, 5);
  CHECK(pattern.matches(buffer, 5));
  CHECK(pattern.matches(buffer.part(7000, 9000), 7005));
  CHECK_FALSE(pattern.matches(buffer, 6));
  CHECK_FALSE(TestPattern::of_rank(2, DType::i32).matches(buffer, 5));
  ++data.back();
  CHECK_FALSE(pattern.matches(buffer, 5));
}

TEST_CASE("every collective is measured and right, at sizes that do not divide by the ranks") {
  for (const std::string& op : collective_names())
    for (const DType dtype : {DType::f32, DType::bf16, DType::i64, DType::u8})
      for (const std::int64_t bytes : {0, 8, 40000, 1000008}) {
        INFO(op << " of " << name(dtype) << ", " << bytes << " bytes");
        const CollectiveFigures figures = figures_of({.op = op, .dtype = dtype, .repeat = 3}, 3, bytes);
        CHECK(figures.correct);
        CHECK(figures.shared_us.median > 0);
        CHECK(figures.ordinary_us.p95 >= figures.ordinary_us.min);
        CHECK(figures.peer_us.empty);
      }
}

TEST_CASE("the size that is told is the one that was moved") {
  CHECK(figures_of({.op = "all_reduce", .dtype = DType::f64, .repeat = 1}, 2, 15).bytes == 8);
  CHECK(figures_of({.op = "all_reduce", .dtype = DType::f64, .repeat = 1}, 2, 4).bytes == 0);
  CHECK(figures_of({.op = "all_gather", .repeat = 1}, 3, 20).bytes == 20);
  CHECK(figures_of({.op = "all_to_all", .repeat = 1}, 3, 8).bytes == 0);
  CHECK(figures_of({.op = "all_to_all", .repeat = 1}, 3, 40).bytes == 36);
}

TEST_CASE("the bus factors are those of nccl-tests") {
  CHECK(figures_of({.op = "all_reduce", .repeat = 1}, 4, 64).bus_factor == 1.5);
  CHECK(figures_of({.op = "all_gather", .repeat = 1}, 4, 64).bus_factor == 0.75);
  CHECK(figures_of({.op = "broadcast", .repeat = 1}, 4, 64).bus_factor == 1);
}
