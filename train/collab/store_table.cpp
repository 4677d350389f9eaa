#include <chorale/train/collab/store_table.hpp>

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include <chorale/core/base/error.hpp>

namespace chorale {

StoreTable::StoreTable(Publisher publisher, const StoreOptions& options)
    : publisher_(std::move(publisher)),
      options_(options),
      rows_(publisher_.ids.size() * static_cast<std::size_t>(options.width)),
      present_(publisher_.ids.size()) {}

std::vector<std::int32_t> StoreTable::apply(std::span<const std::int32_t> entries) {
  const auto width = static_cast<std::size_t>(options_.width),
             words = static_cast<std::size_t>(EntitySums::entry_words(options_.width, options_.wire));
  std::vector<const std::int32_t*> order;
  for (std::size_t at = 0; at < entries.size(); at += words) order.push_back(entries.data() + at);
  std::sort(order.begin(), order.end(),
            [](const std::int32_t* a, const std::int32_t* b) { return std::pair(a[0], a[1]) < std::pair(b[0], b[1]); });
  std::vector<std::int32_t> changed;
  std::vector<float> sum(width), vector(width);
  for (std::size_t i = 0; i < order.size();) {
    const std::int32_t entity = order[i][0];
    std::int64_t count = 0;
    std::fill(sum.begin(), sum.end(), 0.0f);
    for (; i < order.size() && order[i][0] == entity; ++i) {
      count += order[i][2];
      decode_row(options_.wire, order[i] + 3, vector);
      for (std::size_t j = 0; j < width; ++j) sum[j] += vector[j];
    }
    float* row = rows_.data() + static_cast<std::size_t>(entity) * width;
    std::uint8_t& present = present_[static_cast<std::size_t>(entity)];
    const float keep = present ? static_cast<float>(options_.keep) : 0.0f;
    for (std::size_t j = 0; j < width; ++j) row[j] = keep * row[j] + (1 - keep) * (sum[j] / static_cast<float>(count));
    present = 1;
    changed.push_back(entity);
  }
  return changed;
}

std::int32_t StoreTable::newest_there(std::int32_t position) const {
  if (publisher_.periods.empty() || position < 0) return position;
  auto at = static_cast<std::size_t>(position);
  while (!present_[at] && at > 0 && publisher_.ids[at - 1] == publisher_.ids[at]) --at;
  return static_cast<std::int32_t>(at);
}

const float* StoreTable::row(std::int32_t position) const {
  position = newest_there(position);
  if (position < 0 || !present_[static_cast<std::size_t>(position)]) return nullptr;
  return rows_.data() + static_cast<std::size_t>(position) * static_cast<std::size_t>(options_.width);
}

bool StoreTable::read(std::int32_t position, float* out) const {
  const auto width = static_cast<std::size_t>(options_.width);
  const float* found = row(position);
  if (!found) {
    std::fill_n(out, width, 0.0f);
    return false;
  }
  std::copy_n(found, width, out);
  round_row(options_.wire, std::span(out, width));
  return true;
}

namespace {
/// The row's numbers, or with means their squared distances, onto sums. Of pointers: all rows of the store come by here at every tick.
void add_row(const float* row, std::size_t width, const double* means, double* sums) {
  if (!means) {
    for (std::size_t j = 0; j < width; ++j) sums[j] += static_cast<double>(row[j]);
    return;
  }
  for (std::size_t j = 0; j < width; ++j) {
    const double d = static_cast<double>(row[j]) - means[j];
    sums[j] += d * d;
  }
}
}  // namespace

void StoreTable::sum_buckets(const double* means, const OnBucket& on_bucket) const {
  const std::vector<EntityId>& ids = publisher_.ids;
  const auto width = static_cast<std::size_t>(options_.width);
  std::vector<double> sums(width);
  for (std::size_t i = 0; i < ids.size();) {
    const int bucket = bucket_of(ids[i]);
    std::int64_t count = 0;
    std::fill(sums.begin(), sums.end(), 0.0);
    for (; i < ids.size() && bucket_of(ids[i]) == bucket; ++i) {
      if (!counts(i)) continue;
      ++count;
      add_row(rows_.data() + i * width, width, means, sums.data());
    }
    on_bucket(bucket, count, sums);
  }
}

std::int64_t StoreTable::bytes() const {
  return static_cast<std::int64_t>(publisher_.ids.size() * sizeof publisher_.ids[0] + publisher_.periods.size() * sizeof(std::int32_t) +
                                   publisher_.trained.size() + rows_.size() * sizeof rows_[0] + present_.size());
}

/// A damaged entry must not write elsewhere.
void StoreTable::check_entries(std::span<const std::int32_t> entries, std::int64_t keys, const StoreOptions& options,
                               const std::string& what) {
  const auto each = static_cast<std::size_t>(EntitySums::entry_words(options.width, options.wire));
  bool good = entries.size() % each == 0;
  for (std::size_t at = 0; good && at < entries.size(); at += each) good = entries[at] >= 0 && entries[at] < keys && entries[at + 2] > 0;
  if (!good) throw CheckpointError(what + " is damaged");
}

KeyPlaces places_among(const EntityKeys& wanted, const Publisher& publisher) {
  KeyPlaces out{.positions = positions_before(wanted, publisher.keys()), .trained = std::vector<std::uint8_t>(wanted.ids.size())};
  const std::vector<EntityId>& ids = publisher.ids;
  for (std::size_t i = 0; i < wanted.ids.size(); ++i) {
    auto at = std::lower_bound(ids.begin(), ids.end(), wanted.ids[i]);
    for (; at != ids.end() && *at == wanted.ids[i]; ++at)
      if (const auto key = static_cast<std::size_t>(at - ids.begin()); key < publisher.trained.size() && publisher.trained[key])
        out.trained[i] = 1;
  }
  return out;
}

namespace {
/// Ids lie in files as signed numbers.
template <class T>
constexpr DType stored_type() {
  if constexpr (std::is_same_v<T, EntityId>)
    return DType::i64;
  else
    return dtype_of<T>;
}
}  // namespace

template <class T>
std::vector<T> values_of(const SafetensorsFile& file, const std::string& name, std::int64_t count) {
  const NamedTensor& found = file.at(name);
  if (found.dtype != stored_type<T>() || (count >= 0 && found.shape.elements() != count))
    throw CheckpointError(file.path().string() + ": " + found.name + " has " + std::to_string(found.shape.elements()) +
                          " values, this store " + std::to_string(count) + ": it was made with other entities or another collab.width");
  const T* data = static_cast<const T*>(found.data);
  return {data, data + found.shape.elements()};
}
template std::vector<EntityId> values_of(const SafetensorsFile&, const std::string&, std::int64_t);
template std::vector<float> values_of(const SafetensorsFile&, const std::string&, std::int64_t);
template std::vector<double> values_of(const SafetensorsFile&, const std::string&, std::int64_t);
template std::vector<std::int32_t> values_of(const SafetensorsFile&, const std::string&, std::int64_t);
template std::vector<std::uint8_t> values_of(const SafetensorsFile&, const std::string&, std::int64_t);

}  // namespace chorale
