// The store of representations: what ranks post is applied at the next tick, alike on all ranks, whoever has seen it.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <thread>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/train/collab/replicated_store.hpp>

#include <chorale/tests/comm/thread_ranks.hpp>

using namespace chorale;

namespace {

constexpr std::int64_t kWidth = 3;

std::vector<EntityId> people(int count) {
  std::vector<EntityId> ids;
  for (int i = 0; i < count; ++i) ids.push_back(entity_id("person", std::to_string(i)));
  std::sort(ids.begin(), ids.end());
  return ids;
}

/// A vector that (tick, entity, part) decides.
std::vector<float> vector_of(int tick, int entity, int part) {
  RandomStream random(mix(static_cast<std::uint64_t>(1000 * tick + part), static_cast<std::uint64_t>(entity)));
  std::vector<float> out;
  for (std::int64_t j = 0; j < kWidth; ++j) out.push_back(static_cast<float>(random.normal()) + 2);
  return out;
}

struct Layout {
  std::vector<int> task_of;  // by rank: 0 or 1 publish, -1 only listens
};

/// Raw rows of both publishers after `ticks` ticks, from the last rank. Parts are dealt out to the ranks of their task.
std::vector<float> rows_after(const Layout& layout, int ticks, double keep, int parts = 6) {
  std::vector<float> out;
  const auto errors = run_ranks(static_cast<int>(layout.task_of.size()), [&](Communicator& world) {
    ReplicatedStore store(world, {{"a", people(40)}, {"b", people(25)}}, {.width = kWidth, .keep = keep});
    const int task = layout.task_of[static_cast<std::size_t>(world.rank())];
    std::int64_t rank = 0, ranks = 0;
    for (std::size_t r = 0; r < layout.task_of.size(); ++r)
      if (layout.task_of[r] == task) rank += static_cast<int>(r) < world.rank(), ++ranks;
    for (int tick = 0; tick < ticks; ++tick) {
      EntitySums sums(kWidth);
      for (int part = 0; task >= 0 && part < parts; ++part) {
        if (part * ranks / parts != rank) continue;
        for (int i = 0; i < 20; ++i) {
          const int entity = (7 * i + 3 * part + 5 * tick) % (task == 0 ? 40 : 25);
          sums.add(entity, part, vector_of(tick, entity, 10 * task + part).data());
        }
      }
      store.complete();
      store.post(task, sums);
      store.advance();
    }
    store.complete();
    store.complete();  // nothing is pending: nothing happens
    if (store.version() != ticks) throw UsageError("version " + std::to_string(store.version()));
    if (world.rank() + 1 != world.size()) return;
    for (const int p : {0, 1}) out.insert(out.end(), store.raw(p).begin(), store.raw(p).end());
  });
  for (const std::string& error : errors) CHECK(error == "");
  return out;
}

bool equal(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace

TEST_CASE("rows do not depend on how many ranks a task has, nor where they are") {
  const std::vector<float> reference = rows_after({{0, 1}}, 4, 0.7);
  CHECK(std::count(reference.begin(), reference.end(), 0.0f) < 30);
  for (const Layout& layout : std::vector<Layout>{{{0, 0, 1}}, {{0, 0, 0, 0, 0, 1, 1}}, {{1, 0, 1}}, {{-1, 1, 0, -1}}, {{1, 1, 1, 0, 0}}})
    CHECK(equal(rows_after(layout, 4, 0.7), reference));
}

TEST_CASE("a row is the mean of what was seen, and old rows fade by `keep`") {
  for (const double keep : {0.0, 0.7}) {
    const std::vector<float> rows = rows_after({{0, 1}}, 3, keep);
    std::map<int, std::vector<double>> expected;
    for (int tick = 0; tick < 3; ++tick) {
      std::map<int, std::pair<std::vector<double>, int>> seen;
      for (int part = 0; part < 6; ++part)
        for (int i = 0; i < 20; ++i) {
          const int entity = (7 * i + 3 * part + 5 * tick) % 40;
          auto& [sum, count] = seen.try_emplace(entity, std::pair(std::vector<double>(kWidth), 0)).first->second;
          const std::vector<float> v = vector_of(tick, entity, part);
          for (std::size_t j = 0; j < v.size(); ++j) sum[j] += v[j];
          ++count;
        }
      for (auto& [entity, s] : seen) {
        const bool is_new = expected.find(entity) == expected.end();
        std::vector<double>& row = expected.try_emplace(entity, std::vector<double>(kWidth)).first->second;
        for (std::size_t j = 0; j < row.size(); ++j)
          row[j] = (is_new ? 0 : keep) * row[j] + (is_new ? 1 : 1 - keep) * s.first[j] / s.second;
      }
    }
    for (int entity = 0; entity < 40; ++entity)
      for (std::size_t j = 0; j < kWidth; ++j) {
        const auto it = expected.find(entity);
        CHECK(rows[static_cast<std::size_t>(entity) * kWidth + j] == Approx(it == expected.end() ? 0 : it->second[j]).margin(1e-5));
      }
  }
}

TEST_CASE("what is fetched is standardised over the publisher's rows, cut at 4 deviations, and 0 where there is no row") {
  const auto errors = run_ranks(2, [](Communicator& world) {
    ReplicatedStore store(world, {{"a", people(200)}}, {.width = 2});
    EntitySums sums(2);
    RandomStream random(3);
    std::vector<std::vector<float>> given;
    for (int i = 0; i < 100; ++i) {
      given.push_back({static_cast<float>(5 + 3 * random.normal()), 7});
      if (world.rank() == 0) sums.add(i, 0, given.back().data());
    }
    given[0] = {1000, 7};
    if (world.rank() == 0) {
      sums.clear();
      for (int i = 0; i < 100; ++i) sums.add(i, 0, given[static_cast<std::size_t>(i)].data());
    }
    store.post(world.rank() == 0 ? 0 : -1, sums);
    std::vector<double> row(2, 9.0);
    if (store.fetch(0, 3, row.data()) || row != std::vector<double>{0, 0}) throw UsageError("a row before its tick");
    store.complete();
    double mean = 0, square = 0;
    for (const auto& g : given) mean += g[0] / 100;
    for (const auto& g : given) square += (g[0] - mean) * (g[0] - mean) / 100;
    store.fetch(0, 5, row.data());
    if (std::fabs(row[0] - (given[5][0] - mean) / std::sqrt(square) / std::sqrt(2)) > 1e-6) throw UsageError("not standardised");
    if (row[1] != 0) throw UsageError("a column without spread is not 0");
    store.fetch(0, 0, row.data());
    if (std::fabs(row[0] - 4 / std::sqrt(2.0)) > 1e-12) throw UsageError("not cut");
    if (store.fetch(0, 150, row.data()) || row[0] != 0) throw UsageError("a row that nobody published");
    if (store.fetch(0, -1, row.data())) throw UsageError("an entity that the publisher does not know");
    if (store.rows(0) != 100) throw UsageError("number of rows");
  });
  for (const std::string& error : errors) CHECK(error == "");
}

TEST_CASE("ids of entities are those of kind and key, and lists of rows are indexed by them") {
  CHECK(entity_id("customer", "17") != entity_id("product", "17"));
  CHECK(entity_id("customer", "17") == entity_id("customer", "17"));
  std::vector<EntityId> by_row;
  for (const char* key : {"b", "a", "b", "c", "a"}) by_row.push_back(entity_id("k", key));
  const EntityIndex index = index_entities(by_row);
  REQUIRE(index.ids.size() == 3);
  CHECK(std::is_sorted(index.ids.begin(), index.ids.end()));
  for (std::size_t r = 0; r < by_row.size(); ++r) CHECK(index.ids[static_cast<std::size_t>(index.of_row[r])] == by_row[r]);
  CHECK(positions_of({std::vector<EntityId>{entity_id("k", "zz"), index.ids[1]}}, index.keys()) == std::vector<std::int32_t>{-1, 1});
}
