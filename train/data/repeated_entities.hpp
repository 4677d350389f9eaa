// Several rows of one entity: events, or a table of one row an entity that says two things of some of them.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/train/collab/entity.hpp>
#include <chorale/train/data/shared_table.hpp>

namespace chorale {

enum class Repeats : std::uint8_t {
  automatic,  // refused where one row an entity is the rule, in 99 of 100 and a table of 20 entities at least, and rows have no time
  refuse,
  allow,  // rows are events
};
/// "auto", "refuse", "allow". Throws UsageError.
Repeats parse_repeats(std::string_view word);

/// An entity that rows contradict each other about.
struct Contradiction {
  std::int64_t first = 0, other = 0;  // rows from 0: the first one of the entity, and the first one that differs from it
};

/// ids: by row, kNoEntity of rows that have none. periods: the same, or empty; rows of other periods contradict nothing. contents: by row
/// what a row says. By row of the first. Empty where the rule has nothing against them.
std::vector<Contradiction> contradictions(std::span<const EntityId> ids, std::span<const std::int32_t> periods,
                                          std::span<const std::uint64_t> contents, Repeats rule);

struct RepeatsCheck {
  std::string_view kind, column;          // of the entity
  std::span<const EntityId> ids;          // by row
  std::span<const std::int32_t> periods;  // by row, or empty
  std::vector<int> read;                  // columns of the table that the model reads, its targets too
  Repeats rule;
};

/// Collective. Throws DataError that names file, column, the first entities with their rows and the columns in which these differ.
void check_repeats(Communicator& comm, SharedTable& table, const RepeatsCheck& check);

}  // namespace chorale
