#include <chorale/train/collab/affinity.hpp>

#include <algorithm>
#include <Eigen/Core>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include <chorale/core/base/error.hpp>
#include <chorale/train/replica.hpp>

namespace chorale {

namespace {

constexpr std::int64_t kEntities = 256, kBatch = 32, kFewest = 8;  // of a pair of tasks
constexpr std::size_t kLast = 10;                                  // batches of the mean
constexpr std::int64_t kMostTicks = 4;                             // from batch to batch
constexpr std::uint64_t kSeed = 0x616666u;
constexpr std::size_t kHeadWords = 8;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr auto kState = "affinity.dependence";  // of a checkpoint
constexpr std::array<std::string_view, 5> kStages = {"idle", "burn-in", "probe", "joint", "ended"};

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Matrix centred(std::span<const float> x, std::int64_t n) {
  using Floats = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Matrix out = Eigen::Map<const Floats>(x.data(), n, static_cast<std::int64_t>(x.size()) / n).cast<double>();
  out.rowwise() -= out.colwise().mean().eval();
  return out;
}

/// x x^T without its diagonal, which is what makes an estimate of few rows too great.
Matrix gram(const Matrix& x) {
  Matrix half = Matrix::Zero(x.rows(), x.rows());
  half.selfadjointView<Eigen::Lower>().rankUpdate(x);
  half.diagonal().setZero();
  return half.selfadjointView<Eigen::Lower>();
}

double criterion(const Matrix& k, const Matrix& l) {
  const auto n = static_cast<double>(k.rows());
  const Eigen::VectorXd of_k = k.rowwise().sum(), of_l = l.rowwise().sum();
  return (k.cwiseProduct(l).sum() + of_k.sum() * of_l.sum() / ((n - 1) * (n - 2)) - 2 * of_k.dot(of_l) / (n - 2)) / (n * (n - 3));
}

void make_rising(std::vector<EntityId>& ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

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

Dependence& Dependence::operator+=(const Dependence& other) {
  xy += other.xy, xx += other.xx, yy += other.yy;
  return *this;
}

double Dependence::cka() const {
  if (xx <= 0 || yy <= 0) return 0;
  return std::clamp(xy / std::sqrt(xx * yy), 0.0, 1.0);
}

Dependence dependence(std::span<const float> x, std::span<const float> y, std::int64_t n) {
  const Matrix of_x = gram(centred(x, n)), of_y = gram(centred(y, n));
  return {criterion(of_x, of_y), criterion(of_x, of_x), criterion(of_y, of_y)};
}

Affinity::Affinity(const Setup& setup)
    : setup_(setup),
      gather_(setup.sharing, "affinity"),
      stride_(std::clamp<std::int64_t>(setup.ticks / static_cast<std::int64_t>(kLast), 1, kMostTicks)) {
  const ProbeRows own = probe_rows(setup.rows);
  const auto ids = gather_ids(setup.sharing, setup.number, setup.tasks, own.ids);
  std::vector<EntityId> mine;
  for (std::size_t a = 0; a < setup.tasks; ++a)
    for (std::size_t b = a + 1; b < setup.tasks; ++b) {
      pairs_.push_back({a, b, draw(in_common(ids[a], ids[b]), kEntities, kSeed)});
      const std::vector<EntityId>& common = pairs_.back().common;
      for (const std::size_t t : {a, b})
        if (static_cast<int>(t) == setup.number) mine.insert(mine.end(), common.begin(), common.end());
    }
  make_rising(mine);
  probes_ = only(own, mine);
}

/// Every n / 32nd of them, from another one in each batch.
std::vector<EntityId> Affinity::Pair::batch(std::int64_t number) const {
  const auto n = static_cast<std::int64_t>(common.size()), batches = std::max<std::int64_t>(1, n / kBatch);
  std::vector<EntityId> out;
  for (std::int64_t i = number % batches; i < n && n >= kFewest; i += batches) out.push_back(common[static_cast<std::size_t>(i)]);
  return out;
}

std::vector<EntityId> Affinity::told_by(std::size_t task, std::int64_t tick) const {
  std::vector<EntityId> out;
  for (const Pair& pair : pairs_) {
    if (pair.a != task && pair.b != task) continue;
    const std::vector<EntityId> batch = pair.batch(batch_of(tick));
    out.insert(out.end(), batch.begin(), batch.end());
  }
  make_rising(out);
  return out;
}

void Affinity::tick(std::int64_t number, const TaskNews& mine) {
  const auto told = gather_.take(static_cast<std::int64_t>(setup_.tasks));
  if (told_at_ > 0 && setup_.sharing.rank() == 0) {
    const TickNews news = read(told);
    if (setup_.on_news) setup_.on_news(news);
  }
  std::vector<std::int32_t> words;
  if (setup_.task.rank() == 0) {
    append(words, mine.steps), append(words, mine.bytes);
    for (const std::int64_t each : {static_cast<std::int64_t>(mine.stage), mine.open_peers, mine.peers, std::int64_t{0}})
      words.push_back(static_cast<std::int32_t>(each));
    ProbeRows now;
    if (is_due(number) && mine.stage != TaskStage::idle) now = only(probes_, told_by(static_cast<std::size_t>(setup_.number), number));
    if (!now.rows.empty()) {
      const Values in = Replica::gather(*setup_.rows.all, now.rows, setup_.device, setup_.dtype);
      const Tensor phi = setup_.model.hidden(in.at("x"), {.device = setup_.device}).value();
      words[kHeadWords - 1] = static_cast<std::int32_t>(phi.row_elements());
      append_floats(words, phi);
    }
  }
  gather_.post(setup_.number, std::move(words));
  told_at_ = number;
}

TickNews Affinity::read(const std::vector<std::vector<std::int32_t>>& told) {
  const std::size_t tasks = setup_.tasks;
  TickNews out{.tick = told_at_, .tasks = std::vector<TaskNews>(tasks), .affinity = {}};
  std::vector<std::size_t> width(tasks);
  for (std::size_t t = 0; t < tasks; ++t) {
    if (told[t].size() < kHeadWords) continue;
    const std::int32_t* w = told[t].data();
    out.tasks[t] = {.steps = two_words(w),
                    .bytes = two_words(w + 2),
                    .stage = static_cast<TaskStage>(std::clamp(w[4], 0, 4)),
                    .open_peers = w[5],
                    .peers = w[6]};
    width[t] = static_cast<std::size_t>(w[7]);
  }
  if (is_due(told_at_)) add_batch(told, width);
  out.affinity = matrix();
  return out;
}

/// width: by task, of what it told of a row; 0: nothing.
void Affinity::add_batch(const std::vector<std::vector<std::int32_t>>& told, const std::vector<std::size_t>& width) {
  std::vector<double> found;
  for (const Pair& pair : pairs_) {
    const std::vector<EntityId> batch = pair.batch(batch_of(told_at_));
    const auto rows_of = [&](std::size_t t) {
      const std::vector<std::int32_t> at = places_of(batch, told_by(t, told_at_));
      return picked(told[t], width[t], {at.begin(), at.end()});
    };
    Dependence d{kNaN, kNaN, kNaN};
    if (width[pair.a] > 0 && width[pair.b] > 0 && !batch.empty())
      d = dependence(rows_of(pair.a), rows_of(pair.b), static_cast<std::int64_t>(batch.size()));
    found.insert(found.end(), {d.xy, d.xx, d.yy});
  }
  last_.push_back(std::move(found));
  if (last_.size() > kLast) last_.pop_front();
}

std::vector<NamedTensor> Affinity::state() const {
  std::vector<NamedTensor> out = gather_.state("affinity", static_cast<std::int64_t>(setup_.tasks));
  kept_.clear();
  for (const std::vector<double>& each : last_) kept_.insert(kept_.end(), each.begin(), each.end());
  const auto pairs = static_cast<std::int64_t>(pairs_.size());
  if (pairs > 0) out.push_back({kState, DType::f64, {static_cast<std::int64_t>(last_.size()), pairs, 3}, kept_.data()});
  return out;
}

void Affinity::restore(const SafetensorsFile& file, std::int64_t tick) {
  const NamedTensor* last = file.find(kState);
  if (!last) return;
  const auto pairs = static_cast<std::int64_t>(pairs_.size()), ticks = last->shape.rank() == 3 ? last->shape[0] : 0;
  if (last->dtype != DType::f64 || last->shape != Shape({ticks, pairs, 3}) || ticks > static_cast<std::int64_t>(kLast))
    throw CheckpointError(file.path().string() + ": " + kState + " is " + last->shape.text() + ", expected three numbers of " +
                          std::to_string(pairs) + " pairs of tasks, at most " + std::to_string(kLast) + " times");
  const auto* values = static_cast<const double*>(last->data);
  last_.clear();
  for (std::int64_t i = 0; i < ticks; ++i, values += 3 * pairs) last_.emplace_back(values, values + 3 * pairs);
  gather_.restore(file, "affinity", static_cast<std::int64_t>(setup_.tasks));
  told_at_ = tick;
}

std::vector<double> Affinity::matrix() const {
  if (last_.empty()) return {};
  const std::size_t tasks = setup_.tasks;
  std::vector<double> out(tasks * tasks, -1);
  for (std::size_t t = 0; t < tasks; ++t) out[t * tasks + t] = 1;
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    Dependence all;
    bool is_known = false;
    for (const std::vector<double>& each : last_) {
      const Dependence d{each[3 * i], each[3 * i + 1], each[3 * i + 2]};
      if (!std::isnan(d.xy)) all += d, is_known = true;
    }
    const auto& [a, b, common] = pairs_[i];
    if (is_known) out[a * tasks + b] = out[b * tasks + a] = all.cka();
  }
  return out;
}

}  // namespace chorale
