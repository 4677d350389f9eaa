#include <chorale/train/collab/affinity.hpp>

#include <algorithm>
#include <Eigen/Core>
#include <array>
#include <cmath>
#include <cstring>

#include <chorale/core/base/error.hpp>
#include <chorale/train/replica.hpp>

namespace chorale {

namespace {

constexpr std::int64_t kEntities = 256, kFewest = 8;  // of a pair of tasks
constexpr std::size_t kLast = 10;                     // ticks of the mean
constexpr std::uint64_t kSeed = 0x616666u;
constexpr std::size_t kHeadWords = 8;
constexpr std::array<std::string_view, 5> kStages = {"idle", "burn-in", "probe", "joint", "ended"};

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Matrix centred(std::span<const float> x, std::int64_t n) {
  using Floats = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Matrix out = Eigen::Map<const Floats>(x.data(), n, static_cast<std::int64_t>(x.size()) / n).cast<double>();
  out.rowwise() -= out.colwise().mean().eval();
  return out;
}

/// Square of the Frobenius norm of x^T y.
double cross_norm(const Matrix& x, const Matrix& y) { return (x.transpose() * y).squaredNorm(); }

std::int64_t two_words(const std::int32_t* at) {
  std::int64_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return value;
}

void append(std::vector<std::int32_t>& words, std::int64_t value) {
  words.resize(words.size() + 2);
  std::memcpy(words.data() + words.size() - 2, &value, sizeof value);
}

std::vector<float> picked(const std::vector<std::int32_t>& words, std::size_t width, const std::vector<std::int64_t>& rows) {
  std::vector<float> out(rows.size() * width);
  for (std::size_t r = 0; r < rows.size(); ++r)
    std::memcpy(out.data() + r * width, words.data() + kHeadWords + static_cast<std::size_t>(rows[r]) * width, width * sizeof(float));
  return out;
}

}  // namespace

std::string_view name(TaskStage stage) { return kStages[static_cast<std::size_t>(stage)]; }

double linear_cka(std::span<const float> x, std::span<const float> y, std::int64_t n) {
  const Matrix a = centred(x, n), b = centred(y, n);
  const double size = std::sqrt(cross_norm(a, a) * cross_norm(b, b));
  return size > 0 ? cross_norm(a, b) / size : 0;
}

Affinity::Affinity(const Setup& setup) : setup_(setup), gather_(setup.sharing, "affinity") {
  const ProbeRows own = probe_rows(setup.rows);
  const auto ids = gather_ids(setup.sharing, setup.number, setup.tasks, own.ids);
  std::vector<std::vector<EntityId>> told(setup.tasks);  // by task: of all its pairs
  std::vector<std::vector<EntityId>> common;
  for (std::size_t a = 0; a < setup.tasks; ++a)
    for (std::size_t b = a + 1; b < setup.tasks; ++b) {
      pairs_.push_back({a, b, {}, {}});
      common.push_back(draw(in_common(ids[a], ids[b]), kEntities, kSeed));
      for (const std::size_t t : {a, b}) told[t].insert(told[t].end(), common.back().begin(), common.back().end());
    }
  for (std::vector<EntityId>& each : told) {
    std::sort(each.begin(), each.end());
    each.erase(std::unique(each.begin(), each.end()), each.end());
  }
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    const auto places = [&](std::size_t t) {
      const std::vector<std::int32_t> at = places_of(common[i], told[t]);
      return std::vector<std::int64_t>(at.begin(), at.end());
    };
    pairs_[i].rows_a = places(pairs_[i].a), pairs_[i].rows_b = places(pairs_[i].b);
  }
  probes_ = only(own, told[static_cast<std::size_t>(setup.number)]);
}

void Affinity::tick(std::int64_t number, const TaskNews& mine) {
  const auto told = gather_.take(static_cast<std::int64_t>(setup_.tasks));
  if (told_at_ > 0 && setup_.sharing.rank() == 0) {
    const TickNews news = read(told);
    last_.push_back(news.affinity);
    if (last_.size() > kLast) last_.pop_front();
    if (setup_.on_news) setup_.on_news(news);
  }
  std::vector<std::int32_t> words;
  if (setup_.task.rank() == 0) {
    append(words, mine.steps), append(words, mine.bytes);
    for (const std::int64_t each : {static_cast<std::int64_t>(mine.stage), mine.open_peers, mine.peers, std::int64_t{0}})
      words.push_back(static_cast<std::int32_t>(each));
    if (mine.stage != TaskStage::idle && !probes_.rows.empty()) {
      const Values in = Replica::gather(*setup_.rows.all, probes_.rows, setup_.device, setup_.dtype);
      const Tensor phi = setup_.model.hidden(in.at("x"), {.device = setup_.device}).value();
      words[kHeadWords - 1] = static_cast<std::int32_t>(phi.row_elements());
      append_floats(words, phi);
    }
  }
  gather_.post(setup_.number, std::move(words));
  told_at_ = number;
}

TickNews Affinity::read(const std::vector<std::vector<std::int32_t>>& told) const {
  const std::size_t tasks = setup_.tasks;
  TickNews out{.tick = told_at_, .tasks = std::vector<TaskNews>(tasks), .affinity = std::vector<double>(tasks * tasks, -1)};
  std::vector<std::size_t> width(tasks);
  for (std::size_t t = 0; t < tasks; ++t) {
    out.affinity[t * tasks + t] = 1;
    if (told[t].size() < kHeadWords) continue;
    const std::int32_t* w = told[t].data();
    out.tasks[t] = {.steps = two_words(w),
                    .bytes = two_words(w + 2),
                    .stage = static_cast<TaskStage>(std::clamp(w[4], 0, 4)),
                    .open_peers = w[5],
                    .peers = w[6]};
    width[t] = static_cast<std::size_t>(w[7]);
  }
  for (const Pair& pair : pairs_) {
    if (width[pair.a] == 0 || width[pair.b] == 0 || static_cast<std::int64_t>(pair.rows_a.size()) < kFewest) continue;
    const double cka = linear_cka(picked(told[pair.a], width[pair.a], pair.rows_a), picked(told[pair.b], width[pair.b], pair.rows_b),
                                  static_cast<std::int64_t>(pair.rows_a.size()));
    out.affinity[pair.a * tasks + pair.b] = out.affinity[pair.b * tasks + pair.a] = cka;
  }
  return out;
}

std::vector<NamedTensor> Affinity::state() const {
  const auto tasks = static_cast<std::int64_t>(setup_.tasks);
  std::vector<NamedTensor> out = gather_.state("affinity", tasks);
  kept_.clear();
  for (const std::vector<double>& each : last_) kept_.insert(kept_.end(), each.begin(), each.end());
  out.push_back({"affinity.last", DType::f64, {static_cast<std::int64_t>(last_.size()), tasks, tasks}, kept_.data()});
  return out;
}

void Affinity::restore(const SafetensorsFile& file, std::int64_t tick) {
  const NamedTensor* last = file.find("affinity.last");
  if (!last) return;
  const auto tasks = static_cast<std::int64_t>(setup_.tasks), ticks = last->shape.rank() == 3 ? last->shape[0] : 0;
  if (last->dtype != DType::f64 || last->shape != Shape({ticks, tasks, tasks}) || ticks > static_cast<std::int64_t>(kLast))
    throw CheckpointError(file.path().string() + ": affinity.last is " + last->shape.text() + ", expected at most " +
                          std::to_string(kLast) + " matrices of " + std::to_string(tasks) + " tasks");
  const auto* values = static_cast<const double*>(last->data);
  last_.clear();
  for (std::int64_t i = 0; i < ticks; ++i, values += tasks * tasks) last_.emplace_back(values, values + tasks * tasks);
  gather_.restore(file, "affinity", tasks);
  told_at_ = tick;
}

std::vector<double> Affinity::mean() const {
  if (last_.empty()) return {};
  std::vector<double> out(last_[0].size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    double sum = 0;
    std::int64_t known = 0;
    for (const std::vector<double>& each : last_)
      if (each[i] >= 0) sum += each[i], ++known;
    out[i] = known > 0 ? sum / static_cast<double>(known) : -1;
  }
  return out;
}

}  // namespace chorale
