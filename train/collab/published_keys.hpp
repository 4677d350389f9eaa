// Which entities, or entities in periods, a task publishes of, and which of them it has trained on.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/data/dataset.hpp>
#include <chorale/train/collab/fetched_rows.hpp>
#include <chorale/train/collab/task_info.hpp>

namespace chorale {

/// indexes: by kind, of the rows of the task's table, whose numbers the row_id() of `train` gives.
Publisher make_publisher(const std::string& task, const std::vector<EntityIndex>& indexes, const Dataset& train, std::int32_t scale_before);

/// Collective over all tasks: publishers in the order of the tasks, equal on all ranks. own: that of this rank's task `number`.
std::vector<Publisher> gather_publishers(Communicator& sharing, const std::vector<TaskInfo>& tasks, int number, const Publisher& own);

/// One permutation of a publisher's keys for a control, the same for all listeners. With time a key stays within its period, or a listener
/// would hear what comes after its own rows.
std::vector<std::int32_t> shuffled_keys(const Publisher& publisher, std::uint64_t seed);

/// Entities of the test part that one of the sources' publishers trains on, in any period. kinds: number of each source's kind among
/// `indexes`; trained: by source, by key of that index, as Store::locate() says it.
std::int64_t count_trained_by_peers(const std::vector<EntityIndex>& indexes, const Dataset* test, const std::vector<std::size_t>& kinds,
                                    const std::vector<std::vector<std::uint8_t>>& trained);

}  // namespace chorale
