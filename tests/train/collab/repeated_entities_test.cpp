// Rows of one entity that contradict each other: which tables may have such.
#include <catch2/catch.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/train/data/repeated_entities.hpp>

using namespace chorale;

namespace {

/// Entities 1 to n, one row each, which say their number; then rows of these entities that say what is given.
struct Rows {
  std::vector<EntityId> ids;
  std::vector<std::uint64_t> contents;
  explicit Rows(std::uint64_t n, const std::vector<std::pair<EntityId, std::uint64_t>>& more = {}) {
    for (std::uint64_t i = 1; i <= n; ++i) ids.push_back(i), contents.push_back(i);
    for (const auto& [id, content] : more) ids.push_back(id), contents.push_back(content);
  }
  std::vector<std::pair<std::int64_t, std::int64_t>> found(Repeats rule, const std::vector<std::int32_t>& periods = {}) const {
    std::vector<std::pair<std::int64_t, std::int64_t>> out;
    for (const Contradiction& each : contradictions(ids, periods, contents, rule)) out.emplace_back(each.first, each.other);
    return out;
  }
};

using Found = std::vector<std::pair<std::int64_t, std::int64_t>>;

}  // namespace

TEST_CASE("where one row an entity is the rule, rows that differ are a contradiction, and equal ones are not") {
  const Rows rows(300, {{17, 17}, {20, 1}, {20, 2}, {5, 9}});
  CHECK(rows.found(Repeats::automatic) == Found{{4, 303}, {19, 301}});
  CHECK(rows.found(Repeats::refuse) == Found{{4, 303}, {19, 301}});
  CHECK(rows.found(Repeats::allow).empty());
  CHECK(Rows(300).found(Repeats::refuse).empty());
}

TEST_CASE("a table of events, of few entities or with a time is not held against one row an entity, unless that is asked for") {
  const Rows events(300, {{1, 9}, {2, 9}, {3, 9}, {4, 9}});  // more than one in a hundred
  CHECK(events.found(Repeats::automatic).empty());
  CHECK(events.found(Repeats::refuse).size() == 4);
  const Rows few(19, {{1, 9}});
  CHECK(few.found(Repeats::automatic).empty());
  CHECK(few.found(Repeats::refuse).size() == 1);
  Rows timed(300, {{1, 9}, {2, 9}});
  std::vector<std::int32_t> periods(302, 7);
  periods[300] = 8;  // another period than entity 1's first row
  CHECK(timed.found(Repeats::automatic, periods).empty());
  CHECK(timed.found(Repeats::refuse, periods) == Found{{1, 301}});
}

TEST_CASE("rows without an entity contradict nothing") {
  const Rows rows(300, {{kNoEntity, 1}, {kNoEntity, 2}});
  CHECK(rows.found(Repeats::refuse).empty());
  CHECK_THROWS_AS(parse_repeats("never"), UsageError);
}
