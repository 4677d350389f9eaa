#include <chorale/train/exchange/replicated.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

namespace chorale {

namespace {

using Clock = std::chrono::steady_clock;
double ms_between(Clock::time_point a, Clock::time_point b) { return std::chrono::duration<double, std::milli>(b - a).count(); }

constexpr std::int64_t kHeader = 8;  // stop, five phases, padding

std::vector<std::vector<Subtree>> held_by_all(std::int64_t size, std::int64_t workers) {
  std::vector<std::vector<Subtree>> out;
  for (std::int64_t r = 0; r < size; ++r) out.push_back(maximal_subtrees(workers, workers_of(r, size, workers)));
  return out;
}

std::vector<Subtree> flattened(const std::vector<std::vector<Subtree>>& held) {
  std::vector<Subtree> out;
  for (const auto& of_rank : held) out.insert(out.end(), of_rank.begin(), of_rank.end());
  return out;
}

std::vector<Subtree> leaves(std::int64_t workers) {
  std::vector<Subtree> out;
  for (std::int64_t v = 0; v < workers; ++v) out.push_back({v, 1});
  return out;
}

}  // namespace

Replicated::Replicated(const ExchangeSetup& setup)
    : comm_(setup.comm),
      device_(setup.params.device()),
      dtype_(setup.params.dtype()),
      workers_(setup.virtual_workers),
      elements_(setup.params.trainable_elements()),
      stride_((elements_ + 15) / 16 * 16),
      rank_(comm_.rank()),
      size_(comm_.size()),
      local_(comm_.node().rank()),
      node_size_(comm_.node().size()),
      first_of_node_(rank_ - local_),
      one_node_(comm_.node_count() == 1),
      buckets_(setup.buckets),
      held_(held_by_all(size_, workers_)),
      tree_(workers_, flattened(held_)),
      report_tree_(workers_, leaves(workers_)) {
  int next = 0;
  for (const auto& of_rank : held_) first_contribution_.push_back(next), next += static_cast<int>(of_rank.size());
  const std::int64_t mine = static_cast<std::int64_t>(held_[static_cast<std::size_t>(rank_)].size());
  gradients_ = comm_.node().allocate(2 * mine * stride_, dtype_);
  for (int r = 0; r < size_; ++r) report_elements_ = std::max(report_elements_, kHeader + 2 * workers_of(r, size_, workers_).count);
  report_elements_ = (report_elements_ + 7) / 8 * 8;
  reports_ = comm_.node().allocate(2 * report_elements_, DType::f64);
  scratch_ = Tensor::empty(device_, {tree_.scratch_slots(), kBlockElements}, dtype_);
  phases_.resize(static_cast<std::size_t>(size_));
  all_reports_.resize(static_cast<std::size_t>(size_ * report_elements_));
  travelling_.resize(one_node_ ? 0 : buckets_.size());
}

std::vector<Buffer> Replicated::begin() {
  parity_ = 1 - parity_;
  const std::int64_t count = static_cast<std::int64_t>(held_[static_cast<std::size_t>(rank_)].size());
  std::vector<Buffer> out;
  for (std::int64_t c = 0; c < count; ++c) out.push_back(gradients_.mine.part((parity_ * count + c) * stride_, elements_));
  return out;
}

double* Replicated::report_slot(int local_rank, int parity) const {
  return reports_.peers[static_cast<std::size_t>(local_rank)].as<double>() + parity * report_elements_;
}

void Replicated::publish(std::span<const WorkerReport> reports, const RankReport& mine) {
  double* slot = report_slot(local_, parity_);
  const Phases& p = mine.phases;
  const std::array<double, kHeader> header = {mine.stop ? 1.0 : 0.0, p.data, p.forward, p.backward, p.communicate, p.update};
  std::copy(header.begin(), header.end(), slot);
  for (std::size_t w = 0; w < reports.size(); ++w) slot[kHeader + 2 * w] = reports[w].loss, slot[kHeader + 2 * w + 1] = reports[w].weight;
}

StepOutcome Replicated::collect() {
  StepOutcome out;
  std::vector<const double*> loss, weight;
  for (int r = 0; r < size_; ++r) {
    const double* slot = one_node_ ? report_slot(r, parity_) : all_reports_.data() + r * report_elements_;
    out.stop = out.stop || slot[0] != 0;
    phases_[static_cast<std::size_t>(r)] = {slot[1], slot[2], slot[3], slot[4], slot[5]};
    const Share held = workers_of(r, size_, workers_);
    for (std::int64_t w = 0; w < held.count; ++w) {
      loss.push_back(slot + kHeader + 2 * w), weight.push_back(slot + kHeader + 2 * w + 1);
      if (out.bad_worker < 0 && !(std::isfinite(*loss.back()) && std::isfinite(*weight.back()))) out.bad_worker = held.first + w;
    }
  }
  double scratch[64];
  const auto add = [](const double* a, const double* b, double* c, std::int64_t) { *c = *a + *b; };
  out.loss = *report_tree_.sum(loss, 0, 1, scratch, 1, add);
  out.weight = *report_tree_.sum(weight, 0, 1, scratch, 1, add);
  return out;
}

StepOutcome Replicated::step(FlatParams& params, Optimizer& optimizer, std::int64_t step, std::span<const WorkerReport> reports,
                             const RankReport& mine) {
  const Clock::time_point start = Clock::now();
  publish(reports, mine);
  if (one_node_) {
    if (size_ > 1) comm_.barrier("gradients").wait();
  } else {
    std::vector<std::int64_t> counts(static_cast<std::size_t>(size_), report_elements_);
    comm_
        .all_gather(reports_.mine.part(parity_ * report_elements_, report_elements_), buffer_of(std::span(all_reports_)), counts,
                    "step reports")
        .wait();
  }
  StepOutcome out = collect();
  if (!one_node_) with_float_type(dtype_, [&]<class T>() { reduce_between_nodes<T>(); });
  const Clock::time_point agreed = Clock::now();
  out.communicate_ms = ms_between(start, agreed);
  if (out.bad_worker >= 0) return out;
  with_float_type(dtype_, [&]<class T>() { update_all<T>(params, optimizer, step, out.weight); });
  out.update_ms = ms_between(agreed, Clock::now());
  return out;
}

template <class T>
const T* Replicated::summed_block(std::int64_t first, std::int64_t n) {
  if (!one_node_) return reduced_.data<T>() + first;
  thread_local std::vector<const T*> kept;  // no allocation a block
  kept.clear();
  for (int r = 0; r < node_size_; ++r) {
    const std::int64_t count = static_cast<std::int64_t>(held_[static_cast<std::size_t>(r)].size());
    for (std::int64_t c = 0; c < count; ++c)
      kept.push_back(gradients_.peers[static_cast<std::size_t>(r)].template as<T>() + (parity_ * count + c) * stride_);
  }
  const auto add = [&](const T* a, const T* b, T* c, std::int64_t m) { device_.typed<T>().add(a, b, c, m); };
  return tree_.sum(kept, first, n, scratch_.data<T>(), kBlockElements, add);
}

template <class T>
void Replicated::update_all(FlatParams& params, Optimizer& optimizer, std::int64_t step, double weight) {
  double scale = weight > 0 ? 1 / weight : 0;
  T* values = params.values().as<T>();
  const bool two_passes = optimizer.clip_norm() > 0;
  if (two_passes) {
    if (!reduced_.defined()) reduced_ = Tensor::empty(device_, {elements_}, dtype_);
    double squares = 0;
    for (std::int64_t first = 0; first < elements_; first += kBlockElements) {
      const std::int64_t n = std::min(kBlockElements, elements_ - first);
      const T* sum = summed_block<T>(first, n);
      if (one_node_) std::memcpy(reduced_.data<T>() + first, sum, static_cast<std::size_t>(n) * sizeof(T));
      squares += device_.typed<T>().sum_of_squares(sum, n, T(scale));
    }
    const double norm = std::sqrt(squares);
    if (norm > optimizer.clip_norm()) scale *= optimizer.clip_norm() / (norm + 1e-6);  // as torch.nn.utils.clip_grad_norm_
  }
  optimizer.begin_step(step, scale);
  for (std::int64_t first = 0; first < elements_; first += kBlockElements) {
    const std::int64_t n = std::min(kBlockElements, elements_ - first);
    const T* sum = two_passes ? reduced_.data<T>() + first : summed_block<T>(first, n);
    optimizer.apply<T>(device_, values + first, sum, first, n);
  }
}

namespace {
std::unique_ptr<Exchange> make_replicated(const ExchangeSetup& setup) { return std::make_unique<Replicated>(setup); }
}  // namespace

void register_replicated(Registry& registry) {
  registry.of<ExchangeEntry>().add("replicated", {"private parameters on every rank, one barrier a step", make_replicated});
}

std::vector<Bucket> plan_buckets(const FlatParams& params, std::int64_t bucket_bytes) {
  const std::int64_t bytes = static_cast<std::int64_t>(size_bytes(params.dtype())), total = params.trainable_elements();
  const std::int64_t per = std::max<std::int64_t>(1, bucket_bytes / (bytes * kBlockElements)) * kBlockElements;
  std::vector<Bucket> out;
  for (std::int64_t first = 0; first < total; first += per)
    out.push_back({static_cast<int>(out.size()), first, std::min(per, total - first)});
  return out;
}

}  // namespace chorale
