// What a task publishes by its sweep: all rows of an entity at one tick.
#include <catch2/catch.hpp>

#include <algorithm>
#include <numeric>

#include <chorale/core/base/random.hpp>
#include <chorale/core/data/matrix_dataset.hpp>
#include <chorale/core/nn/flat_params.hpp>
#include <chorale/train/collab/publication.hpp>
#include <chorale/train/collab/replicated_store.hpp>

using namespace chorale;

TEST_CASE("a sweep takes all rows of an entity at one tick, or none, and each entity once a round") {
  constexpr std::int64_t kRows = 2600, kFeatures = 3, kWidth = 2, kTicks = 4;
  constexpr std::int32_t kEntities = 7;
  std::vector<EntityId> ids(kEntities);
  for (int i = 0; i < kEntities; ++i) ids[static_cast<std::size_t>(i)] = entity_id("person", std::to_string(i));
  std::sort(ids.begin(), ids.end());
  auto x = std::make_shared<std::vector<float>>();
  std::vector<std::int32_t> entity_of_row;
  RandomStream random(4);
  for (std::int64_t row = 0; row < kRows; ++row) {
    entity_of_row.push_back(row % 9 == 0 ? -1 : static_cast<std::int32_t>(random.below(kEntities)));
    for (std::int64_t f = 0; f < kFeatures; ++f) x->push_back(static_cast<float>(random.normal()));
  }
  std::vector<std::int64_t> every(kRows);
  std::iota(every.begin(), every.end(), std::int64_t{0});
  const FeatureMatrix matrix{.rows = kRows, .features = kFeatures, .x = x->data(), .owner = x};
  const auto all = std::make_shared<MatrixDataset>(matrix, every);

  auto device = make_cpu_device();
  Registry registry;
  register_all(registry);
  FusedModel model(build_layers("linear(4) relu linear(1)", {kFeatures}, registry), {kFeatures}, {.width = kWidth});
  FlatParams params(model, *device, DType::f32);
  const Tensor memory = Tensor::zeros(*device, {params.elements()}, DType::f32);
  params.bind(memory.buffer());
  params.initialise(3, "torch");
  const auto comm = make_self_communicator();
  ReplicatedStore store(*comm, {{"a", ids}}, {.width = kWidth});
  Publication publication({.task = *comm,
                           .store = store,
                           .model = model,
                           .device = *device,
                           .dtype = DType::f32,
                           .publisher = 0,
                           .train = all,
                           .all = all,
                           .entities = {entity_of_row},
                           .sweep_ticks = kTicks});
  const Tensor whole = model.entity(Variable(Tensor::from(*device, {kRows, kFeatures}, x->data())), {.device = *device}).value();
  std::vector<std::vector<double>> means(kEntities, std::vector<double>(kWidth));
  for (std::int32_t e = 0; e < kEntities; ++e) {
    const auto count = static_cast<double>(std::count(entity_of_row.begin(), entity_of_row.end(), e));
    for (std::int64_t row = 0; row < kRows; ++row)
      for (std::int64_t j = 0; j < kWidth && entity_of_row[static_cast<std::size_t>(row)] == e; ++j)
        means[static_cast<std::size_t>(e)][static_cast<std::size_t>(j)] +=
            static_cast<double>(whole.data<float>()[row * kWidth + j]) / count;
  }
  std::int64_t there = 0;
  for (std::int64_t tick = 1; tick <= kTicks; ++tick) {
    publication.sweep(tick);
    publication.post(tick, true);
    publication.complete(false);
    std::int64_t now = 0;
    for (std::int32_t e = 0; e < kEntities; ++e) {
      float row[kWidth];
      if (!store.read(0, e, row)) continue;
      ++now;
      for (std::size_t j = 0; j < kWidth; ++j)
        CHECK(static_cast<double>(row[j]) == Approx(means[static_cast<std::size_t>(e)][j]).margin(1e-5));
    }
    CHECK(now - there <= 2);  // a fourth of seven
    there = now;
  }
  CHECK(there == kEntities);
}
