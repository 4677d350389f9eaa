// The store of which every rank keeps the rows of its own buckets: owner of an entity = bucket mod ranks. What is posted goes to owners,
// they apply it, agree on means and deviations by sums of buckets, and send rows that have changed to the ranks that read them. All of it
// is under way between two ticks, so that nobody waits for it who makes steps enough; the bits are those of the replicated store.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/train/collab/shard_parts.hpp>

namespace chorale {

/// What one rank sends for a tick, without what it keeps for itself and, between nodes, without the envelopes of the six collectives.
struct ShardedTraffic {
  std::int64_t ranks = 1, publishers = 1, width = 8;
  std::int64_t buckets = 4096;  // that it owns
  std::int64_t entries = 0;     // (entity, part) that others own
  std::int64_t rows = 0;        // changed ones, by rank that reads them
  // Between nodes all counts go round, and a node's first rank passes on what its node tells all others.
  std::int64_t nodes = 1;
  std::int64_t passes_ranks = 0, passes_buckets = 0;  // of a node's first rank: ranks of the node, and buckets that they own
  /// Source: docs/collaborative.md.
  std::int64_t bytes() const;
};

/// One thread a rank.
class ShardedStore final : public Store {
 public:
  /// A rank's buckets of 4,096: number of those whose owner it is.
  static std::int64_t buckets_of(int rank, int ranks) { return (kBuckets - rank + ranks - 1) / ranks; }
  static int owner_of(EntityId id, int ranks) { return bucket_of(id) % ranks; }

  /// Collective. comm: of sharing alone; outlives the store. tasks: names of the publishers. number: of this rank's own publisher, -1:
  /// none. own: all of its keys, on every rank of its task alike.
  ShardedStore(Communicator& comm, std::vector<std::string> tasks, int number, const Publisher& own, const StoreOptions& options);
  std::vector<KeyPlaces> locate(const std::vector<WantedKeys>& wanted) override;
  void post(int publisher, const EntitySums& seen) override;
  void settle() override;
  void release() override { is_released_ = true; }
  void advance() override;
  void complete() override;
  bool is_pending() const override { return stage_ != Stage::idle; }
  void gather_state() override;
  std::vector<NamedTensor> state() override;
  void restore(const SafetensorsFile& file, const std::string& text) override;
  std::int64_t bytes() const override;
  std::string_view form() const override { return "sharded"; }
  const float* row(int publisher, std::int32_t position) const override;
  /// Of the posts that were completed so far.
  std::int64_t formula_bytes() const { return formula_bytes_; }

 private:
  static constexpr int kBuckets = 4096;
  /// What is under way, or here and waits to be used (arrived, ready).
  enum class Stage : std::uint8_t { idle, entry_counts, entries, arrived, means, deviations, row_counts, rows, ready };
  struct Place {
    std::int32_t owner, position;
  };
  struct Wanted {
    std::int32_t publisher, position;
  };
  void deal_out(int number, const Publisher& own);
  void drive(Stage until, bool waits);
  void finish_stage();
  ShardedTraffic traffic(std::int64_t entries) const;
  void exchange_counts(Label label);
  void exchange_words(Label label);
  void apply();
  void send_sums(bool of_squares);
  void take_sums(bool of_squares);
  void collect_rows(bool all);
  void take_rows();
  std::vector<std::int32_t> posted_here(std::size_t publisher) const;

  Communicator& comm_;
  int number_;
  std::vector<Place> place_of_;                             // of this task's own keys
  std::vector<std::int32_t> publishers_;                    // by rank: of its task
  std::vector<Shard> shards_;                               // by publisher: what this rank owns
  std::vector<ShardView> views_;                            // by publisher: what this rank reads
  std::vector<std::vector<Wanted>> wanted_by_;              // by rank: what it reads of here
  std::vector<std::vector<Wanted>> slots_;                  // by owner: where its rows go, publisher and place in the view
  std::vector<std::int64_t> send_counts_, receive_counts_;  // words
  std::vector<std::int32_t> sent_, received_;
  std::vector<double> own_sums_, all_sums_;
  std::vector<std::int64_t> sum_counts_;
  std::vector<std::vector<std::int32_t>> changed_;  // by publisher: positions
  std::vector<ColumnScale> next_scales_;
  std::vector<std::int64_t> counted_;                // by publisher: rows that count for the scale
  std::vector<WholeTable> whole_;                    // on rank 0, for a checkpoint
  std::vector<std::vector<std::int32_t>> restored_;  // by publisher: entries of a checkpoint, owned here
  bool is_restored_ = false;                         // they wait, and nothing that has arrived
  Stage stage_ = Stage::idle;
  bool is_released_ = false;
  std::int64_t formula_bytes_ = 0;
  Work work_;  // last: it goes first, while its buffers are there
};

}  // namespace chorale
