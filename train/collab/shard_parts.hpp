// What a sharded store is made of on a rank, and the messages in which keys and states of shards travel.
#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/train/collab/store_table.hpp>

namespace chorale {

/// Some of a publisher's keys, or of those that a listener asks for.
struct ShardKeys {
  std::int64_t all_keys = 0;  // of the publisher; in a question: the publisher's number
  std::int32_t scale_before = std::numeric_limits<std::int32_t>::max();
  std::vector<EntityId> ids;
  std::vector<std::int32_t> periods;  // empty: without time
  std::vector<std::int32_t> global;   // positions among all of its keys
  std::vector<std::uint8_t> trained;
  EntityKeys keys() const { return {ids, periods}; }
  void add(const EntityKeys& from, std::size_t key);
  void add(const Publisher& from, std::size_t key);
  std::vector<std::byte> packed() const;
  static ShardKeys unpacked(const std::vector<std::byte>& bytes);
};

/// What a rank owns of a publisher's rows.
struct Shard {
  Shard(ShardKeys keys, const std::string& task, const StoreOptions& options);
  StoreTable table;
  std::vector<std::int32_t> global;  // by key, rising: its position among all keys of the publisher
  std::int64_t all_keys = 0;
};

/// What a rank reads of a publisher: raw rows, by place.
struct ShardView {
  std::vector<float> rows;  // [places, width]
  std::vector<std::uint8_t> present;
};

/// A publisher's rows on rank 0, for a checkpoint.
struct WholeTable {
  std::vector<EntityId> ids;
  std::vector<std::int32_t> periods, posted;
  std::vector<float> rows;
  std::vector<std::uint8_t> present;
};

/// Values one after the other, behind their number, and back.
template <class T>
void append_values(std::vector<std::byte>& to, const std::vector<T>& values);
/// at: moves on. Throws InternalError where the bytes end too early.
template <class T>
std::vector<T> next_values(const std::vector<std::byte>& bytes, std::size_t& at);

/// parts[r] goes to rank r; what comes, by rank. Collective, blocks.
std::vector<std::vector<std::byte>> all_to_all_bytes(Communicator& comm, const std::vector<std::vector<std::byte>>& parts, Label label);

}  // namespace chorale
