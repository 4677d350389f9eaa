// Rows that a collaboration has published, read again: of one version, for whoever was trained with them and no others.
#include <catch2/catch.hpp>

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/tensor_dataset.hpp>
#include <chorale/core/io/safetensors_image.hpp>
#include <chorale/train/collab/replicated_store.hpp>
#include <chorale/train/collab/fetched_rows.hpp>
#include <chorale/train/collab/pinned_rows.hpp>

using namespace chorale;

namespace {

constexpr std::int64_t kWidth = 2;

EntityId person(int i) { return entity_id("person", std::to_string(i)); }

std::vector<EntityId> people(int first, int last) {
  std::vector<EntityId> ids;
  for (int i = first; i < last; ++i) ids.push_back(person(i));
  std::sort(ids.begin(), ids.end());
  return ids;
}

/// A store of two tasks in a folder, and a listener that was trained with persons 0 to 9 of it.
struct Published {
  std::filesystem::path folder = std::filesystem::temp_directory_path() / ("chorale_pinned_" + std::to_string(::getpid()));
  std::unique_ptr<Communicator> comm = make_self_communicator();
  ReplicatedStore store{*comm, {{"a", people(0, 20)}, {"b", people(0, 5)}}, {.width = kWidth, .keep = 0.5}};
  FetchedRows fetched{store, {source(0), source(1)}};
  Published() { std::filesystem::create_directories(folder); }
  ~Published() { std::filesystem::remove_all(folder); }

  FetchSource source(int publisher) const {
    const std::vector<EntityId> mine = people(0, 10);
    return {.publisher = publisher,
            .kind = "person",
            .of_row = {},
            .positions = positions_of({.ids = mine}, store.publisher(publisher).keys()),
            .ids = mine};
  }
  /// Both tasks publish something of all of their entities that the number decides; it is applied.
  void tick(std::int32_t number) {
    for (int p = 0; p < 2; ++p) {
      EntitySums sums(kWidth);
      const auto count = static_cast<std::int32_t>(store.publisher(p).ids.size());
      for (std::int32_t e = 0; e < count; ++e) {
        const float vector[] = {static_cast<float>((e * (number + 3)) % 11), static_cast<float>((e + number) % 3)};
        sums.add(e, 0, vector);
      }
      store.post(p, sums);
      store.complete();
    }
    fetched.refresh();
  }
  SafetensorsFile file(const std::string& name, const std::vector<NamedTensor>& tensors, const std::string& state) const {
    SafetensorsImage(tensors, {{"state", state}}).write(folder / name);
    return SafetensorsFile(folder / name);
  }
  SafetensorsFile store_file() { return file("store", store.state(), store.state_text()); }
  SafetensorsFile task_file() { return file("task", fetched.state(), "-"); }
  PinnedVersion version() const {
    PinnedVersion out;
    out.width = kWidth, out.kinds = {"person"}, out.sources = {{"a", "person"}, {"b", "person"}};
    out.best = {fetched.kept_version(), fetched.kept_hash(), {true, true}};
    out.last = {fetched.version(), fetched.hash(), {true, false}};
    return out;
  }
};

}  // namespace

TEST_CASE("published rows are read again as a peer would read them, what was posted last included where the run is over") {
  Published p;
  p.tick(1);
  EntitySums sums(kWidth);
  const float late[] = {7, -7};
  sums.add(3, 0, late);
  p.store.post(0, sums);
  p.store.settle();
  const SafetensorsFile file = p.store_file();
  const PublishedRows before(file, {.keep = 0.5}, false), after(file, {.keep = 0.5}, true);
  CHECK(before.tasks() == std::vector<std::string>{"a", "b"});
  CHECK(before.version() + 1 == after.version());
  CHECK(before.hash({"a"}) != after.hash({"a"}));
  CHECK(before.hash({"a"}) != before.hash({"a", "b"}));
  const auto check = [&](const PublishedRows& rows) {
    for (int i = 0; i < 25; ++i) {
      float expected[kWidth], found[kWidth];
      const std::vector<EntityId>&ids = p.store.publisher(0).ids, one = {person(i)};
      const auto at = positions_of({.ids = one}, {.ids = ids})[0];
      CHECK(rows.fetch("a", person(i), found) == p.store.fetch(0, at, expected));
      CHECK(std::equal(found, found + kWidth, expected));
    }
  };
  check(before);
  p.store.complete();
  check(after);
  float none[kWidth] = {1, 1};
  CHECK(!before.fetch("c", person(1), none));
  CHECK(none[0] == 0);
  CHECK(!before.fetch("a", kNoEntity, none));
}

TEST_CASE("a task is scored with the rows of its version, and rows of another one are refused with both named") {
  Published p;
  p.tick(1);
  p.fetched.keep();
  p.tick(2);
  const PinnedVersion version = PinnedVersion::from_json(p.version().to_json());
  CHECK(version.best.hash != version.last.hash);
  const SafetensorsFile store = p.store_file(), task = p.task_file();
  const PinnedRows last(version, task, store, {.keep = 0.5}, false), best(version, task, store, {.keep = 0.5}, true);
  float row[kWidth], now[kWidth];
  const std::vector<EntityId> four = {person(4)};
  CHECK(last.fetch(0, person(4), row));
  p.store.fetch(0, positions_of({.ids = four}, p.store.publisher(0).keys())[0], now);
  CHECK(std::equal(row, row + kWidth, now));
  CHECK(last.fetch(0, person(15), row));   // not the task's own, but of the same version in the store
  CHECK(!best.fetch(0, person(15), row));  // the store has gone on
  CHECK(row[0] == 0);
  CHECK(!last.fetch(1, person(7), row));  // b does not know it
  CHECK(!last.fetch(0, person(99), row));
  p.tick(3);
  const SafetensorsFile newer = p.file("newer", p.store.state(), p.store.state_text());
  CHECK_THROWS_WITH(PinnedRows(version, task, newer, {.keep = 0.5}, false),
                    Catch::Contains("trained with version 4 of its peers' rows (hash " + version.last.hash) &&
                        Catch::Contains("this tick holds version 6 (hash "));
  CHECK_NOTHROW(PinnedRows(version, task, newer, {.keep = 0.5}, true));  // kept rows are the task's own
  PinnedVersion wide = version;
  wide.width = 3;
  CHECK_THROWS_WITH(PinnedRows(wide, task, store, {.keep = 0.5}, false),
                    Catch::Contains("rows of width 2") && Catch::Contains("rows of width 3"));
}

TEST_CASE("a store that does not say whose its rows are is refused") {
  Published p;
  p.tick(1);
  std::vector<NamedTensor> without;
  for (const NamedTensor& t : p.store.state())
    if (t.name != "a.ids") without.push_back(t);
  CHECK_THROWS_AS(PublishedRows(p.file("old", without, p.store.state_text()), {.keep = 0.5}, true), CheckpointError);
}

TEST_CASE("rows of any table get the vectors of their entities, and those that nobody knows are counted") {
  Published p;
  p.tick(1);
  auto rows = std::make_shared<TensorDataset>(3);
  rows->add("x", {1}, {1, 2, 3});
  const auto pinned = std::make_shared<const PinnedRows>(p.version(), p.task_file(), p.store_file(), StoreOptions{.keep = 0.5}, false);
  const PinnedDataset data(rows, pinned, {{person(4), kNoEntity, person(99)}});
  CHECK(data.fields().back().row_shape == Shape({2 * kWidth}));
  CHECK(data.unseen() == 2);
  std::vector<float> shared(3 * 2 * kWidth);
  const std::vector<std::int64_t> all = {0, 1, 2};
  data.gather(1, all, shared.data());
  CHECK(std::any_of(shared.begin(), shared.begin() + 2 * kWidth, [](float v) { return v != 0; }));
  CHECK(std::all_of(shared.begin() + 2 * kWidth, shared.end(), [](float v) { return v == 0; }));
}

TEST_CASE("keys that were numbers are the same whichever way a file writes them") {
  const ColumnChunk words{.numbers = {}, .codes = {0, 1, 2, -1}, .dictionary = {"17.0", "17", "C17"}};
  const auto numbers = entity_ids_of_words("person", words, 4, ColumnType::number);
  CHECK(numbers == std::vector<EntityId>{person(17), person(17), entity_id("person", "C17"), kNoEntity});
  CHECK(entity_ids_of_words("person", words, 4, ColumnType::text)[0] == entity_id("person", "17.0"));
}

TEST_CASE("with time a row hears what was known before its period, and of a later one what was known at its entity's last row") {
  Published p;
  std::vector<EntityId> ids;
  std::vector<std::int32_t> periods;
  for (const EntityId id : people(0, 3))
    for (const std::int32_t period : {0, 2, 5}) ids.push_back(id), periods.push_back(period);
  ReplicatedStore store(*p.comm, {{"a", ids, periods}}, {.width = kWidth});
  const auto publish = [&](float number) {
    EntitySums sums(kWidth);
    for (std::int32_t key = 0; key < 9; ++key) {
      const float vector[] = {number * static_cast<float>(periods[static_cast<std::size_t>(key)] + 1), static_cast<float>(key % 4)};
      sums.add(key, 0, vector);
    }
    store.post(0, sums);
    store.complete();
  };
  const EntityId one = person(1);
  const std::vector<EntityId> own = {one, one};
  const std::vector<std::int32_t> own_periods = {1, 3};  // hears of periods 0 and 2
  FetchedRows fetched(store, {{.publisher = 0,
                               .kind = "person",
                               .of_row = {0, 1},
                               .positions = positions_before({own, own_periods}, store.publisher(0).keys()),
                               .ids = own,
                               .periods = own_periods}});
  publish(1);
  fetched.refresh();
  fetched.keep();
  PinnedVersion version;
  version.width = kWidth, version.has_time = true, version.kinds = {"person"}, version.sources = {{"a", "person"}};
  version.best = {fetched.kept_version(), fetched.kept_hash(), {true}};
  const auto row_at = [&](std::int32_t period) {
    std::vector<float> row(kWidth);
    const auto at = positions_before({.ids = std::span(&one, 1), .periods = std::span(&period, 1)}, store.publisher(0).keys())[0];
    store.fetch(0, at, row.data());
    return row;
  };
  const std::vector<float> first = row_at(1), second = row_at(3), third = row_at(6);
  CHECK(first != second);
  CHECK(second != third);
  const auto pinned = [&] {
    version.last = {fetched.version(), fetched.hash(), {true}};
    return PinnedRows(version, p.file("task_of_periods", fetched.state(), "-"), p.file("periods", store.state(), store.state_text()), {},
                      true);
  };
  const auto heard = [&](const PinnedRows& rows, std::int32_t period) {
    std::vector<float> row(kWidth);
    rows.fetch(0, one, row.data(), period);
    return row;
  };
  const PinnedRows same = pinned();
  for (const std::int32_t period : {1, 2}) CHECK(heard(same, period) == first);
  CHECK(heard(same, 3) == second);
  CHECK(heard(same, 9) == third);  // the store is of the same version, and knows of period 5
  CHECK(heard(same, 0) == std::vector<float>(kWidth));
  CHECK(PublishedRows(p.file("periods", store.state(), store.state_text()), {}, false).has_time());
  publish(2);
  fetched.refresh();
  const PinnedRows gone_on = pinned();
  CHECK(heard(gone_on, 1) == first);
  CHECK(heard(gone_on, 2) == first);  // its newest row until then is of period 1
  CHECK(heard(gone_on, 9) == second);
  CHECK(heard(gone_on, 0) == std::vector<float>(kWidth));
}
