#include <chorale/train/gradient_surgery.hpp>

#include <algorithm>
#include <numeric>

#include <chorale/core/base/random.hpp>
#include <chorale/train/pcgrad.hpp>

namespace chorale {

namespace {

constexpr std::uint64_t kOrder = 0x706367726164u;

std::vector<Subtree> all_subtrees(int ranks, std::int64_t workers, std::vector<std::int64_t>& counts) {
  std::vector<Subtree> out;
  for (int r = 0; r < ranks; ++r) {
    const std::vector<Subtree> held = maximal_subtrees(workers, workers_of(r, ranks, workers));
    counts.push_back(static_cast<std::int64_t>(held.size()));
    out.insert(out.end(), held.begin(), held.end());
  }
  return out;
}

template <class T>
Buffer all_of(std::vector<T>& values) {
  return buffer_of(std::span(values));
}

}  // namespace

GradientSurgery::GradientSurgery(Setup setup)
    : setup_(std::move(setup)), tree_(setup_.virtual_workers, all_subtrees(setup_.comm.size(), setup_.virtual_workers, subtrees_)) {
  for (const FlatParams::Entry& e : setup_.params.entries())
    if (e.parameter->segment() == Segment::trainable && setup_.is_shared(e.name)) {
      shared_.push_back({e.first, e.count});
      shared_elements_ += e.count;
    }
  const int rank = setup_.comm.rank(), ranks = setup_.comm.size();
  mine_ = maximal_subtrees(setup_.virtual_workers, workers_of(rank, ranks, setup_.virtual_workers));
  const std::int64_t elements = setup_.params.trainable_elements();
  for (std::size_t t = 0; t < setup_.tasks; ++t) {
    sums_.push_back(Tensor::zeros(setup_.params.device(), {elements_of(blocks_of(rank))}, setup_.params.dtype()));
    std::vector<Buffer>& targets = targets_.emplace_back();
    for (std::size_t c = 0; c < mine_.size(); ++c)  // gaps stay 0
      targets.push_back(memory_.emplace_back(Tensor::zeros(setup_.params.device(), {elements}, setup_.params.dtype())).buffer());
  }
}

Share GradientSurgery::blocks_of(int rank) const {
  return share_of((shared_elements_ + kBlockElements - 1) / kBlockElements, rank, setup_.comm.size());
}

std::int64_t GradientSurgery::elements_of(Share blocks) const {
  return std::min(shared_elements_, (blocks.first + blocks.count) * kBlockElements) -
         std::min(shared_elements_, blocks.first * kBlockElements);
}

/// For each owner: by task, by subtree, its share of the shared parameters, which are packed one after the other.
template <class T>
void GradientSurgery::pack(std::vector<T>& out, std::vector<std::int64_t>& counts) const {
  std::vector<T> packed;
  std::vector<std::vector<T>> all;
  for (std::size_t t = 0; t < setup_.tasks; ++t)
    for (const Buffer& from : targets_[t]) {
      packed.clear();
      for (const Share& range : shared_) packed.insert(packed.end(), from.as<T>() + range.first, from.as<T>() + range.first + range.count);
      all.push_back(packed);
    }
  for (int owner = 0; owner < setup_.comm.size(); ++owner) {
    const Share blocks = blocks_of(owner);
    const std::int64_t n = elements_of(blocks), first = std::min(shared_elements_, blocks.first * kBlockElements);
    for (const std::vector<T>& each : all) out.insert(out.end(), each.begin() + first, each.begin() + first + n);
    counts.push_back(n * static_cast<std::int64_t>(all.size()));
  }
}

template <class T>
void GradientSurgery::sum_products() {
  const int ranks = setup_.comm.size();
  const std::size_t tasks = setup_.tasks;
  const Share blocks = blocks_of(setup_.comm.rank());
  const std::int64_t n = elements_of(blocks);
  std::vector<T> sent, received;
  std::vector<std::int64_t> send_counts, receive_counts;
  pack(sent, send_counts);
  std::int64_t all_subtrees_held = 0;
  for (const std::int64_t held : subtrees_) {
    receive_counts.push_back(n * held * static_cast<std::int64_t>(tasks));
    all_subtrees_held += held;
  }
  received.resize(static_cast<std::size_t>(n * all_subtrees_held * static_cast<std::int64_t>(tasks)));
  setup_.comm.all_to_all(all_of(sent), send_counts, all_of(received), receive_counts, "gradients of tasks").wait();

  std::vector<std::vector<const void*>> bases(tasks);  // by task, by subtree of the tree
  const T* next = received.data();
  for (int r = 0; r < ranks; ++r)
    for (std::size_t t = 0; t < tasks; ++t)
      for (std::int64_t c = 0; c < subtrees_[static_cast<std::size_t>(r)]; ++c, next += n) bases[t].push_back(next);
  const auto add = [&](const T* a, const T* b, T* c, std::int64_t m) { setup_.params.device().typed<T>().add(a, b, c, m); };
  std::vector<T> scratch(static_cast<std::size_t>(tree_.scratch_slots() * kBlockElements));
  std::vector<double> products(static_cast<std::size_t>(blocks.count) * tasks * tasks);  // by block of this rank, [T, T] each
  for (std::int64_t b = 0; b < blocks.count; ++b) {
    const std::int64_t m = std::min(kBlockElements, n - b * kBlockElements);
    std::vector<const T*> sums;
    for (std::size_t t = 0; t < tasks; ++t) {
      T* kept = sums_[t].data<T>() + b * kBlockElements;
      std::copy_n(tree_.sum<T>(bases[t], b * kBlockElements, m, scratch.data(), kBlockElements, add), m, kept);
      sums.push_back(kept);
    }
    add_products<T>(sums, m, std::span(products).subspan(static_cast<std::size_t>(b) * tasks * tasks));
  }
  std::vector<std::int64_t> product_counts;
  const auto squares = static_cast<std::int64_t>(tasks * tasks);
  for (int r = 0; r < ranks; ++r) product_counts.push_back(blocks_of(r).count * squares);
  std::vector<double> all(static_cast<std::size_t>(std::accumulate(product_counts.begin(), product_counts.end(), std::int64_t{0})));
  setup_.comm.all_gather(all_of(products), all_of(all), product_counts, "products of gradients").wait();
  gram_.assign(tasks * tasks, 0);
  for (std::size_t i = 0; i < all.size(); ++i) gram_[i % (tasks * tasks)] += all[i];  // in the order of blocks
}

/// Weighting each subtree's sums would round as the subtrees lie. So what is shared is weighted once summed up, by the owner of the block,
/// who contributes it whole; to that the others add nothing.
template <class T>
void GradientSurgery::write(std::span<const double> weights, std::span<const Buffer> into) const {
  const TypedKernels<T>& kernels = setup_.params.device().typed<T>();
  for (std::size_t c = 0; c < into.size(); ++c) {
    T* out = into[c].as<T>();
    for (std::size_t t = 1; t < setup_.tasks; ++t)  // a parameter of one task has zeros from the others
      kernels.add(t == 1 ? targets_[0][c].as<T>() : out, targets_[t][c].as<T>(), out, into[c].elements);
    for (const Share& range : shared_) kernels.fill(out + range.first, T(0), range.count);
  }
  const Share blocks = blocks_of(setup_.comm.rank());
  const std::int64_t first = blocks.first * kBlockElements, last = first + elements_of(blocks);
  T* out = into[0].as<T>();
  std::int64_t packed = 0;  // of the range's first element, where all of them stand one after the other
  for (const Share& range : shared_) {
    const std::int64_t from = std::max(first, packed), to = std::min(last, packed + range.count);
    for (std::size_t t = 0; from < to && t < setup_.tasks; ++t)
      kernels.axpy(T(weights[t]), sums_[t].data<T>() + (from - first), out + range.first + (from - packed), to - from);
    packed += range.count;
  }
}

void GradientSurgery::combine(std::int64_t step, std::span<const Buffer> into) {
  with_float_type(setup_.params.dtype(), [&]<class T>() { sum_products<T>(); });
  const std::vector<double> weights =
      pcgrad_factors(gram_, std::vector<double>(setup_.tasks, 1), mix(mix(setup_.seed, kOrder), static_cast<std::uint64_t>(step)));
  with_float_type(setup_.params.dtype(), [&]<class T>() { write<T>(weights, into); });
}

}  // namespace chorale
