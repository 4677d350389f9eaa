// What every rank has to say at a tick, to all ranks: posted at one tick, taken at the next, and under way meanwhile. First each rank says
// how much comes, then it comes.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>

namespace chorale {

/// One thread a rank; calls are collective, in the same order on all ranks. Sends 16 bytes and 4 a word a rank.
class TickGather {
 public:
  /// comm: of this alone, outliving it. what: names it in errors, "sharing".
  TickGather(Communicator& comm, const std::string& what) : comm_(comm), sizes_(what + " sizes"), rows_(what + " rows") {}
  /// Begins to send. tag: whose words they are, >= 0; -1: nobody's, and none. Throws InternalError where the last ones were not taken.
  void post(std::int64_t tag, std::vector<std::int32_t> words);
  /// Pushes on, without waiting.
  void advance();
  /// Waits until all is here.
  void settle();
  bool is_pending() const { return is_pending_; }
  /// Words of all ranks that gave this tag, in rank order. After settle().
  std::vector<std::int32_t> words_of(std::int64_t tag) const;
  /// What was posted has been taken: the next may be.
  void clear();

 private:
  struct Head {
    std::int64_t tag, words;
  };
  void begin_words();
  Communicator& comm_;
  std::string sizes_, rows_;  // labels
  Head mine_ = {};
  std::vector<std::int32_t> sent_, words_;
  std::vector<Head> heads_;
  bool is_pending_ = false, words_begun_ = false;
  Work work_;  // last: it goes first, while its buffers are there
};

}  // namespace chorale
