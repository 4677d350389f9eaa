// Rows of one publisher, or of the part of its keys that a rank owns: what both forms of the store keep and compute alike.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <chorale/train/collab/store.hpp>

namespace chorale {

/// One thread.
class StoreTable {
 public:
  StoreTable(Publisher publisher, const StoreOptions& options);
  const Publisher& publisher() const { return publisher_; }
  std::int64_t keys() const { return static_cast<std::int64_t>(publisher_.ids.size()); }
  std::vector<float>& rows() { return rows_; }  // [keys, width]; zeros where there is none
  const std::vector<float>& rows() const { return rows_; }
  std::vector<std::uint8_t>& present() { return present_; }  // by key
  const std::vector<std::uint8_t>& present() const { return present_; }

  /// entries: words of EntitySums::packed(), of positions here, in any order. Returns the positions that have changed, rising.
  std::vector<std::int32_t> apply(std::span<const std::int32_t> entries);
  /// With time: the key itself or, where it has no row yet, the newest before it that has one; else the key itself.
  std::int32_t newest_there(std::int32_t position) const;
  /// Null where there is none: position -1, or no row yet, of an older period neither.
  const float* row(std::int32_t position) const;
  /// By bucket that has keys, in rising order: the number of rows that count for the scale, and their sums by column; given means, the sums
  /// of squared distances from them.
  using OnBucket = std::function<void(int bucket, std::int64_t count, std::span<const double> sums)>;
  void sum_buckets(const double* means, const OnBucket& on_bucket) const;
  /// Of keys and rows.
  std::int64_t bytes() const;
  /// Throws CheckpointError, which names the file, where entries are not of positions below `keys`.
  static void check_entries(std::span<const std::int32_t> entries, std::int64_t keys, std::int64_t width, const std::string& what);

 private:
  bool counts(std::size_t key) const {
    return present_[key] != 0 && (publisher_.periods.empty() || publisher_.periods[key] < publisher_.scale_before);
  }
  Publisher publisher_;
  StoreOptions options_;
  std::vector<float> rows_;
  std::vector<std::uint8_t> present_;
};

/// Where they are among the publisher's keys.
KeyPlaces places_among(const EntityKeys& wanted, const Publisher& publisher);

/// Values of a tensor, which must be of T. count >= 0: and so many. Throws CheckpointError.
template <class T>
std::vector<T> values_of(const SafetensorsFile& file, const std::string& name, std::int64_t count = -1);

}  // namespace chorale
