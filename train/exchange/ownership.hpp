// Who owns what of the arena: every bucket is cut over the owners on borders of blocks.
#pragma once
#include <algorithm>
#include <vector>

#include <chorale/core/data/sampler.hpp>
#include <chorale/core/nn/flat_params.hpp>
#include <chorale/train/exchange/exchange.hpp>

namespace chorale {

/// Owner r's part of a bucket, in elements of the arena; may be empty.
inline Share owned_part(const Bucket& bucket, std::int64_t r, std::int64_t owners) {
  const std::int64_t blocks = (bucket.count + kBlockElements - 1) / kBlockElements;
  const Share share = share_of(blocks, r, owners);
  const std::int64_t first = std::min(bucket.count, share.first * kBlockElements);
  return {bucket.first + first, std::min(bucket.count, (share.first + share.count) * kBlockElements) - first};
}

/// Owner r's parts of all buckets, empty ones left out.
inline std::vector<Share> owned_parts(const std::vector<Bucket>& buckets, std::int64_t r, std::int64_t owners) {
  std::vector<Share> out;
  for (const Bucket& bucket : buckets)
    if (const Share part = owned_part(bucket, r, owners); part.count > 0) out.push_back(part);
  return out;
}

/// The same by owner.
inline std::vector<std::vector<Share>> parts_by_owner(const std::vector<Bucket>& buckets, std::int64_t owners) {
  std::vector<std::vector<Share>> out;
  for (std::int64_t r = 0; r < owners; ++r) out.push_back(owned_parts(buckets, r, owners));
  return out;
}

}  // namespace chorale
