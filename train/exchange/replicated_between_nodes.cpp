// The paths of `replicated` that leave a node: buckets are packed by owner, sent by all-to-all, summed by the owner in tree order,
// gathered.
#include <algorithm>
#include <cstring>

#include <chorale/train/exchange/replicated.hpp>

namespace chorale {

std::vector<std::int64_t> Replicated::shares_of(const Bucket& bucket) const {
  const std::int64_t blocks = (bucket.count + kBlockElements - 1) / kBlockElements;
  std::vector<std::int64_t> shares;
  for (int r = 0; r < size_; ++r) {
    const Share s = share_of(blocks, r, size_);
    const std::int64_t first = std::min(bucket.count, s.first * kBlockElements),
                       last = std::min(bucket.count, (s.first + s.count) * kBlockElements);
    shares.push_back(last - first);
  }
  return shares;
}

template <class T>
void Replicated::pack(const Bucket& bucket, Travelling& out) {
  const std::int64_t mine = static_cast<std::int64_t>(held_[static_cast<std::size_t>(rank_)].size());
  out.shares = shares_of(bucket);
  out.send_counts.clear(), out.receive_counts.clear();
  std::int64_t received = 0;
  for (int r = 0; r < size_; ++r) {
    out.send_counts.push_back(mine * out.shares[static_cast<std::size_t>(r)]);
    out.receive_counts.push_back(static_cast<std::int64_t>(held_[static_cast<std::size_t>(r)].size()) *
                                 out.shares[static_cast<std::size_t>(rank_)]);
    received += out.receive_counts.back();
  }
  if (!out.packed.defined()) {
    out.packed = Tensor::empty(device_, {mine * bucket.count}, dtype_);
    out.received = Tensor::empty(device_, {received}, dtype_);
  }
  T* to = out.packed.data<T>();
  std::int64_t from = bucket.first;
  for (int r = 0; r < size_; ++r) {
    const std::int64_t n = out.shares[static_cast<std::size_t>(r)];
    for (std::int64_t c = 0; c < mine; ++c, to += n)
      if (n) std::memcpy(to, gradients_.mine.as<T>() + (parity_ * mine + c) * stride_ + from, static_cast<std::size_t>(n) * sizeof(T));
    from += n;
  }
}

void Replicated::bucket_ready(const Bucket& bucket) {
  if (one_node_) return;  // peers read the gradients where they lie
  Travelling& out = travelling_[static_cast<std::size_t>(bucket.index)];
  with_float_type(dtype_, [&]<class T>() { pack<T>(bucket, out); });
  out.work = comm_.all_to_all(out.packed.buffer(), out.send_counts, out.received.buffer(), out.receive_counts, "gradient shares");
}

template <class T>
void Replicated::reduce_between_nodes() {
  if (!reduced_.defined()) reduced_ = Tensor::empty(device_, {elements_}, dtype_);
  const auto add = [&](const T* a, const T* b, T* c, std::int64_t n) { device_.typed<T>().add(a, b, c, n); };
  for (const Bucket& bucket : buckets_) {
    Travelling& in = travelling_[static_cast<std::size_t>(bucket.index)];
    in.work.wait();
    const std::int64_t share = in.shares[static_cast<std::size_t>(rank_)];
    std::vector<const T*> bases;  // received: by rank, its contributions to my share one after the other
    const std::size_t contributions = static_cast<std::size_t>(first_contribution_.back()) + held_.back().size();
    for (std::size_t i = 0; i < contributions; ++i) bases.push_back(in.received.data<T>() + static_cast<std::int64_t>(i) * share);
    T* to = in.packed.data<T>();  // sent, so free for the result
    for (std::int64_t first = 0; first < share; first += kBlockElements) {
      const std::int64_t n = std::min(kBlockElements, share - first);
      const T* sum = tree_.sum(bases, first, n, scratch_.data<T>(), kBlockElements, add);
      std::memcpy(to + first, sum, static_cast<std::size_t>(n) * sizeof(T));
    }
    comm_.all_gather(in.packed.buffer().part(0, share), reduced_.buffer().part(bucket.first, bucket.count), in.shares, "reduced gradients")
        .wait();
  }
}
template void Replicated::reduce_between_nodes<float>();
template void Replicated::reduce_between_nodes<double>();

std::uint64_t Replicated::bytes_per_step() const {
  if (one_node_) return 0;
  std::uint64_t elements = 0;
  const std::uint64_t mine = held_[static_cast<std::size_t>(rank_)].size(), away = static_cast<std::uint64_t>(size_ - node_size_);
  for (const Bucket& bucket : buckets_) {
    const std::vector<std::int64_t> shares = shares_of(bucket);
    for (int r = 0; r < size_; ++r) {
      const bool here = r >= first_of_node_ && r < first_of_node_ + node_size_;
      if (!here) elements += mine * static_cast<std::uint64_t>(shares[static_cast<std::size_t>(r)]);
    }
    elements += away * static_cast<std::uint64_t>(shares[static_cast<std::size_t>(rank_)]);
  }
  return elements * size_bytes(dtype_) + away * static_cast<std::uint64_t>(report_elements_) * sizeof(double);
}

}  // namespace chorale
