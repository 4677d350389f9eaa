#include <chorale/train/exchange/exchange.hpp>

#include <algorithm>

namespace chorale {

std::vector<Bucket> plan_buckets(const FlatParams& params, std::int64_t bucket_bytes) {
  const std::int64_t bytes = static_cast<std::int64_t>(size_bytes(params.dtype())), total = params.trainable_elements();
  const std::int64_t per = std::max<std::int64_t>(1, bucket_bytes / (bytes * kBlockElements)) * kBlockElements;
  std::vector<Bucket> out;
  for (std::int64_t first = 0; first < total; first += per)
    out.push_back({static_cast<int>(out.size()), first, std::min(per, total - first)});
  return out;
}

}  // namespace chorale
