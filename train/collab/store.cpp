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

template <class T>
bool Store::fetch(int publisher, std::int32_t position, T* out) const {
  const auto width = static_cast<std::size_t>(options_.width);
  const float* found = row(publisher, position);
  if (!found) {
    std::fill_n(out, width, T{0});
    return false;
  }
  const ColumnScale& of = scale(publisher);
  const double norm = 1 / std::sqrt(static_cast<double>(options_.width));
  for (std::size_t j = 0; j < width; ++j) {
    const double s = of.deviation[j];
    const double standard = s > 0 ? (static_cast<double>(found[j]) - of.mean[j]) / s : 0;
    out[j] = static_cast<T>(std::clamp(standard, -4.0, 4.0) * norm);
  }
  return true;
}

template bool Store::fetch(int, std::int32_t, float*) const;
template bool Store::fetch(int, std::int32_t, double*) const;

}  // namespace chorale
