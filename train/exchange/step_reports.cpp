#include <chorale/train/exchange/step_reports.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace chorale {

namespace {
constexpr std::int64_t kHeader = 8;  // stop, five phases, two of checkpoints

std::vector<Subtree> leaves(std::int64_t workers) {
  std::vector<Subtree> out;
  for (std::int64_t v = 0; v < workers; ++v) out.push_back({v, 1});
  return out;
}
}  // namespace

StepReports::StepReports(Communicator& comm, std::int64_t virtual_workers)
    : comm_(comm),
      workers_(virtual_workers),
      size_(comm.size()),
      local_(comm.node().rank()),
      one_node_(comm.node_count() == 1),
      tree_(virtual_workers, leaves(virtual_workers)) {
  for (int r = 0; r < size_; ++r) elements_ = std::max(elements_, kHeader + 2 * workers_of(r, size_, workers_).count);
  elements_ = (elements_ + 15) / 16 * 16;  // whole pairs of cache lines: no two ranks write to one
  memory_ = comm_.node().allocate(2 * elements_, DType::f64);
  phases_.resize(static_cast<std::size_t>(size_));
  if (!one_node_) all_.resize(static_cast<std::size_t>(size_ * elements_));
}

double* StepReports::slot(int local_rank) const {
  return memory_.peers[static_cast<std::size_t>(local_rank)].as<double>() + parity_ * elements_;
}

void StepReports::meet(std::span<const WorkerReport> reports, const RankReport& mine, Label label) {
  parity_ = 1 - parity_;
  double* to = slot(local_);
  const Phases& p = mine.phases;
  const std::array<double, kHeader> header = {
      static_cast<double>(mine.stop), p.data, p.forward, p.backward, p.communicate, p.update, mine.save.wanted ? 1.0 : 0.0,
      mine.save.writing ? 1.0 : 0.0};
  std::copy(header.begin(), header.end(), to);
  for (std::size_t w = 0; w < reports.size(); ++w) to[kHeader + 2 * w] = reports[w].loss, to[kHeader + 2 * w + 1] = reports[w].weight;
  if (one_node_) {
    if (size_ > 1) comm_.barrier(label).wait();
    return;
  }
  const std::vector<std::int64_t> counts(static_cast<std::size_t>(size_), elements_);
  comm_.all_gather(memory_.mine.part(parity_ * elements_, elements_), buffer_of(std::span(all_)), counts, label).wait();
}

StepOutcome StepReports::collect() {
  StepOutcome out;
  out.save.told = true;
  loss_.clear(), weight_.clear();
  for (int r = 0; r < size_; ++r) {
    const double* from = one_node_ ? slot(r) : all_.data() + r * elements_;
    out.stop = std::max(out.stop, static_cast<Stop>(static_cast<int>(from[0])));
    out.save.wanted = out.save.wanted || from[6] != 0, out.save.writing = out.save.writing || from[7] != 0;
    phases_[static_cast<std::size_t>(r)] = {from[1], from[2], from[3], from[4], from[5]};
    const Share held = workers_of(r, size_, workers_);
    for (std::int64_t w = 0; w < held.count; ++w) {
      const double* report = from + kHeader + 2 * w;
      loss_.push_back(report), weight_.push_back(report + 1);
      if (out.bad_worker < 0 && !(std::isfinite(report[0]) && std::isfinite(report[1]))) out.bad_worker = held.first + w;
    }
  }
  double scratch[64];
  const auto add = [](const double* a, const double* b, double* c, std::int64_t) { *c = *a + *b; };
  out.loss = *tree_.sum<double>(loss_, 0, 1, scratch, 1, add);
  out.weight = *tree_.sum<double>(weight_, 0, 1, scratch, 1, add);
  return out;
}

}  // namespace chorale
