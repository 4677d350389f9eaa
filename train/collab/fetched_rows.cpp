#include <chorale/train/collab/fetched_rows.hpp>

#include <algorithm>
#include <cstring>

#include <chorale/core/base/error.hpp>
#include <chorale/train/collab/pinned_version.hpp>

namespace chorale {

FetchedRows::FetchedRows(const Store& store, std::vector<FetchSource> sources)
    : store_(store), sources_(std::move(sources)), width_(store.options().width) {
  for (const FetchSource& source : sources_) tables_.emplace_back(source.positions.size() * static_cast<std::size_t>(width_));
  kept_ = tables_;
}

void FetchedRows::refresh() {
  for (std::size_t s = 0; s < sources_.size(); ++s)
    for (std::size_t e = 0; e < sources_[s].positions.size(); ++e)
      store_.fetch(sources_[s].publisher, sources_[s].positions[e], tables_[s].data() + e * static_cast<std::size_t>(width_));
  version_ = store_.version();
}

void FetchedRows::use_kept() { tables_ = kept_, version_ = kept_version_; }

std::int64_t FetchedRows::bytes() const {
  std::size_t out = 0;
  for (const FetchSource& source : sources_) out += source.positions.size() * sizeof source.positions[0];
  for (const auto* tables : {&tables_, &kept_})
    for (const std::vector<float>& table : *tables) out += table.size() * sizeof table[0];
  return static_cast<std::int64_t>(out);
}

std::vector<NamedTensor> FetchedRows::state() const {
  std::vector<NamedTensor> out;
  for (std::size_t s = 0; s < kept_.size(); ++s) {
    const auto entities = static_cast<std::int64_t>(sources_[s].positions.size());
    out.push_back({"kept." + std::to_string(s), DType::f32, {entities, width_}, kept_[s].data()});
    out.push_back({"ids." + std::to_string(s), DType::i64, {static_cast<std::int64_t>(sources_[s].ids.size())}, sources_[s].ids.data()});
    const std::vector<std::int32_t>& periods = sources_[s].periods;
    if (!periods.empty())
      out.push_back({"periods." + std::to_string(s), DType::i32, {static_cast<std::int64_t>(periods.size())}, periods.data()});
  }
  return out;
}

namespace {
std::string hash_of(const std::vector<std::vector<float>>& tables, std::int64_t width) {
  std::vector<const std::vector<float>*> all;
  for (const std::vector<float>& table : tables) all.push_back(&table);
  return hash_of_rows(all, width);
}
}  // namespace

std::string FetchedRows::hash() const { return hash_of(tables_, width_); }
std::string FetchedRows::kept_hash() const { return hash_of(kept_, width_); }

void FetchedRows::restore(const SafetensorsFile& file, std::int64_t kept_version) {
  for (const NamedTensor& wanted : state()) {
    if (!wanted.name.starts_with("kept.")) continue;  // whose they are is said for others
    const NamedTensor& found = file.at(wanted.name);
    if (found.shape != wanted.shape || found.dtype != wanted.dtype)
      throw CheckpointError(file.path().string() + ": " + wanted.name + " is " + found.shape.text() + ", this task fetches " +
                            wanted.shape.text());
    std::memcpy(const_cast<void*>(wanted.data), found.data, wanted.bytes());
  }
  kept_version_ = kept_version;
  refresh();
}

void FetchedRows::gather(std::span<const std::int64_t> table_rows, float* out) const {
  const auto width = static_cast<std::size_t>(width_);
  for (const std::int64_t row : table_rows)
    for (std::size_t s = 0; s < sources_.size(); ++s, out += width_) {
      const std::int32_t entity = sources_[s].of_row[static_cast<std::size_t>(row)];
      if (entity < 0)
        std::fill_n(out, width_, 0.0f);
      else
        std::copy_n(tables_[s].data() + static_cast<std::size_t>(entity) * width, width_, out);
    }
}

SharedDataset::SharedDataset(std::shared_ptr<const Dataset> rows, const FetchedRows& fetched)
    : rows_(std::move(rows)), fetched_(fetched), fields_(rows_->fields()) {
  fields_.push_back({"shared", DType::f32, {fetched.columns()}});
}

void SharedDataset::gather(int field, std::span<const std::int64_t> rows, void* out) const {
  if (static_cast<std::size_t>(field) + 1 < fields_.size()) return rows_->gather(field, rows, out);
  std::vector<std::int64_t> numbers(rows.size());
  std::transform(rows.begin(), rows.end(), numbers.begin(), [&](std::int64_t row) { return rows_->row_id(row); });
  fetched_.gather(numbers, static_cast<float*>(out));
}

}  // namespace chorale
