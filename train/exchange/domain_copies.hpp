// Where a node has a copy of the parameters for each NUMA domain: owners update the copy of their own domain, then the ranks of every other
// domain copy that into theirs. One meeting more a step, and every byte crosses between domains once.
#pragma once
#include <vector>

#include <chorale/core/data/sampler.hpp>
#include <chorale/train/exchange/exchange.hpp>

namespace chorale {

/// One thread.
class DomainCopies {
 public:
  /// written: by local rank, which elements of its copy each rank of the node writes in a step; together all of them.
  DomainCopies(const ExchangeSetup& setup, const std::vector<std::vector<Share>>& written);
  /// The node has met after writing: afterwards all copies are equal. Collective over the node; nothing where there is one copy.
  void publish();

 private:
  struct Piece {
    Buffer to, from;
  };
  Communicator& node_;
  bool one_copy_ = true;
  std::vector<Piece> pieces_;  // what this rank brings
};

}  // namespace chorale
