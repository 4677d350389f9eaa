#include <chorale/train/exchange/ordered_sum.hpp>

#include <chrono>

namespace chorale {

OrderedSum::OrderedSum(const ExchangeSetup& setup, Options options)
    : setup_(setup),
      options_(options),
      gradients_({.comm = setup.comm,
                  .device = setup.params.device(),
                  .dtype = setup.params.dtype(),
                  .elements = setup.params.trainable_elements(),
                  .virtual_workers = setup.virtual_workers,
                  .doubled = options.doubled}),
      reports_(setup.comm, setup.virtual_workers) {
  if (setup.comm.node_count() > 1) link_ = std::make_unique<NodeLink>(setup, gradients_);
}

std::span<const Buffer> OrderedSum::begin() {
  if (link_) link_->begin();
  return gradients_.begin();
}

void OrderedSum::bucket_ready(const Bucket& bucket) {
  if (link_) link_->bucket_ready(bucket);
}

StepOutcome OrderedSum::agree(std::int64_t step, std::span<const WorkerReport> reports, const RankReport& mine) {
  const auto start = std::chrono::steady_clock::now();
  {
    const TraceSpan span(setup_.trace, "wait: gradients");
    reports_.meet(reports, mine, "gradients");
  }
  StepOutcome out = reports_.collect();
  out.bad_step = step;
  if (link_) {
    {
      const TraceSpan span(setup_.trace, "buckets: receive and add");
      link_->reduce();
    }
    const TraceSpan span(setup_.trace, "buckets: sums to all nodes");
    if (out.bad_worker >= 0)
      setup_.comm.node().barrier("refused step").wait();  // peers may still read the gradients, which a caller may now write again
    else if (options_.everywhere)
      link_->spread_sums();
  }
  out.communicate_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  return out;
}

template <class T>
const T* OrderedSum::sum(std::int64_t first, std::int64_t n) {
  return link_ ? link_->sums().as<T>() + first : gradients_.sum<T>(0, first, n);
}
template const float* OrderedSum::sum<float>(std::int64_t, std::int64_t);
template const double* OrderedSum::sum<double>(std::int64_t, std::int64_t);

}  // namespace chorale
