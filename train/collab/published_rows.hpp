// What a collaboration has published, opened again from a checkpoint: normalised vectors of entities by task, of one version. Whoever was
// trained with them is scored with them, and with no others.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/io/safetensors_file.hpp>
#include <chorale/train/collab/replicated_store.hpp>

namespace chorale {

/// One thread.
class PublishedRows {
 public:
  /// file: store.safetensors of a tick, which says the width; options: the rest of its collaboration's. is_final: what was posted last is
  /// applied, as at the end of a run. Throws CheckpointError where it is none, or was written before ids were.
  PublishedRows(const SafetensorsFile& file, StoreOptions options, bool is_final);
  /// In the order of names.
  std::vector<std::string> tasks() const;
  bool has(const std::string& task) const { return number_of(task) >= 0; }
  std::int64_t width() const { return store_->options().width; }
  /// Completed posts: what Store::version() says.
  std::int64_t version() const { return store_->version(); }
  std::int64_t entities(const std::string& task) const;
  /// Of the rows of these tasks with their ids and scales, as tensors_hash.
  std::string hash(const std::vector<std::string>& tasks) const;
  /// Whether an entity has a row for each period.
  bool has_time() const;
  /// width() values; false, and zeros, where the task has published nothing of the entity; with time nothing in a period before this one.
  bool fetch(const std::string& task, EntityId entity, float* out, std::int32_t period = 0) const;

 private:
  int number_of(const std::string& task) const;
  std::unique_ptr<Communicator> comm_;
  std::unique_ptr<ReplicatedStore> store_;
  std::vector<NamedTensor> state_;
};

}  // namespace chorale
