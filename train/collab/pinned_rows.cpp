#include <chorale/train/collab/pinned_rows.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <chorale/train/collab/store_table.hpp>

#include <chorale/core/base/error.hpp>

namespace chorale {

PinnedRows::PinnedRows(const PinnedVersion& version, const SafetensorsFile& task, const SafetensorsFile& store, const StoreOptions& options,
                       bool best)
    : version_(version) {
  const RowsVersion& wanted = best ? version.best : version.last;
  PublishedRows published(store, options, false);
  const auto width = static_cast<std::size_t>(version.width);
  if (published.width() != version.width)
    throw CheckpointError(fmt::format("{}: holds rows of width {}, the task was trained with rows of width {}; bring back those of its run",
                                      store.path().string(), published.width(), version.width));
  const bool kept_are_wanted = best || version.best.hash == version.last.hash;  // of a task that had ended, the store goes on
  for (std::size_t s = 0; s < version.sources.size(); ++s) {
    const NamedTensor& ids = task.at("ids." + std::to_string(s));
    const NamedTensor& kept = task.at("kept." + std::to_string(s));
    const std::int64_t n = ids.shape.elements();
    if (ids.dtype != DType::i64 || kept.dtype != DType::f32 || kept.shape != Shape({n, version.width}))
      throw CheckpointError(task.path().string() + ": rows of " + version.sources[s].task + " are " + kept.shape.text() + " for " +
                            std::to_string(n) + " entities, expected width " + std::to_string(version.width));
    Table& table = tables_.emplace_back();
    const auto* first = static_cast<const EntityId*>(ids.data);
    table.ids.assign(first, first + n);
    const auto* values = static_cast<const float*>(kept.data);
    table.rows.assign(values, values + kept.shape.elements());
    if (version.has_time) {
      if (!task.find("periods." + std::to_string(s)))
        throw CheckpointError(task.path().string() + ": does not say which periods the rows of " + version.sources[s].task +
                              " belong to; it was written by an older program, resume the collaboration with this one");
      table.periods = values_of<std::int32_t>(task, "periods." + std::to_string(s), n);
    }
    if (kept_are_wanted) continue;
    for (std::size_t e = 0; e < table.ids.size(); ++e)
      published.fetch(version.sources[s].task, table.ids[e], table.rows.data() + e * width, table.periods.empty() ? 0 : table.periods[e]);
  }
  std::vector<const std::vector<float>*> rows;
  for (Table& table : tables_) rows.push_back(&table.rows);
  const std::string found = hash_of_rows(rows, version.width);
  if (found != wanted.hash)
    throw CheckpointError(fmt::format(
        "{}: the task was trained with version {} of its peers' rows (hash {}), this tick holds version {} (hash {}), which it would read "
        "wrongly; bring back the checkpoints of its own run",
        store.path().parent_path().string(), wanted.version, wanted.hash, published.version(), found));
  if (published.version() == wanted.version) store_.emplace(std::move(published));
}

bool PinnedRows::fetch(std::size_t source, EntityId entity, float* out, std::int32_t period) const {
  const auto width = static_cast<std::size_t>(version_.width);
  std::fill_n(out, width, 0.0f);
  if (tables_.empty() || entity == kNoEntity) return false;
  const Table& table = tables_[source];
  // The newest key up to this period.
  const std::int32_t at = position_before({table.ids, table.periods}, entity, table.periods.empty() ? 0 : period + 1);
  const bool is_own = at >= 0 && (table.periods.empty() || table.periods[static_cast<std::size_t>(at)] == period);
  if (!is_own && store_) return store_->fetch(version_.sources[source].task, entity, out, period);
  if (at < 0) return false;
  std::copy_n(table.rows.data() + static_cast<std::size_t>(at) * width, width, out);
  return std::any_of(out, out + width, [](float v) { return v != 0; });
}

PinnedDataset::PinnedDataset(std::shared_ptr<const Dataset> rows, std::shared_ptr<const PinnedRows> pinned,
                             std::vector<std::vector<EntityId>> entities, std::vector<std::int32_t> periods)
    : rows_(std::move(rows)),
      pinned_(std::move(pinned)),
      entities_(std::move(entities)),
      periods_(std::move(periods)),
      fields_(rows_->fields()) {
  fields_.push_back({"shared", DType::f32, {pinned_->columns()}});
  const PinnedVersion& version = pinned_->version();
  for (const PinnedSource& source : version.sources)
    kind_of_.push_back(
        static_cast<std::size_t>(std::find(version.kinds.begin(), version.kinds.end(), source.kind) - version.kinds.begin()));
}

bool PinnedDataset::shared(std::int64_t row, float* out) const {
  const auto number = static_cast<std::size_t>(rows_->row_id(row));
  bool is_seen = false;
  const std::int32_t period = periods_.empty() ? 0 : periods_[number];
  for (std::size_t s = 0; s < kind_of_.size(); ++s, out += pinned_->version().width)
    is_seen = pinned_->fetch(s, entities_[kind_of_[s]][number], out, period) || is_seen;
  return is_seen;
}

void PinnedDataset::gather(int field, std::span<const std::int64_t> rows, void* out) const {
  if (static_cast<std::size_t>(field) + 1 < fields_.size()) return rows_->gather(field, rows, out);
  auto* to = static_cast<float*>(out);
  for (const std::int64_t row : rows) shared(row, to), to += pinned_->columns();
}

std::int64_t PinnedDataset::unseen() const {
  std::vector<float> row(static_cast<std::size_t>(pinned_->columns()));
  std::int64_t count = 0;
  for (std::int64_t r = 0; r < rows(); ++r) count += !shared(r, row.data());
  return count;
}

}  // namespace chorale
