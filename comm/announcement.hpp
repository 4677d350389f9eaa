// What a rank says about the collective it has come to. Peers compare a 64-bit signature at every collective and read
// the rest only to explain a difference. Plain bytes: lies in shared memory and travels between nodes.
#pragma once
#include <cstdint>
#include <string>

#include <chorale/comm/communicator.hpp>

namespace chorale {

enum class Verb : std::uint8_t { barrier, all_reduce, reduce_scatter, all_gather, all_to_all, broadcast, send, recv, split, allocate };
const char* name(Verb verb);

/// Fields that a verb does not use stay at their defaults on every rank.
struct Announcement {
  Verb verb = Verb::barrier;
  DType dtype = DType::u8;
  Reduce op = Reduce::sum;
  std::int32_t root = -1;
  std::int64_t elements = -1;     // where ranks must agree
  std::uint64_t counts_hash = 0;  // of the v forms' counts
  std::uint64_t sequence = 0;
  char label[64] = {};

  /// Prefix and text; what is too long loses its end.
  void set_label(std::string_view text, std::string_view prefix = {});
  std::uint64_t signature() const;
  /// "all_reduce 'grad' #17 (sum of 100 x f32)"
  std::string text() const;
  /// "all_reduce 'grad'"
  std::string title() const;
  /// "all_reduce #17 'grad'"
  std::string numbered() const;
  /// "[all_reduce 'grad' #17] ": how errors begin.
  std::string heading() const;
};

std::uint64_t hash_counts(std::span<const std::int64_t> counts);

}  // namespace chorale
