// Entities that several tasks have in common, drawn alike on all ranks, and where this task's table speaks of them: what distillation and
// the affinity matrix are computed on. Rows of the validation and test parts are no probes: nothing is learnt on them, not even without
// label.
#pragma once
#include <cstdint>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/nn/module.hpp>
#include <chorale/train/collab/task_info.hpp>

namespace chorale {

struct ProbeRows {
  std::vector<EntityId> ids;       // rising
  std::vector<std::int64_t> rows;  // of TaskRows::all: the first of that entity
};
/// Every entity of the table with a row in neither the validation nor the test part.
ProbeRows probe_rows(const TaskRows& rows);
/// Those of `wanted` (rising), which must be there.
ProbeRows only(const ProbeRows& all, const std::vector<EntityId>& wanted);

/// Ids of each task, from its first rank. Collective over all tasks, blocks.
std::vector<std::vector<EntityId>> gather_ids(Communicator& sharing, int number, std::size_t tasks, const std::vector<EntityId>& mine);
/// Rising.
std::vector<EntityId> in_common(const std::vector<EntityId>& a, const std::vector<EntityId>& b);
/// Where `wanted` lie in `ids`, both rising and without time; -1: not there.
std::vector<std::int32_t> places_of(const std::vector<EntityId>& wanted, const std::vector<EntityId>& ids);
/// `count` of them at most, drawn by the seed; rising.
std::vector<EntityId> draw(const std::vector<EntityId>& ids, std::int64_t count, std::uint64_t seed);

/// Floats as words of a TickGather and back.
void append_floats(std::vector<std::int32_t>& words, const Tensor& values);

}  // namespace chorale
