// Checkpoints of a sharded store: rank 0 puts the shards together, so that the file is that of the replicated one.
#include <algorithm>
#include <cstring>
#include <utility>

#include <chorale/core/base/error.hpp>
#include <chorale/train/collab/sharded_store.hpp>

namespace chorale {

namespace {

/// Entries with positions among all keys of the publisher.
std::vector<std::int32_t> with_global(std::vector<std::int32_t> words, const std::vector<std::int32_t>& global, std::size_t each) {
  for (std::size_t at = 0; at < words.size(); at += each) words[at] = global[static_cast<std::size_t>(words[at])];
  return words;
}

void put_together(WholeTable& whole, const std::vector<std::byte>& bytes, std::size_t& at, std::size_t width) {
  const auto global = next_values<std::int32_t>(bytes, at);
  const auto ids = next_values<EntityId>(bytes, at);
  const auto periods = next_values<std::int32_t>(bytes, at);
  const auto present = next_values<std::uint8_t>(bytes, at);
  const auto rows = next_values<float>(bytes, at);
  const auto posted = next_values<std::int32_t>(bytes, at);
  for (std::size_t i = 0; i < global.size(); ++i) {
    const auto key = static_cast<std::size_t>(global[i]);
    whole.ids[key] = ids[i], whole.present[key] = present[i];
    if (!periods.empty()) whole.periods.resize(whole.ids.size()), whole.periods[key] = periods[i];
    std::copy_n(rows.begin() + static_cast<std::ptrdiff_t>(i * width), width,
                whole.rows.begin() + static_cast<std::ptrdiff_t>(key * width));
  }
  whole.posted.insert(whole.posted.end(), posted.begin(), posted.end());
}

}  // namespace

void ShardedStore::gather_state() {
  if (stage_ != Stage::idle && stage_ != Stage::arrived) throw InternalError("the state of a store that goes on");
  const auto width = static_cast<std::size_t>(options_.width),
             each = static_cast<std::size_t>(EntitySums::entry_words(options_.width, options_.wire));
  std::vector<std::vector<std::byte>> parts(static_cast<std::size_t>(comm_.size()));
  for (std::size_t p = 0; p < shards_.size(); ++p) {
    const StoreTable& table = shards_[p].table;
    append_values(parts[0], shards_[p].global), append_values(parts[0], table.publisher().ids);
    append_values(parts[0], table.publisher().periods), append_values(parts[0], table.present()), append_values(parts[0], table.rows());
    append_values(parts[0], with_global(posted_here(p), shards_[p].global, each));
  }
  const auto heard = all_to_all_bytes(comm_, parts, "rows of shards");
  whole_.clear();
  if (comm_.rank() != 0) return;
  for (const Shard& shard : shards_) {
    const auto keys = static_cast<std::size_t>(shard.all_keys);
    whole_.push_back({.ids = std::vector<EntityId>(keys),
                      .periods = {},
                      .posted = {},
                      .rows = std::vector<float>(keys * width),
                      .present = std::vector<std::uint8_t>(keys)});
  }
  for (const std::vector<std::byte>& from : heard) {
    std::size_t at = 0;
    for (WholeTable& table : whole_) put_together(table, from, at, width);
  }
}

std::vector<NamedTensor> ShardedStore::state() {
  if (whole_.empty()) throw InternalError("the state of a sharded store that was not gathered");
  std::vector<NamedTensor> out;
  for (std::size_t p = 0; p < whole_.size(); ++p) {
    const WholeTable& whole = whole_[p];
    append_state(out, p, {whole.ids, whole.periods, whole.present, whole.rows, whole.posted});
  }
  return out;
}

void ShardedStore::restore(const SafetensorsFile& file, const std::string& text) {
  const bool pending = read_state_text(file, text);
  const auto width = static_cast<std::size_t>(options_.width),
             each = static_cast<std::size_t>(EntitySums::entry_words(options_.width, options_.wire));
  restored_.assign(tasks_.size(), {});
  for (std::size_t p = 0; p < shards_.size(); ++p) {
    Shard& shard = shards_[p];
    const std::string at = tasks_[p] + ".";
    const NamedTensor& rows = file.at(at + "rows");
    const NamedTensor& present = file.at(at + "present");
    if (rows.dtype != DType::f32 || rows.shape != Shape({shard.all_keys, options_.width}) || present.dtype != DType::u8 ||
        present.shape != Shape({shard.all_keys}))
      throw CheckpointError(file.path().string() + ": rows of " + tasks_[p] + " are " + rows.shape.text() + ", this store has " +
                            Shape({shard.all_keys, options_.width}).text() + ": it was made with other entities or another collab.width");
    const auto ids = values_of<EntityId>(file, at + "ids", shard.all_keys);
    for (std::size_t i = 0; i < shard.global.size(); ++i) {
      const auto key = static_cast<std::size_t>(shard.global[i]);
      if (ids[key] != shard.table.publisher().ids[i])
        throw CheckpointError(file.path().string() + ": rows of " + tasks_[p] + " are of other entities than those of its table");
      std::copy_n(static_cast<const float*>(rows.data) + key * width, width,
                  shard.table.rows().begin() + static_cast<std::ptrdiff_t>(i * width));
      shard.table.present()[i] = static_cast<const std::uint8_t*>(present.data)[key];
    }
    read_scale(file, p);
    const auto posted = values_of<std::int32_t>(file, at + "posted");
    StoreTable::check_entries(posted, shard.all_keys, options_, file.path().string() + ": what " + tasks_[p] + " had posted");
    for (std::size_t from = 0; from < posted.size(); from += each) {
      const auto own = std::lower_bound(shard.global.begin(), shard.global.end(), posted[from]);
      if (own == shard.global.end() || *own != posted[from]) continue;
      restored_[p].push_back(static_cast<std::int32_t>(own - shard.global.begin()));
      restored_[p].insert(restored_[p].end(), posted.begin() + static_cast<std::ptrdiff_t>(from) + 1,
                          posted.begin() + static_cast<std::ptrdiff_t>(from + each));
    }
  }
  next_scales_ = scales_;
  collect_rows(true);  // readers get the rows that are there
  exchange_counts("sizes of rows");
  work_.wait();
  exchange_words("rows of a checkpoint");
  work_.wait();
  work_ = Work();
  take_rows();
  stage_ = pending ? Stage::arrived : Stage::idle;
  is_restored_ = pending;
}

}  // namespace chorale
