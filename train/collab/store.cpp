#include <chorale/train/collab/store.hpp>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <utility>

#include <chorale/core/base/error.hpp>
#include <chorale/train/collab/store_table.hpp>

namespace chorale {

Store::Store(std::vector<std::string> tasks, const StoreOptions& options) : tasks_(std::move(tasks)), options_(options) {
  const auto width = static_cast<std::size_t>(options_.width);
  scales_.assign(tasks_.size(), {std::vector<double>(width, 0.0), std::vector<double>(width, 1.0)});
}

std::string Store::state_text() const { return std::to_string(version_) + (is_pending() ? " pending" : " applied"); }

bool Store::read_state_text(const SafetensorsFile& file, const std::string& text) {
  std::istringstream in(text);
  std::string pending;
  if (!(in >> version_ >> pending) || (pending != "pending" && pending != "applied"))
    throw CheckpointError(file.path().string() + ": '" + text + "' is no state of a store");
  return pending == "pending";
}

void Store::read_scale(const SafetensorsFile& file, std::size_t publisher) {
  const std::string at = tasks_[publisher] + ".";
  scales_[publisher] = {values_of<double>(file, at + "mean", options_.width), values_of<double>(file, at + "deviation", options_.width)};
}

void Store::append_state(std::vector<NamedTensor>& out, std::size_t publisher, const KeptTable& table) const {
  const auto keys = static_cast<std::int64_t>(table.ids.size());
  const std::string at = tasks_[publisher] + ".";
  out.push_back({at + "rows", DType::f32, {keys, options_.width}, table.rows.data()});
  out.push_back({at + "ids", DType::i64, {keys}, table.ids.data()});
  if (!table.periods.empty()) out.push_back({at + "periods", DType::i32, {keys}, table.periods.data()});
  out.push_back({at + "present", DType::u8, {keys}, table.present.data()});
  out.push_back({at + "mean", DType::f64, {options_.width}, scales_[publisher].mean.data()});
  out.push_back({at + "deviation", DType::f64, {options_.width}, scales_[publisher].deviation.data()});
  out.push_back({at + "posted", DType::i32, {static_cast<std::int64_t>(table.posted.size())}, table.posted.data()});
}

template <class T>
bool Store::fetch(int publisher, std::int32_t position, T* out) const {
  const auto width = static_cast<std::size_t>(options_.width);
  found_.resize(width);
  if (!read(publisher, position, found_.data())) {
    std::fill_n(out, width, T{0});
    return false;
  }
  // Of pointers: a listener comes by here with all of its entities at every tick.
  const double *mean = scale(publisher).mean.data(), *deviation = scale(publisher).deviation.data();
  const float* row = found_.data();
  const double norm = 1 / std::sqrt(static_cast<double>(options_.width));
  for (std::size_t j = 0; j < width; ++j) {
    const double s = deviation[j];
    const double standard = s > 0 ? (static_cast<double>(row[j]) - mean[j]) / s : 0;
    out[j] = static_cast<T>(std::clamp(standard, -4.0, 4.0) * norm);
  }
  return true;
}

template bool Store::fetch(int, std::int32_t, float*) const;
template bool Store::fetch(int, std::int32_t, double*) const;

}  // namespace chorale
