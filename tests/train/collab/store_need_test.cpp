#include <catch2/catch.hpp>

#include <algorithm>

#include <chorale/core/base/error.hpp>
#include <chorale/train/collab/fetched_rows.hpp>
#include <chorale/train/collab/published_keys.hpp>
#include <chorale/train/collab/replicated_store.hpp>
#include <chorale/train/collab/store_need.hpp>

using namespace chorale;

TEST_CASE("what store and fetched rows take is what the formula says, with time and without") {
  for (const bool has_time : {false, true}) {
    CAPTURE(has_time);
    std::vector<EntityId> by_row;
    std::vector<std::int32_t> periods;
    for (std::uint64_t i = 0; i < 700; ++i) by_row.push_back(1 + i % 130), periods.push_back(static_cast<std::int32_t>(i / 100));
    const EntityIndex index = index_entities(by_row, has_time ? std::span<const std::int32_t>(periods) : std::span<const std::int32_t>());
    const std::int64_t keys = has_time ? 700 : 130, width = 5;
    const Publisher first{.task = "a", .ids = index.ids, .periods = index.periods, .trained = std::vector<std::uint8_t>(index.ids.size())};
    Publisher second = first;
    second.task = "b";
    const std::vector<Publisher> publishers = {first, second};
    auto world = make_thread_communicators(1);
    const ReplicatedStore store(*world[0], publishers, {.width = width});
    const FetchSource source{
        .publisher = 1, .kind = "k", .of_row = index.of_row, .positions = positions_before(index.keys(), first.keys())};
    const FetchedRows fetched(store, {source, source, source});
    const StoreNeed need = store_need({{keys, keys}, has_time, width}, std::vector<std::int64_t>{keys, keys, keys});
    CHECK(need.rows == 2 * keys * (has_time ? 14 + 4 * width : 10 + 4 * width));
    CHECK(store.bytes() == need.rows);
    CHECK(need.fetched == 3 * keys * (4 + 8 * width));
    CHECK(fetched.bytes() == need.fetched);
  }
}

TEST_CASE("a store beyond the node's limit is refused with both numbers") {
  const StoreNeed need{.rows = 3000000000, .fetched = 1000000000};
  CHECK_NOTHROW(check_store_memory(need, {4000000000, "the control group"}, false));
  CHECK_NOTHROW(check_store_memory(need, {1, ""}, false));
  CHECK_THROWS_WITH(check_store_memory(need, {2000000000, "the control group"}, false),
                    Catch::Contains("need 4.0 GB on this node (3.0 GB of all publishers, one copy a rank, 1.0 GB fetched), but the control "
                                    "group allows 2.0 GB"));
}
