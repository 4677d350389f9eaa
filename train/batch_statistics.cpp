#include <chorale/train/batch_statistics.hpp>

#include <algorithm>

#include <chorale/train/data_parallel.hpp>
#include <chorale/train/worker_tree.hpp>

namespace chorale {

BatchStatistics::BatchStatistics(const Setup& s) : comm_(s.comm), params_(s.params), all_(s.model.statistics()) {
  if (all_.empty()) return;
  refuse(s);
  const std::int64_t elements = params_.buffer_elements();
  for (int r = 0; r < comm_.size(); ++r) counts_.push_back(elements * workers_of(r, comm_.size(), s.virtual_workers).count);
  const Share mine = workers_of(comm_.rank(), comm_.size(), s.virtual_workers);
  first_worker_ = mine.first;
  mine_ = Tensor::zeros(params_.device(), {mine.count, elements}, params_.dtype());
  staged_ = Tensor::zeros(params_.device(), {s.virtual_workers, elements}, params_.dtype());
  next_ = Tensor::zeros(params_.device(), {1, elements}, params_.dtype());
  if (!std::ranges::any_of(all_, &RunningStatistics::is_synchronised)) return;
  in_passes_ = comm_.split(0, comm_.rank(), "statistics");  // the other one may be a thread's during backward
  sum_ = [this](std::span<double> numbers) { in_passes_->all_reduce(buffer_of(numbers), Reduce::sum, "batch statistics").wait(); };
}

void BatchStatistics::refuse(const Setup& s) const {
  if (s.parallel.exchange == "local_sgd")
    throw UsageError(
        "batch_norm keeps statistics that all ranks agree on at each step, and with parallel.exchange = local_sgd they do not; use "
        "group_norm or layer_norm, or another exchange");
  if (!std::ranges::any_of(all_, &RunningStatistics::is_synchronised)) return;
  const std::string what = "batch_norm(sync=true) normalises with all ranks' rows in each pass, ", ranks = std::to_string(comm_.size());
  if (s.virtual_workers != comm_.size())
    throw UsageError(what + "and " + ranks + " ranks have " + std::to_string(s.virtual_workers) +
                     " virtual workers, which do not pass at the same time; use --parallel.virtual_workers " + ranks +
                     ", or remove sync=true");
  if (s.train.accumulate > 1)
    throw UsageError(what + "which train.accumulate = " + std::to_string(s.train.accumulate) + " takes apart; remove one of the two");
  if (const std::int64_t last = s.rows % s.train.batch; last > 0 && last < comm_.size())
    throw UsageError(what + "and the last batch of an epoch has " + std::to_string(last) + " rows for " + ranks +
                     " ranks; choose another train.batch, or remove sync=true");
}

void BatchStatistics::begin(std::int64_t v) {
  if (all_.empty()) return;
  const Buffer memory = row(mine_, v - first_worker_);
  params_.device().clear(memory.data, memory.bytes());
  params_.stage_in(memory);
}

void BatchStatistics::update(DataParallel& replicas) {
  if (all_.empty()) return;
  comm_.all_gather(mine_.buffer(), staged_.buffer(), counts_, "batch statistics").wait();
  for (std::int64_t v = 0; v < staged_.rows(); ++v) {
    params_.stage_in(row(staged_, v));
    for (RunningStatistics* each : all_) each->absorb();
  }
  params_.stage_in(next_.buffer());
  for (RunningStatistics* each : all_) each->finish();
  replicas.write_buffers(next_.buffer());
}

}  // namespace chorale
