// What a task's own checkpoint says of the peers' rows that it was trained with, and of the model that reads them: so that it can be opened
// again, and with no other rows.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <chorale/core/nn/fused_model.hpp>

namespace chorale {

struct PinnedSource {
  std::string task, kind;
};

/// Rows of one moment.
struct RowsVersion {
  std::int64_t version = 0;  // Store::version()
  std::string hash;          // of the rows of the task's entities
  std::vector<bool> open;    // by source: whether the model listened to it
};

struct PinnedVersion {
  std::int64_t tick = 0, width = 0;
  std::vector<std::string> strategies;
  bool has_time = false;  // entities have a row for each period
  FusionOptions fusion;
  std::vector<std::string> kinds;     // of the task's entities
  std::vector<PinnedSource> sources;  // in the order of "shared"
  RowsVersion best, last;             // belonging to the best weights, where some are kept, and to the last ones
  std::string to_json() const;
  /// Throws CheckpointError.
  static PinnedVersion from_json(const std::string& text);
};

/// tables: by source, [entities, width] each.
std::string hash_of_rows(const std::vector<const std::vector<float>*>& tables, std::int64_t width);

}  // namespace chorale
