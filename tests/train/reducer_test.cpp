#include <catch2/catch.hpp>

#include <chorale/core/nn/sequential.hpp>
#include <chorale/train/reducer.hpp>

using namespace chorale;

namespace {

/// Notes what it is told.
class Listening final : public Exchange {
 public:
  std::span<const Buffer> begin() override { return {}; }
  void bucket_ready(const Bucket& bucket) override { heard += std::to_string(bucket.index); }
  void advance() override { heard += "."; }
  StepOutcome step(FlatParams&, Optimizer&, StepOrder, std::span<const WorkerReport>, const RankReport&) override { return {}; }
  const std::vector<Phases>& phases() const override { return phases_; }
  std::uint64_t bytes_per_step() const override { return 0; }
  void gather_state(Optimizer&) override {}
  void release_state(Optimizer&) override {}
  std::vector<Carried> carried() const override { return {}; }
  std::string heard;

 private:
  std::vector<Phases> phases_;
};

}  // namespace

TEST_CASE("buckets leave in index order, and every gradient pushes on what is under way") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  auto model = build_layers("linear(64) linear(64) linear(64)", {64}, registry);
  const FlatParams params(*model, *device, DType::f32);  // the last layer first; bias, weight, bias, ...
  REQUIRE(params.entries().size() == 6);
  Reducer reducer(params, plan_buckets(params, kBlockElements * 4));  // borders inside the weights
  Listening exchange;
  reducer.ready(0);
  CHECK(exchange.heard.empty());  // before the last pass gradients will change
  reducer.begin(exchange);
  for (const std::size_t entry : {2u, 3u, 0u, 1u, 4u, 5u}) reducer.ready(entry);
  reducer.finish(exchange);
  CHECK(exchange.heard == "...01..23.");
}
