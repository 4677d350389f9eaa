// What a layer keeps of the batches it has seen in training: means and variances by channel, which evaluation uses. A training pass stages
// the moments of its virtual worker's rows; once a step those of all workers are merged, in their order, into one update.
#pragma once
#include <cstdint>
#include <vector>

#include <chorale/core/autograd/channel_norm.hpp>
#include <chorale/core/nn/parameter.hpp>

namespace chorale {

/// One thread. Of the staged memory: the mean where the running mean lies, the biased variance likewise, and how many values they are of
/// where the number of batches lies; 0: none.
class RunningStatistics {
 public:
  struct Places {
    Parameter &mean, &variance, &batches;
  };
  struct Options {
    double momentum = 0.1;         // the share of the new batch in each update
    bool is_synchronised = false;  // moments are of all ranks' rows, and every rank stages the same
  };
  RunningStatistics(Places places, const Options& options) : places_(places), options_(options) {}
  bool is_synchronised() const { return options_.is_synchronised; }

  /// In forward: moments of a pass, beside those of the same worker's passes before. Nothing happens where nothing is to be staged.
  void stage(const Moments& seen) const;
  /// What evaluation normalises with; a constant.
  Moments running() const { return {places_.mean.value(), places_.variance.value(), 0}; }

  /// Adds what is staged now. Once for each worker, in their order.
  void absorb();
  /// Writes the next running values to where is staged now: (1 - momentum) old + momentum new, with the unbiased variance, as PyTorch; the
  /// old ones where nothing was absorbed. Forgets what was absorbed.
  void finish();

 private:
  Places places_;
  Options options_;
  double count_ = 0;
  std::vector<double> mean_, squares_;  // of what was absorbed; squares around the mean
};

}  // namespace chorale
