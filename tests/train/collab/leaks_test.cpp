// What a task hears is searched for its own label: in that there is a vector at all, and in the vector's numbers.
#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>

#include <chorale/core/base/random.hpp>
#include <chorale/core/data/matrix_dataset.hpp>
#include <chorale/train/collab/replicated_store.hpp>
#include <chorale/train/collab/leaks.hpp>

using namespace chorale;

namespace {

constexpr std::int64_t kPeople = 400, kWidth = 3;

/// A listener's rows of all people; its peer knows those that `is_known` says, and publishes what `vector_of` says.
struct Case {
  std::function<float(int)> label = [](int p) { return static_cast<float>(p % 2); };
  std::function<bool(int)> is_known = [](int) { return true; };
  std::function<float(int, int)> value = [](int p, int j) {
    RandomStream random(mix(7, static_cast<std::uint64_t>(10 * p + j)));
    return static_cast<float>(random.normal());
  };

  std::pair<std::vector<Leak>, std::vector<Leak>> found() const {
    std::vector<EntityId> ids, known;
    std::vector<std::pair<EntityId, int>> order;
    auto target = std::make_shared<std::vector<float>>();
    std::vector<std::int64_t> rows;
    for (int p = 0; p < kPeople; ++p) {
      ids.push_back(entity_id("person", std::to_string(p)));
      if (is_known(p)) order.emplace_back(ids.back(), p);
      target->push_back(label(p));
      rows.push_back(p);
    }
    std::sort(order.begin(), order.end());
    for (const auto& [id, p] : order) known.push_back(id);
    auto world = make_thread_communicators(1);
    ReplicatedStore store(*world[0], {{.task = "peer", .ids = known}}, {.width = kWidth});
    EntitySums sums(kWidth);
    for (std::size_t i = 0; i < order.size(); ++i) {
      std::vector<float> vector;
      for (int j = 0; j < kWidth; ++j) vector.push_back(value(order[i].second, j));
      sums.add(static_cast<std::int32_t>(i), 0, vector.data());
    }
    store.post(0, sums);
    store.complete();
    const EntityIndex index = index_entities(ids);
    FetchedRows fetched(store, {{.publisher = 0,
                                 .kind = "person",
                                 .of_row = index.of_row,
                                 .positions = positions_before(index.keys(), store.publisher(0).keys())}});
    fetched.refresh();
    const FeatureMatrix matrix{.rows = kPeople, .features = 1, .x = target->data(), .target = target->data(), .owner = target};
    const MatrixDataset train(matrix, rows);
    return {presence_leaks(fetched, train), vector_leaks(fetched, train)};
  }
};

}  // namespace

TEST_CASE("vectors of strangers and a peer that knows everybody, or anybody, tell nothing") {
  Case all;
  CHECK(all.found().first.empty());
  CHECK(all.found().second.empty());
  all.is_known = [](int p) { return p % 3 == 0; };
  CHECK(all.found().first.empty());
  CHECK(all.found().second.empty());
}

TEST_CASE("that a peer has a row tells the label: an order is there because of a purchase") {
  Case orders;
  orders.is_known = [](int p) { return p % 2 == 1 || p % 10 == 0; };
  const auto [presence, vectors] = orders.found();
  REQUIRE(presence.size() == 1);
  CHECK(vectors.empty());
  CHECK(presence[0].component == -1);
  CHECK(presence[0].rows == kPeople);
  CHECK(presence[0].correlation == Approx(0.816).margin(0.001));  // phi of 200 / 40 / 0 / 160
  const std::string text = leak_text(presence[0], "purchase", "orders", "person", 0);
  CHECK_THAT(text,
             Catch::Contains("whether orders has a row of a person tells purchase its label: correlation 0.82 over 400 training rows, "
                             "above 0.30"));
}

TEST_CASE("a component that follows the label is found, and which one") {
  Case copy;
  const auto noise = copy.value;
  copy.value = [&](int p, int j) { return j == 2 ? 5 - copy.label(p) + 0.1f * noise(p, j) : noise(p, j); };
  const auto [presence, vectors] = copy.found();
  CHECK(presence.empty());
  REQUIRE(vectors.size() == 1);
  CHECK(vectors[0].component == 2);
  CHECK(vectors[0].correlation > 0.95);
  CHECK_THAT(leak_text(vectors[0], "buys", "peer", "person", 0), Catch::Contains("what peer says about persons tells buys its label") &&
                                                                     Catch::Contains("of component 2 over 400 training rows, above 0.90") &&
                                                                     Catch::Contains("let it publish out of fold, task.peer.folds = 5"));
  CHECK_THAT(leak_text(vectors[0], "buys", "peer", "person", 5), Catch::Contains("keep the two apart: it publishes out of fold"));
  copy.value = [&](int p, int j) { return j == 2 ? copy.label(p) + noise(p, j) : noise(p, j); };  // a good guess is no leak
  CHECK(copy.found().second.empty());
}

TEST_CASE("one class of several is enough, and values count as they are") {
  Case classes;
  classes.label = [](int p) { return static_cast<float>(p % 4); };
  const auto noise = Case().value;
  classes.value = [&](int p, int j) { return j == 0 ? (p % 4 == 2 ? 1.0f : 0.0f) : noise(p, j); };
  REQUIRE(classes.found().second.size() == 1);
  CHECK(classes.found().second[0].correlation == Approx(1).margin(1e-6));
  Case values;
  values.label = [](int p) { return 0.1f * static_cast<float>(p); };
  values.value = [&](int p, int j) { return j == 1 ? values.label(p) : noise(p, j); };
  REQUIRE(values.found().second.size() == 1);
  CHECK(values.found().second[0].component == 1);
}
