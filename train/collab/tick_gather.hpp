// What every rank has to say at a tick, to all ranks: posted at one tick, taken at the next, and under way meanwhile. First each rank says
// how much comes, then it comes.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/io/named_tensor.hpp>
#include <chorale/core/io/safetensors_file.hpp>

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
  /// Words by tag, below `tags`, once: waits for them. Without a post, or what a checkpoint has given back: none.
  std::vector<std::vector<std::int32_t>> take(std::int64_t tags);
  /// What is posted, for a checkpoint: "NAME.posted.TAG". After settle(), valid until the next call.
  std::vector<NamedTensor> state(const std::string& name, std::int64_t tags) const;
  /// take() will give what the checkpoint holds.
  void restore(const SafetensorsFile& file, const std::string& name, std::int64_t tags);

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
  mutable std::vector<std::vector<std::int32_t>> kept_;  // for a checkpoint
  std::vector<std::vector<std::int32_t>> restored_;      // by tag
  Work work_;                                            // last: it goes first, while its buffers are there
};

}  // namespace chorale
