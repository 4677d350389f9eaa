// The `replicated` exchange: every rank has private parameters and optimiser state, gradients lie doubled in node memory, one barrier a
// step. Each rank sums all contributions block by block in tree order and applies the update to its own copy: equal bits on every rank
// without an all-gather. Between nodes every bucket is cut over all ranks, travels by all-to-all, is summed by its owner and comes back by
// all-gather.
#pragma once
#include <chorale/train/exchange/exchange.hpp>

namespace chorale {

class Replicated final : public Exchange {
 public:
  explicit Replicated(const ExchangeSetup& setup);
  std::vector<Buffer> begin() override;
  void bucket_ready(const Bucket& bucket) override;
  StepOutcome step(FlatParams& params, Optimizer& optimizer, std::int64_t step, std::span<const WorkerReport> reports,
                   const RankReport& mine) override;
  std::vector<Phases> phases() const override { return phases_; }
  std::uint64_t bytes_per_step() const override;

 private:
  struct Travelling {  // a bucket between nodes
    std::vector<std::int64_t> shares, send_counts, receive_counts;
    Tensor packed, received;
    Work work;
  };
  double* report_slot(int local_rank, int parity) const;
  void publish(std::span<const WorkerReport> reports, const RankReport& mine);
  StepOutcome collect();
  template <class T>
  void update_all(FlatParams& params, Optimizer& optimizer, std::int64_t step, double weight);
  template <class T>
  const T* summed_block(std::int64_t first, std::int64_t n);
  template <class T>
  void reduce_between_nodes();
  template <class T>
  void pack(const Bucket& bucket, Travelling& out);
  std::vector<std::int64_t> shares_of(const Bucket& bucket) const;

  Communicator& comm_;
  Device& device_;
  DType dtype_;
  std::int64_t workers_, elements_, stride_;  // stride_: elements of one contribution in memory
  int rank_, size_, local_, node_size_, first_of_node_;
  bool one_node_;
  std::vector<Bucket> buckets_;
  std::vector<std::vector<Subtree>> held_;  // by rank
  std::vector<int> first_contribution_;     // by rank
  TreeSum tree_;
  TreeSum report_tree_;
  SharedMemory gradients_, reports_;
  std::int64_t report_elements_ = 0;
  int parity_ = 1;
  std::vector<Travelling> travelling_;
  Tensor scratch_, reduced_;  // reduced_: the whole summed gradient, where it is needed as a whole
  std::vector<double> all_reports_;
  std::vector<Phases> phases_;
};

}  // namespace chorale
