#include <chorale/train/collab/trunk.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/core/nn/parameter_pattern.hpp>
#include <chorale/train/collab/task_scale.hpp>
#include <chorale/train/pcgrad.hpp>

namespace chorale {

TrunkSelection::TrunkSelection(const FlatParams& params, const std::vector<std::string>& patterns) {
  std::vector<std::string> names;
  for (const FlatParams::Entry& entry : params.entries())
    if (entry.parameter->segment() == Segment::trainable) names.push_back(entry.name);
  const ParameterNames trainable(std::move(names));
  for (const std::string& pattern : patterns) trainable.require("collab.trunk.parameters", pattern);
  for (const FlatParams::Entry& entry : params.entries())
    if (entry.parameter->segment() == Segment::trainable && !is_task_scale(entry.name) && trainable.is_meant(patterns, entry.name))
      entries_.push_back(entry);
  std::sort(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  for (const FlatParams::Entry& entry : entries_) {
    names_.push_back(entry.name);
    descriptions_.push_back(entry.name + " " + entry.parameter->shape().text());
    elements_ += entry.count;
  }
}

template <class T>
void TrunkSelection::pack(const T* arena, std::span<T> packed) const {
  auto out = packed.begin();
  for (const FlatParams::Entry& entry : entries_) out = std::copy_n(arena + entry.first, entry.count, out);
}

template <class T>
void TrunkSelection::unpack(std::span<const T> packed, T* arena) const {
  auto in = packed.begin();
  for (const FlatParams::Entry& entry : entries_) std::copy_n(in, entry.count, arena + entry.first), in += entry.count;
}

std::vector<std::string> layers_before_head(const Module& model) {
  std::vector<std::string> out;
  for (const auto& [name, child] : model.children())
    if (!child->parameters().empty() && !is_task_scale(name)) out.push_back(name + ".*");
  if (!out.empty()) out.pop_back();
  return out;
}

void check_trunk(Communicator& world, const TrunkSelection& mine, const std::string& task) {
  std::string text;
  for (const std::string& each : mine.descriptions()) text += (text.empty() ? "" : ", ") + each;
  const auto all = all_gather_bytes(world, std::as_bytes(std::span(text)), "parameters of tasks");
  const auto said = [&](std::size_t r) { return std::string(reinterpret_cast<const char*>(all[r].data()), all[r].size()); };
  const auto names = all_gather_bytes(world, std::as_bytes(std::span(task)), "names of tasks");
  const auto name_of = [&](std::size_t r) { return std::string(reinterpret_cast<const char*>(names[r].data()), names[r].size()); };
  const std::string first = said(0);
  for (std::size_t r = 1; r < all.size(); ++r)
    if (const std::string other = said(r); other != first)
      throw UsageError(
          fmt::format("collab.strategy = trunk needs the same shared parameters in all tasks: {} has {}, {} has {}; give their "
                      "model.layers equal widths there, or name fewer with collab.trunk.parameters",
                      name_of(0), first.empty() ? "none" : first, name_of(r), other.empty() ? "none" : other));
  if (first.empty())
    throw UsageError(
        "collab.strategy = trunk has nothing to share: no layer with parameters lies before the head; name some with "
        "collab.trunk.parameters");
}

Trunk::Trunk(Lanes lanes, int number, TrunkOptions options)
    : lanes_(std::move(lanes)), number_(number), options_(std::move(options)), uncertainty_(options_.uncertainty_lr) {}

template <class T>
void Trunk::combine(std::span<T> gradient, std::int64_t step, double loss) {
  const double weight = options_.weights[static_cast<std::size_t>(number_)] * uncertainty_.weight();
  if (options_.pcgrad) {
    project(gradient, weight, step);
  } else {
    const T factor = static_cast<T>(weight);
    if (lanes_.carries() && weight != 1)
      for (T& each : gradient) each *= factor;
    lanes_.sum(gradient);
  }
  uncertainty_.step(loss);
}

template <class T>
void Trunk::project(std::span<T> gradient, double weight, std::int64_t step) {
  const auto tasks = static_cast<std::size_t>(lanes_.tasks()), square = tasks * tasks;
  const Share mine = lanes_.slice(static_cast<std::int64_t>(gradient.size()));
  const std::vector<T> all = lanes_.gather_slices<T>(gradient);
  // By block, so that sums do not depend on the number of lanes.
  std::vector<double> products((gradient.size() + kBlockElements - 1) / kBlockElements * square, 0);
  for (std::int64_t done = 0; done < mine.count; done += kBlockElements) {
    std::vector<const T*> gradients;
    for (std::size_t t = 0; t < tasks; ++t) gradients.push_back(all.data() + static_cast<std::int64_t>(t) * mine.count + done);
    add_products<T>(gradients, std::min(kBlockElements, mine.count - done),
                    std::span(products).subspan(static_cast<std::size_t>((mine.first + done) / kBlockElements) * square, square));
  }
  lanes_.spread_of_blocks(products, static_cast<std::int64_t>(square), static_cast<std::int64_t>(gradient.size()));
  std::vector<double> sums(square, 0), weights(tasks, 1);
  for (std::size_t i = 0; i < products.size(); ++i) sums[i % square] += products[i];
  const std::vector<std::int64_t> one(tasks, 1);
  if (lanes_.carries())
    lanes_.lane().all_gather(buffer_of(std::span(&weight, 1)), buffer_of(std::span(weights)), one, "weights of tasks").wait();
  const std::vector<double> factors = pcgrad_factors(sums, weights, mix(options_.seed, static_cast<std::uint64_t>(step)));
  for (std::int64_t i = 0; i < mine.count; ++i) {
    double sum = 0;
    for (std::size_t t = 0; t < tasks; ++t)
      sum += factors[t] * static_cast<double>(all[t * static_cast<std::size_t>(mine.count) + static_cast<std::size_t>(i)]);
    gradient[static_cast<std::size_t>(mine.first + i)] = static_cast<T>(sum);
  }
  lanes_.spread(gradient);
}

template <class T>
void Trunk::average(std::span<T> values) {
  const double total = std::accumulate(options_.weights.begin(), options_.weights.end(), 0.0);
  const T share = static_cast<T>(options_.weights[static_cast<std::size_t>(number_)] / total);
  for (T& each : values) each *= share;
  lanes_.sum(values);
}

template <class T>
void Trunk::spread_from(int task, std::span<T> values) {
  const Share mine = lanes_.slice(static_cast<std::int64_t>(values.size()));
  if (mine.count > 0) lanes_.lane().broadcast(buffer_of(values).part(mine.first, mine.count), task, "first values").wait();
  lanes_.spread(values);
}

std::int64_t Trunk::bytes_per_step(std::int64_t elements, std::int64_t element_bytes) const {
  if (!options_.pcgrad) return lanes_.bytes_of_sum(elements, element_bytes);
  const std::int64_t weights = lanes_.count() * lanes_.tasks() * 8;
  const std::int64_t products = (elements + kBlockElements - 1) / kBlockElements * lanes_.tasks() * lanes_.tasks();
  return lanes_.bytes_of_gather(elements, element_bytes) + lanes_.bytes_of_spread(elements, element_bytes) + weights +
         lanes_.bytes_of_spread(products, 8);
}

#define CHORALE_TRUNK(T)                                              \
  template void TrunkSelection::pack(const T*, std::span<T>) const;   \
  template void TrunkSelection::unpack(std::span<const T>, T*) const; \
  template void Trunk::combine(std::span<T>, std::int64_t, double);   \
  template void Trunk::average(std::span<T>);                         \
  template void Trunk::spread_from(int, std::span<T>);
CHORALE_TRUNK(float)
CHORALE_TRUNK(double)
#undef CHORALE_TRUNK

}  // namespace chorale
