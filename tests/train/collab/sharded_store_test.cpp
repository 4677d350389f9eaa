// A sharded store gives the bits of a replicated one, sends what the formula says, and its checkpoints are the same files.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/core/io/safetensors_image.hpp>
#include <chorale/train/collab/replicated_store.hpp>
#include <chorale/train/collab/sharded_store.hpp>
#include <chorale/train/collab/store_need.hpp>

#include <chorale/tests/train/folder.hpp>

#include <chorale/tests/comm/thread_ranks.hpp>

using namespace chorale;

namespace {

constexpr std::int64_t kWidth = 3;

Publisher people(const std::string& task, int count, bool has_time, int scale_before = 3) {
  std::vector<EntityId> by_row;
  std::vector<std::int32_t> periods;
  for (int i = 0; i < count; ++i)
    for (int period = 0; period < (has_time ? 4 : 1); ++period)
      by_row.push_back(entity_id("person", std::to_string(i))), periods.push_back(period);
  const EntityIndex index = index_entities(by_row, has_time ? std::span<const std::int32_t>(periods) : std::span<const std::int32_t>());
  Publisher out{.task = task, .ids = index.ids, .periods = index.periods};
  if (has_time) out.scale_before = scale_before;
  for (std::size_t i = 0; i < out.ids.size(); ++i) out.trained.push_back(out.ids[i] % 3 == 0);
  return out;
}

std::vector<float> vector_of(int tick, int entity, int part) {
  RandomStream random(mix(static_cast<std::uint64_t>(1000 * tick + part), static_cast<std::uint64_t>(entity)));
  std::vector<float> out;
  for (std::int64_t j = 0; j < kWidth; ++j) out.push_back(static_cast<float>(random.normal()) + 2);
  return out;
}

struct Layout {
  std::vector<int> task_of;  // by rank: 0 or 1 publish, -1 only listens
  int nodes = 1;
  bool is_sharded = true, has_time = false;
  RowWire wire = RowWire::f32;
};

/// What each rank reads after each tick, and what the store says of itself.
struct Seen {
  std::vector<std::vector<float>> fetched;  // by tick, of the last rank
  std::vector<KeyPlaces> places;
  std::string checkpoint;  // after the tick `saves_at`, with what is posted
  std::vector<std::string> errors;
};

struct Ticks {
  int first = 0, last = 6, saves_at = -1;
  std::optional<std::filesystem::path> resumes = {};
  bool advances = true;
};

Seen run(const Layout& layout, const Ticks& ticks) {
  Seen out;
  out.errors = run_ranks(
      static_cast<int>(layout.task_of.size()),
      [&](Communicator& world) {
        const Publisher publishers[] = {people("a", 90, layout.has_time), people("b", 50, layout.has_time)};
        const int task = layout.task_of[static_cast<std::size_t>(world.rank())];
        const StoreOptions options{.width = kWidth, .keep = 0.7, .wire = layout.wire};
        std::unique_ptr<Store> store;
        ShardedStore* sharded = nullptr;
        if (layout.is_sharded) {
          auto made = std::make_unique<ShardedStore>(world, std::vector<std::string>{"a", "b"}, task,
                                                     task >= 0 ? publishers[task] : Publisher{.task = "", .ids = {}}, options);
          sharded = made.get(), store = std::move(made);
        } else {
          store = std::make_unique<ReplicatedStore>(world, std::vector<Publisher>{publishers[0], publishers[1]}, options);
        }
        const Publisher own = people("own", 120, layout.has_time);
        const std::vector<KeyPlaces> places = store->locate({{0, own.keys()}, {1, own.keys()}});
        if (ticks.resumes) {
          const SafetensorsFile file(*ticks.resumes);
          store->restore(file, file.metadata().at("state"));
        }
        std::int64_t rank = 0, ranks = 0;
        for (std::size_t r = 0; r < layout.task_of.size(); ++r)
          if (layout.task_of[r] == task) rank += static_cast<int>(r) < world.rank(), ++ranks;
        std::uint64_t before = 0;
        std::vector<float> row(kWidth);
        const auto read = [&] {
          std::vector<float> all;
          for (int p = 0; p < 2; ++p)
            for (const std::int32_t position : places[static_cast<std::size_t>(p)].positions) {
              all.push_back(store->fetch(p, position, row.data()) ? 1.0f : 0.0f);
              all.insert(all.end(), row.begin(), row.end());
            }
          return all;
        };
        for (int tick = ticks.first; tick < ticks.last; ++tick) {
          store->complete();
          const std::vector<float> now = read();
          if (world.rank() + 1 == world.size()) out.fetched.push_back(now);
          EntitySums sums(kWidth);
          for (int part = 0; task >= 0 && part < 6; ++part) {
            if (part * ranks / 6 != rank) continue;
            for (int i = 0; i < 20; ++i) {
              const int keys = static_cast<int>(publishers[task].ids.size()), entity = (7 * i + 3 * part + 11 * tick) % keys;
              sums.add(entity, part, vector_of(tick, entity, 10 * task + part).data());
            }
          }
          if (sharded && tick == ticks.first) before = world.bytes_sent() - static_cast<std::uint64_t>(sharded->formula_bytes());
          store->post(tick == 2 ? -1 : task, sums);
          if (tick == ticks.saves_at) {
            store->settle();
            store->gather_state();
            if (world.rank() == 0) {
              const SafetensorsImage image(store->state(), {{"state", store->state_text()}});
              out.checkpoint.resize(image.size());
              image.copy_range({0, image.size()}, reinterpret_cast<std::byte*>(out.checkpoint.data()));
            }
          }
          store->release();
          for (int i = 0; ticks.advances && i < 50; ++i) store->advance();
          if (read() != now) throw UsageError("what is under way is read before its tick");
        }
        store->complete();
        const std::vector<float> last = read();
        if (world.rank() + 1 == world.size()) out.fetched.push_back(last), out.places = places;
        if (!sharded || ticks.saves_at >= 0) return;
        const std::uint64_t sent = world.bytes_sent() - before;
        world.barrier("what an envelope takes").wait();
        const std::uint64_t envelope = world.bytes_sent() - before - sent, posts = static_cast<std::uint64_t>(ticks.last - ticks.first);
        if (const std::uint64_t formula = static_cast<std::uint64_t>(sharded->formula_bytes()) + 6 * posts * envelope; sent != formula)
          throw UsageError("sent " + std::to_string(sent) + " bytes, the formula says " + std::to_string(formula));
      },
      layout.nodes);
  for (const std::string& error : out.errors) CHECK(error == "");
  return out;
}

void check_equal(const Seen& seen, const Seen& reference, std::size_t skipped = 0) {
  REQUIRE(seen.fetched.size() + skipped == reference.fetched.size());
  for (std::size_t t = 0; t < seen.fetched.size(); ++t) {
    CAPTURE(t);
    REQUIRE(seen.fetched[t].size() == reference.fetched[t + skipped].size());
    CHECK(std::memcmp(seen.fetched[t].data(), reference.fetched[t + skipped].data(), seen.fetched[t].size() * sizeof(float)) == 0);
  }
}

const std::vector<Layout> kLayouts = {
    {{0, 1}}, {{0, 0, 1}}, {{1, 0, 1}}, {{0, -1, 1, 1, 0}}, {{0, 0, 0, 0, 0, 1, 1}}, {{0, 1, 0, 1}, 2}, {{0, 0, 1, 1, 0, -1}, 3}};

std::filesystem::path write(const Folder& folder, const std::string& name, const std::string& bytes) {
  std::filesystem::create_directories(folder.path);
  std::ofstream(folder.path / name, std::ios::binary) << bytes;
  return folder.path / name;
}

}  // namespace

TEST_CASE("a sharded store gives the bits of a replicated one, with time and without, and sends what the formula says") {
  for (const bool has_time : {false, true}) {
    const Seen reference = run({.task_of = {0, 1}, .is_sharded = false, .has_time = has_time}, {});
    REQUIRE(reference.fetched.size() == 7);
    CHECK(std::count(reference.fetched[6].begin(), reference.fetched[6].end(), 1.0f) > 80);
    for (Layout layout : kLayouts) {
      CAPTURE(has_time, layout.task_of.size(), layout.nodes);
      layout.has_time = has_time;
      const Seen seen = run(layout, {.advances = layout.task_of.size() != 3});
      check_equal(seen, reference);
      for (std::size_t w = 0; w < 2; ++w) {
        CHECK(seen.places[w].trained == reference.places[w].trained);
        for (std::size_t i = 0; i < seen.places[w].positions.size(); ++i)
          CHECK((seen.places[w].positions[i] >= 0) == (reference.places[w].positions[i] >= 0));
      }
    }
  }
}

TEST_CASE("rows in fewer bytes are the same in both forms, at any number of ranks, and the formula says how many") {
  const Seen exact = run({.task_of = {0, 1}, .is_sharded = false}, {});
  for (const RowWire wire : {RowWire::bf16, RowWire::int8}) {
    const Seen reference = run({.task_of = {0, 1}, .is_sharded = false, .wire = wire}, {});
    CHECK(reference.fetched[6] != exact.fetched[6]);
    for (Layout layout : kLayouts) {
      layout.wire = wire;
      check_equal(run(layout, {}), reference);
    }
  }
}

TEST_CASE("a checkpoint of either form, at any number of ranks, goes on in the other at another number") {
  const Folder folder;
  for (const bool has_time : {false, true}) {
    CAPTURE(has_time);
    const Seen reference = run({.task_of = {0, 1}, .is_sharded = false, .has_time = has_time}, {.saves_at = 3});
    std::vector<std::string> files = {reference.checkpoint};
    for (Layout layout : std::vector<Layout>{{{0, 1}}, {{0, -1, 1, 1, 0}}}) {
      layout.has_time = has_time;
      files.push_back(run(layout, {.saves_at = 3}).checkpoint);
      CHECK(files.back().size() == files[0].size());
    }
    for (std::size_t f = 0; f < files.size(); ++f) {
      const auto path = write(folder, "store_" + std::to_string(f) + std::to_string(has_time) + ".safetensors", files[f]);
      for (Layout layout : std::vector<Layout>{{{0, 1}, 1, false}, {{1, 0}}, {{0, 0, 1}}, {{0, 0, 1, -1, 1}}}) {
        CAPTURE(f, layout.task_of.size(), layout.is_sharded);
        layout.has_time = has_time;
        check_equal(run(layout, {.first = 4, .resumes = path}), reference, 4);
      }
    }
  }
}

TEST_CASE("a checkpoint of other entities or another width is refused by a sharded store") {
  const Folder folder;
  const Seen saved = run({.task_of = {0, 1}, .is_sharded = false}, {.saves_at = 3});
  const auto path = write(folder, "store.safetensors", saved.checkpoint);
  const auto error_of = [&](int people_of_a, const std::string& kind, std::int64_t width) {
    return run_ranks(2, [&](Communicator& world) {
      Publisher own = people("a", people_of_a, false);
      if (kind == "other")
        for (EntityId& id : own.ids) id += 1;
      ShardedStore store(world, {"a", "b"}, world.rank(), world.rank() == 0 ? own : people("b", 50, false), {.width = width});
      store.locate({});
      const SafetensorsFile file(path);
      store.restore(file, file.metadata().at("state"));
    });
  };
  CHECK_THAT(error_of(91, "", kWidth)[0], Catch::Contains("rows of a are [90, 3], this store has [91, 3]"));
  CHECK_THAT(error_of(90, "", 4)[0], Catch::Contains("this store has [90, 4]"));
  CHECK_THAT(error_of(90, "other", kWidth)[0], Catch::Contains("of other entities"));
}

TEST_CASE("what a sharded store takes is what the formula says") {
  const auto errors = run_ranks(3, [](Communicator& world) {
    const Publisher own = people(world.rank() == 0 ? "a" : "b", world.rank() == 0 ? 90 : 50, true), listener = people("own", 120, true);
    ShardedStore store(world, {"a", "b"}, world.rank() == 0 ? 0 : 1, own, {.width = kWidth});
    const auto places = store.locate({{0, listener.keys()}, {1, listener.keys()}});
    ShardKeyCounts counts{.published = static_cast<std::int64_t>(own.ids.size())};
    for (const KeyPlaces& each : places)
      counts.read += std::count_if(each.positions.begin(), each.positions.end(), [](auto p) { return p >= 0; });
    for (const auto& [task, number] : {std::pair("a", 90), std::pair("b", 50)})
      for (const EntityId id : people(task, number, true).ids)
        if (ShardedStore::owner_of(id, world.size()) == world.rank()) ++counts.owned;
    counts.read_by = 3 * (counts.owned * 3 / 4);  // every key but each entity's last period is read, by three ranks
    const std::vector<std::int64_t> own_keys;
    const StoreNeed need = sharded_need({{360, 200}, true, kWidth}, counts, own_keys, world.rank() == 0);
    if (need.rows != store.bytes()) throw UsageError("formula " + std::to_string(need.rows) + ", store " + std::to_string(store.bytes()));
    if ((need.checkpoint > 0) != (world.rank() == 0)) throw UsageError("a checkpoint is put together by rank 0");
  });
  for (const std::string& error : errors) CHECK(error == "");
}

TEST_CASE("auto takes the sharded form where the replicated one would be larger than 64 MiB") {
  const StoreSize small{{100000, 1000000}, false, 8}, large{{1000000, 600000}, false, 8};
  CHECK_FALSE(is_sharded("auto", small, 4));
  CHECK(is_sharded("auto", large, 4));
  CHECK_FALSE(is_sharded("auto", large, 1));
  CHECK_FALSE(is_sharded("replicated", large, 4));
  CHECK(is_sharded("sharded", small, 4));
}
