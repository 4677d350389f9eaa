#include <chorale/train/collab/replicated_store.hpp>

#include <algorithm>
#include <cmath>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {
std::vector<std::string> names_of(const std::vector<Publisher>& publishers) {
  std::vector<std::string> out;
  for (const Publisher& p : publishers) out.push_back(p.task);
  return out;
}
}  // namespace

ReplicatedStore::ReplicatedStore(Communicator& comm, std::vector<Publisher> publishers, const StoreOptions& options)
    : Store(names_of(publishers), options), gather_(comm, "sharing"), posted_(publishers.size()) {
  for (Publisher& publisher : publishers) tables_.emplace_back(std::move(publisher), options);
}

std::vector<KeyPlaces> ReplicatedStore::locate(const std::vector<WantedKeys>& wanted) {
  std::vector<KeyPlaces> out;
  for (const WantedKeys& each : wanted) out.push_back(places_among(each.keys, publisher(each.publisher)));
  return out;
}

void ReplicatedStore::post(int publisher, const EntitySums& seen) {
  if (is_restored_) throw InternalError("a post while one is pending");
  gather_.post(publisher, publisher >= 0 ? seen.packed(options_.wire) : std::vector<std::int32_t>());
}

std::vector<NamedTensor> ReplicatedStore::state() {
  std::vector<NamedTensor> out;
  for (std::size_t p = 0; p < tables_.size(); ++p) {
    const StoreTable& table = tables_[p];
    if (gather_.is_pending()) posted_[p] = gather_.words_of(static_cast<std::int64_t>(p));
    append_state(out, p, {table.publisher().ids, table.publisher().periods, table.present(), table.rows(), posted_[p]});
  }
  return out;
}

void ReplicatedStore::restore(const SafetensorsFile& file, const std::string& text) {
  is_restored_ = read_state_text(file, text);
  for (std::size_t p = 0; p < tables_.size(); ++p) {
    StoreTable& table = tables_[p];
    const std::string at = tasks_[p] + ".";
    table.rows() = values_of<float>(file, at + "rows", table.keys() * options_.width);
    table.present() = values_of<std::uint8_t>(file, at + "present", table.keys());
    read_scale(file, p);
    posted_[p] = values_of<std::int32_t>(file, at + "posted");
    StoreTable::check_entries(posted_[p], table.keys(), options_, file.path().string() + ": what " + tasks_[p] + " had posted");
  }
}

void ReplicatedStore::complete() {
  if (!is_pending()) return;
  gather_.settle();
  for (std::size_t p = 0; p < tables_.size(); ++p) {
    tables_[p].apply(is_restored_ ? posted_[p] : gather_.words_of(static_cast<std::int64_t>(p)));
    rescale(p);
  }
  is_restored_ = false;
  for (std::vector<std::int32_t>& words : posted_) words.clear();  // a checkpoint of a run that posts no more has none
  gather_.clear();
  ++version_;
}

std::int64_t ReplicatedStore::rows(int publisher) const {
  return std::count(table(publisher).present().begin(), table(publisher).present().end(), 1);
}

std::int64_t ReplicatedStore::bytes() const {
  std::int64_t out = 0;
  for (const StoreTable& table : tables_) out += table.bytes();
  return out;
}

/// Two passes; in each the sums of buckets, then over buckets in their order.
void ReplicatedStore::rescale(std::size_t publisher) {
  const auto width = static_cast<std::size_t>(options_.width);
  std::int64_t count = 0;
  std::vector<double> total(width, 0.0);
  const auto add = [&](int, std::int64_t rows, std::span<const double> sums) {
    count += rows;
    for (std::size_t j = 0; j < width; ++j) total[j] += sums[j];
  };
  tables_[publisher].sum_buckets(nullptr, add);
  if (count == 0) return;
  ColumnScale& scale = scales_[publisher];
  for (std::size_t j = 0; j < width; ++j) scale.mean[j] = total[j] / static_cast<double>(count);
  count = 0, total.assign(width, 0.0);
  tables_[publisher].sum_buckets(scale.mean.data(), add);
  for (std::size_t j = 0; j < width; ++j) scale.deviation[j] = std::sqrt(total[j] / static_cast<double>(count));
}

}  // namespace chorale
