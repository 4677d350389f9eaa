// The upper bound of a study: the raw features of peers put beside a task's own, by entity, as if all tables were in one place.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/data/matrix_dataset.hpp>
#include <chorale/train/collab/entity.hpp>

namespace chorale {

/// A peer's table as it was encoded for the peer's own model.
struct PooledPeer {
  FeatureMatrix matrix;
  std::vector<EntityId> entity_of_row;     // of the kind in common
  std::vector<std::int32_t> periods = {};  // by row; empty: without time
};

/// [entities, features + 1]: the mean of a peer's rows about each entity of their index, then 1.
std::vector<double> entity_means(const PooledPeer& peer, const EntityIndex& index);

/// The task's features, then for each peer the mean of its rows about the entity (0 where it has none) and one column that says whether it
/// has any. own_entities: by peer, by row of the task's table. Throws UsageError for a matrix that lies in a file: raise data.memory.
FeatureMatrix pool_features(const FeatureMatrix& own, const std::vector<std::vector<EntityId>>& own_entities,
                            std::span<const std::int32_t> own_periods, const std::vector<PooledPeer>& peers);

}  // namespace chorale
