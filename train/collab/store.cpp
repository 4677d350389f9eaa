#include <chorale/train/collab/store.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <sstream>

#include <chorale/core/base/error.hpp>

namespace chorale {

Store::Store(Communicator& comm, std::vector<Publisher> publishers, const StoreOptions& options)
    : gather_(comm, "sharing"), publishers_(std::move(publishers)), options_(options) {
  const auto width = static_cast<std::size_t>(options_.width);
  for (const Publisher& publisher : publishers_) {
    Table table;
    table.rows.resize(publisher.ids.size() * width);
    table.present.resize(publisher.ids.size());
    table.scale = {std::vector<double>(width, 0.0), std::vector<double>(width, 1.0)};
    tables_.push_back(std::move(table));
  }
}

void Store::post(int publisher, const EntitySums& seen) {
  if (is_restored_) throw InternalError("a post while one is pending");
  gather_.post(publisher, publisher >= 0 ? seen.packed() : std::vector<std::int32_t>());
}

std::vector<NamedTensor> Store::state() {
  std::vector<NamedTensor> out;
  for (int p = 0; p < static_cast<int>(publishers_.size()); ++p) {
    Table& table = tables_[static_cast<std::size_t>(p)];
    if (gather_.is_pending()) table.posted = gather_.words_of(p);
    const std::string at = publishers_[static_cast<std::size_t>(p)].task + ".";
    const auto entities = static_cast<std::int64_t>(table.present.size());
    out.push_back({at + "rows", DType::f32, {entities, options_.width}, table.rows.data()});
    out.push_back({at + "ids", DType::i64, {entities}, publishers_[static_cast<std::size_t>(p)].ids.data()});
    if (const auto& periods = publishers_[static_cast<std::size_t>(p)].periods; !periods.empty())
      out.push_back({at + "periods", DType::i32, {entities}, periods.data()});
    out.push_back({at + "present", DType::u8, {entities}, table.present.data()});
    out.push_back({at + "mean", DType::f64, {options_.width}, table.scale.mean.data()});
    out.push_back({at + "deviation", DType::f64, {options_.width}, table.scale.deviation.data()});
    out.push_back({at + "posted", DType::i32, {static_cast<std::int64_t>(table.posted.size())}, table.posted.data()});
  }
  return out;
}

std::string Store::state_text() const { return std::to_string(version_) + (is_pending() ? " pending" : " applied"); }

void Store::restore(const SafetensorsFile& file, const std::string& text) {
  std::istringstream in(text);
  std::string pending;
  if (!(in >> version_ >> pending) || (pending != "pending" && pending != "applied"))
    throw CheckpointError(file.path().string() + ": '" + text + "' is no state of a store");
  is_restored_ = pending == "pending";
  for (std::size_t p = 0; p < publishers_.size(); ++p) {
    Table& table = tables_[p];
    const auto read = [&](const std::string& name, auto& values) {
      using T = typename std::remove_reference_t<decltype(values)>::value_type;
      const NamedTensor& found = file.at(publishers_[p].task + "." + name);
      const auto count = static_cast<std::size_t>(found.shape.elements());
      if (found.dtype != dtype_of<T> || (name != "posted" && count != values.size()))
        throw CheckpointError(file.path().string() + ": " + found.name + " has " + std::to_string(count) + " values, this store " +
                              std::to_string(values.size()) + ": it was made with other entities or another collab.width");
      const T* data = static_cast<const T*>(found.data);
      values.assign(data, data + count);
    };
    read("rows", table.rows), read("present", table.present), read("mean", table.scale.mean), read("deviation", table.scale.deviation);
    read("posted", table.posted);
    check_posted(p, file);
    table.present_count = std::count(table.present.begin(), table.present.end(), 1);
  }
}

/// A damaged entry must not write elsewhere.
void Store::check_posted(std::size_t publisher, const SafetensorsFile& file) const {
  const std::vector<std::int32_t>& words = tables_[publisher].posted;
  const auto each = static_cast<std::size_t>(EntitySums::entry_words(options_.width));
  bool good = words.size() % each == 0;
  for (std::size_t at = 0; good && at < words.size(); at += each)
    good = words[at] >= 0 && static_cast<std::size_t>(words[at]) < publishers_[publisher].ids.size() && words[at + 2] > 0;
  if (!good) throw CheckpointError(file.path().string() + ": what " + publishers_[publisher].task + " had posted is damaged");
}

void Store::complete() {
  if (!is_pending()) return;
  gather_.settle();
  for (int p = 0; p < static_cast<int>(publishers_.size()); ++p) {
    apply(p, is_restored_ ? tables_[static_cast<std::size_t>(p)].posted : gather_.words_of(p));
    rescale(p);
  }
  is_restored_ = false;
  gather_.clear();
  ++version_;
}

void Store::apply(int publisher, std::span<const std::int32_t> entries) {
  Table& table = tables_[static_cast<std::size_t>(publisher)];
  const auto width = static_cast<std::size_t>(options_.width), words = static_cast<std::size_t>(EntitySums::entry_words(options_.width));
  std::vector<const std::int32_t*> order;
  for (std::size_t at = 0; at < entries.size(); at += words) order.push_back(entries.data() + at);
  std::sort(order.begin(), order.end(),
            [](const std::int32_t* a, const std::int32_t* b) { return std::pair(a[0], a[1]) < std::pair(b[0], b[1]); });
  std::vector<float> sum(width), vector(width);
  for (std::size_t i = 0; i < order.size();) {
    const std::int32_t entity = order[i][0];
    std::int64_t count = 0;
    std::fill(sum.begin(), sum.end(), 0.0f);
    for (; i < order.size() && order[i][0] == entity; ++i) {
      count += order[i][2];
      std::memcpy(vector.data(), order[i] + 3, width * sizeof(float));
      for (std::size_t j = 0; j < width; ++j) sum[j] += vector[j];
    }
    float* row = table.rows.data() + static_cast<std::size_t>(entity) * width;
    std::uint8_t& present = table.present[static_cast<std::size_t>(entity)];
    const float keep = present ? static_cast<float>(options_.keep) : 0.0f;
    for (std::size_t j = 0; j < width; ++j) row[j] = keep * row[j] + (1 - keep) * (sum[j] / static_cast<float>(count));
    table.present_count += !present;
    present = 1;
  }
}

std::int64_t Store::bytes() const {
  std::size_t out = 0;
  for (const Publisher& p : publishers_)
    out += p.ids.size() * sizeof p.ids[0] + p.periods.size() * sizeof p.periods[0] + p.trained.size() * sizeof p.trained[0];
  for (const Table& t : tables_) out += t.rows.size() * sizeof t.rows[0] + t.present.size() * sizeof t.present[0];
  return static_cast<std::int64_t>(out);
}

void Store::rescale(int publisher) {
  Table& table = tables_[static_cast<std::size_t>(publisher)];
  const Publisher& of = publishers_[static_cast<std::size_t>(publisher)];
  const std::vector<EntityId>& ids = of.ids;
  const auto counts = [&](std::size_t i) { return table.present[i] && (of.periods.empty() || of.periods[i] < of.scale_before); };
  std::int64_t count = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) count += counts(i);
  if (count == 0) return;
  const auto width = static_cast<std::size_t>(options_.width);
  // Two passes; in each the sums of buckets, then over buckets in their order.
  const auto mean_of = [&](const auto& value) {
    std::vector<double> total(width, 0.0), bucket(width);
    for (std::size_t i = 0; i < ids.size();) {
      const int number = bucket_of(ids[i]);
      std::fill(bucket.begin(), bucket.end(), 0.0);
      for (; i < ids.size() && bucket_of(ids[i]) == number; ++i)
        if (counts(i))
          for (std::size_t j = 0; j < width; ++j) bucket[j] += value(table.rows[i * width + j], j);
      for (std::size_t j = 0; j < width; ++j) total[j] += bucket[j];
    }
    for (double& t : total) t /= static_cast<double>(count);
    return total;
  };
  table.scale.mean = mean_of([](float r, std::size_t) { return static_cast<double>(r); });
  table.scale.deviation = mean_of([&](float r, std::size_t j) {
    const double d = static_cast<double>(r) - table.scale.mean[j];
    return d * d;
  });
  for (double& s : table.scale.deviation) s = std::sqrt(s);
}

/// With time: the key itself or, where it has no row yet, the newest before it that has one.
std::int32_t Store::newest_there(int publisher, std::int32_t position) const {
  const Publisher& of = publishers_[static_cast<std::size_t>(publisher)];
  const std::vector<std::uint8_t>& present = tables_[static_cast<std::size_t>(publisher)].present;
  if (of.periods.empty() || position < 0) return position;
  auto at = static_cast<std::size_t>(position);
  while (!present[at] && at > 0 && of.ids[at - 1] == of.ids[at]) --at;
  return static_cast<std::int32_t>(at);
}

template <class T>
bool Store::fetch(int publisher, std::int32_t position, T* out) const {
  const Table& table = tables_[static_cast<std::size_t>(publisher)];
  const auto width = static_cast<std::size_t>(options_.width);
  position = newest_there(publisher, position);
  if (position < 0 || !table.present[static_cast<std::size_t>(position)]) {
    std::fill_n(out, width, T{0});
    return false;
  }
  const double norm = 1 / std::sqrt(static_cast<double>(options_.width));
  const float* row = table.rows.data() + static_cast<std::size_t>(position) * width;
  for (std::size_t j = 0; j < width; ++j) {
    const double s = table.scale.deviation[j];
    const double standard = s > 0 ? (static_cast<double>(row[j]) - table.scale.mean[j]) / s : 0;
    out[j] = static_cast<T>(std::clamp(standard, -4.0, 4.0) * norm);
  }
  return true;
}

template bool Store::fetch(int, std::int32_t, float*) const;
template bool Store::fetch(int, std::int32_t, double*) const;

}  // namespace chorale
