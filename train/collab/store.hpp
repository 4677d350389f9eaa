// The store of representations: for each task that publishes, one vector for each of its entities. At a tick every rank posts what it has
// seen since the last one; what was posted is applied at the next tick, on all ranks alike.
// A rank keeps the rows of all publishers (`replicated`).
#pragma once
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/io/named_tensor.hpp>
#include <chorale/core/io/safetensors_file.hpp>
#include <chorale/train/collab/entity.hpp>
#include <chorale/train/collab/entity_sums.hpp>
#include <chorale/train/collab/tick_gather.hpp>

namespace chorale {

/// Equal on all ranks.
struct Publisher {
  std::string task;
  std::vector<EntityId> ids;                                             // rising
  std::vector<std::int32_t> periods = {};                                // by key, rising within an id; empty: without time
  std::int32_t scale_before = std::numeric_limits<std::int32_t>::max();  // rows of this period and later do not count for the scale
  std::vector<std::uint8_t> trained = {};                                // by key: 1 where a training row of the task has it
  EntityKeys keys() const { return {ids, periods}; }
};

struct StoreOptions {
  std::int64_t width = 8;
  double keep = 0;  // of an old row when a new one comes: r <- keep r + (1 - keep) S / n. 0 for static features, 0.7 for event streams
};

/// What makes raw rows comparable: mean and deviation of each column over the publisher's rows, with time over those before
/// Publisher::scale_before.
struct ColumnScale {
  std::vector<double> mean, deviation;
};

/// One thread a rank; collective calls come in the same order on all ranks of `comm`.
class Store {
 public:
  /// comm: of sharing alone; outlives the store.
  Store(Communicator& comm, std::vector<Publisher> publishers, const StoreOptions& options);
  /// Collective: begins to send what this rank has seen of its task's entities; publisher -1: it publishes nothing. Nothing may be
  /// pending.
  void post(int publisher, const EntitySums& seen);
  /// Collective: waits until what was posted is here, without applying it: state() holds it then.
  void settle() { gather_.settle(); }
  /// Pushes on what is under way, without waiting.
  void advance() { gather_.advance(); }
  /// Collective: waits for what was posted and applies it. version() grows by one; without a pending post nothing happens.
  void complete();
  bool is_pending() const { return gather_.is_pending() || is_restored_; }
  /// Number of completed posts.
  std::int64_t version() const { return version_; }

  /// What a checkpoint keeps: rows, whose they are, scales and what is posted; equal on all ranks, the same for any number of them. After
  /// settle(), and valid until the next call.
  std::vector<NamedTensor> state();
  /// Text for the same: version, and whether something is pending.
  std::string state_text() const;
  /// Throws CheckpointError for the state of other publishers or another width.
  void restore(const SafetensorsFile& file, const std::string& text);

  /// Of keys and rows, without what is under way.
  std::int64_t bytes() const;
  const std::vector<Publisher>& publishers() const { return publishers_; }
  const StoreOptions& options() const { return options_; }
  /// The row at `position` of a publisher, normalised: clip((r - m) / s, -4, 4) / sqrt(width), `width` values; with time that of
  /// an older period of the same entity where this one is not there yet. False, and zeros, where there is none or position is -1. T is
  /// float or double.
  template <class T>
  bool fetch(int publisher, std::int32_t position, T* out) const;
  const ColumnScale& scale(int publisher) const { return tables_[static_cast<std::size_t>(publisher)].scale; }
  /// Rows that are there.
  std::int64_t rows(int publisher) const { return tables_[static_cast<std::size_t>(publisher)].present_count; }
  /// As published, [entities, width]; zeros where there is none.
  std::span<const float> raw(int publisher) const { return tables_[static_cast<std::size_t>(publisher)].rows; }

 private:
  struct Table {
    std::vector<float> rows;            // [entities, width]
    std::vector<std::uint8_t> present;  // by entity
    ColumnScale scale;
    std::int64_t present_count = 0;
    std::vector<std::int32_t> posted;  // words of entries that are here and not applied, for a checkpoint or from one
  };
  void apply(int publisher, std::span<const std::int32_t> entries);
  void rescale(int publisher);
  std::int32_t newest_there(int publisher, std::int32_t position) const;
  void check_posted(std::size_t publisher, const SafetensorsFile& file) const;

  TickGather gather_;
  std::vector<Publisher> publishers_;
  StoreOptions options_;
  std::vector<Table> tables_;
  std::int64_t version_ = 0;
  bool is_restored_ = false;  // tables hold what was posted before
};

}  // namespace chorale
