#include <chorale/launcher/collab/pooled_rows.hpp>

#include <algorithm>

#include <chorale/core/base/error.hpp>
#include <chorale/core/tensor/tensor.hpp>

namespace chorale {

namespace {

template <class T>
std::vector<double> means_of(const PooledPeer& peer, const EntityIndex& index) {
  const auto width = static_cast<std::size_t>(peer.matrix.features) + 1;
  std::vector<double> out(index.ids.size() * width);
  std::vector<std::int64_t> count(index.ids.size());
  const T* x = static_cast<const T*>(peer.matrix.x);
  for (std::size_t r = 0; r < index.of_row.size(); ++r) {
    if (index.of_row[r] < 0) continue;
    const auto e = static_cast<std::size_t>(index.of_row[r]);
    ++count[e];
    for (std::size_t f = 0; f + 1 < width; ++f) out[e * width + f] += static_cast<double>(x[r * (width - 1) + f]);
  }
  for (std::size_t e = 0; e < count.size(); ++e) {
    for (std::size_t f = 0; f + 1 < width; ++f) out[e * width + f] /= static_cast<double>(count[e]);
    out[e * width + width - 1] = 1;
  }
  return out;
}

}  // namespace

std::vector<double> entity_means(const PooledPeer& peer, const EntityIndex& index) {
  return peer.matrix.dtype == DType::f64 ? means_of<double>(peer, index) : means_of<float>(peer, index);
}

namespace {

template <class T>
FeatureMatrix pooled(const FeatureMatrix& own, const std::vector<std::vector<EntityId>>& own_entities,
                     std::span<const std::int32_t> own_periods, const std::vector<PooledPeer>& peers) {
  FeatureMatrix out = own;
  for (const PooledPeer& peer : peers) out.features += peer.matrix.features + 1;
  auto memory = std::make_shared<std::vector<T>>(static_cast<std::size_t>(out.rows * out.features));
  const auto columns = static_cast<std::size_t>(out.features), own_columns = static_cast<std::size_t>(own.features);
  const T* x = static_cast<const T*>(own.x);
  for (std::size_t r = 0; r < static_cast<std::size_t>(out.rows); ++r)
    std::copy_n(x + r * own_columns, own_columns, memory->data() + r * columns);
  std::size_t first = own_columns;
  for (std::size_t p = 0; p < peers.size(); ++p) {
    const EntityIndex index = index_entities(peers[p].entity_of_row, peers[p].periods);
    const std::vector<double> means = entity_means(peers[p], index);
    const auto width = static_cast<std::size_t>(peers[p].matrix.features) + 1;
    const std::vector<std::int32_t> position = positions_before({own_entities[p], own_periods}, index.keys());
    for (std::size_t r = 0; r < position.size(); ++r)
      for (std::size_t f = 0; position[r] >= 0 && f < width; ++f)
        (*memory)[r * columns + first + f] = static_cast<T>(means[static_cast<std::size_t>(position[r]) * width + f]);
    first += width;
  }
  out.x = memory->data();
  struct Both {
    std::shared_ptr<void> first, second;
  };
  out.owner = std::make_shared<Both>(Both{memory, own.owner});
  return out;
}

}  // namespace

FeatureMatrix pool_features(const FeatureMatrix& own, const std::vector<std::vector<EntityId>>& own_entities,
                            std::span<const std::int32_t> own_periods, const std::vector<PooledPeer>& peers) {
  bool in_memory = own.x != nullptr;
  for (const PooledPeer& peer : peers) in_memory = in_memory && peer.matrix.x;
  if (!in_memory) throw UsageError("the arm pooled needs all feature matrices in memory; raise data.memory, or leave the arm out");
  return own.dtype == DType::f64 ? pooled<double>(own, own_entities, own_periods, peers)
                                 : pooled<float>(own, own_entities, own_periods, peers);
}

}  // namespace chorale
