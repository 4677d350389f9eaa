// The store of representations: for each task that publishes, one vector for each of its entities. At a tick every rank posts what it has
// seen since the last one; what was posted is applied at the next tick. Two forms of it give the same bits: replicated_store.hpp, where a
// rank keeps the rows of all publishers, and sharded_store.hpp, where it keeps those of its own buckets and fetches what it reads.
#pragma once
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/io/named_tensor.hpp>
#include <chorale/core/io/safetensors_file.hpp>
#include <chorale/train/collab/entity.hpp>
#include <chorale/train/collab/entity_sums.hpp>

namespace chorale {

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
  RowWire wire = RowWire::f32;  // of what is posted and of rows that are read
};

/// What makes raw rows comparable: mean and deviation of each column over the publisher's rows, with time over those before
/// Publisher::scale_before.
struct ColumnScale {
  std::vector<double> mean, deviation;
};

/// Rows that a listener will fetch.
struct WantedKeys {
  int publisher = 0;  // in the store
  EntityKeys keys;    // its own, of which the newest earlier period is meant where there is time
};

struct KeyPlaces {
  std::vector<std::int32_t> positions;  // by wanted key, for Store::fetch(); -1: the publisher does not know it
  std::vector<std::uint8_t> trained;    // by wanted key: whether the publisher trains on the entity, in any period
};

/// One thread a rank; collective calls come in the same order on all ranks of the store's communicator.
class Store {
 public:
  virtual ~Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// Collective, once: where this rank's wanted keys are, in their order.
  virtual std::vector<KeyPlaces> locate(const std::vector<WantedKeys>& wanted) = 0;
  /// Collective: begins to send what this rank has seen of its task's entities, by position among the publisher's keys; publisher -1: it
  /// publishes nothing. Nothing may be pending.
  virtual void post(int publisher, const EntitySums& seen) = 0;
  /// Collective: waits until what was posted is here, without applying it: state() holds it then.
  virtual void settle() = 0;
  /// Nobody will ask for the state before complete(): what was posted may be applied ahead, where that takes messages. Until then readers
  /// get the rows of now.
  virtual void release() {}
  /// Pushes on what is under way, without waiting.
  virtual void advance() = 0;
  /// Collective: waits for what was posted and applies it. version() grows by one; without a pending post nothing happens.
  virtual void complete() = 0;
  virtual bool is_pending() const = 0;
  /// Number of completed posts.
  std::int64_t version() const { return version_; }

  /// Collective, after settle() and before release(): state() is ready on rank 0.
  virtual void gather_state() {}
  /// What a checkpoint keeps: rows, whose they are, scales and what is posted; the same for any number of ranks and either form, but for
  /// the order of what is posted. On rank 0, after gather_state(), and valid until the next call or post.
  virtual std::vector<NamedTensor> state() = 0;
  /// Text for the same: version, and whether something is pending.
  std::string state_text() const;
  /// Collective, after locate(). Throws CheckpointError for the state of other publishers or another width.
  virtual void restore(const SafetensorsFile& file, const std::string& text) = 0;

  /// Of keys and rows, without what is under way.
  virtual std::int64_t bytes() const = 0;
  /// "replicated" or "sharded".
  virtual std::string_view form() const = 0;
  /// Names of the publishers, in their order.
  const std::vector<std::string>& tasks() const { return tasks_; }
  const StoreOptions& options() const { return options_; }
  /// The row at a place that locate() gave, as it travels, `width` values; with time that of an older period of the same entity where this
  /// one is not there yet. False, and zeros, where there is none or position is -1.
  virtual bool read(int publisher, std::int32_t position, float* out) const = 0;
  /// The same normalised: clip((r - m) / s, -4, 4) / sqrt(width), `width` values. False, and zeros, where there is none. T is float or
  /// double.
  template <class T>
  bool fetch(int publisher, std::int32_t position, T* out) const;
  const ColumnScale& scale(int publisher) const { return scales_[static_cast<std::size_t>(publisher)]; }

 protected:
  Store(std::vector<std::string> tasks, const StoreOptions& options);
  /// "3 pending": sets version(). Returns whether something is pending. Throws CheckpointError.
  bool read_state_text(const SafetensorsFile& file, const std::string& text);
  void read_scale(const SafetensorsFile& file, std::size_t publisher);
  /// What a checkpoint keeps of one publisher; all must outlive the tensors. Empty periods: without time.
  struct KeptTable {
    const std::vector<EntityId>& ids;
    const std::vector<std::int32_t>& periods;
    const std::vector<std::uint8_t>& present;
    const std::vector<float>& rows;
    const std::vector<std::int32_t>& posted;
  };
  void append_state(std::vector<NamedTensor>& out, std::size_t publisher, const KeptTable& table) const;
  std::vector<std::string> tasks_;
  StoreOptions options_;
  std::vector<ColumnScale> scales_;
  std::int64_t version_ = 0;

 private:
  mutable std::vector<float> found_;  // of fetch()
};

}  // namespace chorale
