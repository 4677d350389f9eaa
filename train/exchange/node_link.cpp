#include <chorale/train/exchange/node_link.hpp>

#include <cstring>

#include <chorale/train/exchange/narrow.hpp>

namespace chorale {

namespace {
std::vector<Subtree> of_all_nodes(const GradientMemory& gradients, int nodes) {
  std::vector<Subtree> out;
  for (int node = 0; node < nodes; ++node) out.insert(out.end(), gradients.of_node(node).begin(), gradients.of_node(node).end());
  return out;
}
}  // namespace

NodeLink::NodeLink(const ExchangeSetup& setup, GradientMemory& gradients)
    : setup_(setup),
      gradients_(gradients),
      rank_(setup.comm.rank()),
      node_(setup.comm.node_index()),
      tree_(setup.virtual_workers, of_all_nodes(gradients, setup.comm.node_count())),
      wire_(setup.wire == DType::bf16 && setup.params.dtype() == DType::f32 ? DType::bf16 : setup.params.dtype()) {
  Communicator& comm = setup_.comm;
  of_node_.resize(static_cast<std::size_t>(comm.node_count()));
  for (int r = 0; r < comm.size(); ++r) {
    auto& members = of_node_[static_cast<std::size_t>(comm.node_of(r))];
    ranks_.push_back({comm.node_of(r), static_cast<int>(members.size())});
    members.push_back(r);
  }
  own_parts_ = owned_parts(setup_.buckets, rank_, comm.size());
  memory_ = comm.node().allocate(comm.node().rank() == 0 ? setup_.params.trainable_elements() : 0, setup_.params.dtype());
  sums_ = memory_.peers[0];
  std::int64_t contributions = 0;
  for (int node = 0; node < comm.node_count(); ++node) contributions += static_cast<std::int64_t>(gradients_.of_node(node).size());
  scratch_ = Tensor::empty(setup_.params.device(), {tree_.scratch_slots() + contributions, kBlockElements}, setup_.params.dtype());
  if (is_narrow()) narrow_ = Tensor::empty(setup_.params.device(), {setup_.params.trainable_elements()}, DType::bf16);
  ways_.resize(setup_.buckets.size());
  for (const Bucket& bucket : setup_.buckets) open(bucket, ways_[static_cast<std::size_t>(bucket.index)]);
}

int NodeLink::carrier(int node, int owner) const {
  const auto& members = of_node_[static_cast<std::size_t>(node)];
  return members[static_cast<std::size_t>(ranks_[static_cast<std::size_t>(owner)].local) % members.size()];
}

bool NodeLink::carries(int owner) const { return ranks_[static_cast<std::size_t>(owner)].node != node_ && carrier(node_, owner) == rank_; }

std::vector<std::vector<Share>> NodeLink::written_by_local() const {
  const std::vector<int>& here = of_node_[static_cast<std::size_t>(node_)];
  std::vector<std::vector<Share>> out(here.size());
  for (int owner = 0; owner < setup_.comm.size(); ++owner) {
    const int writer = ranks_[static_cast<std::size_t>(owner)].node == node_ ? owner : carrier(node_, owner);
    std::vector<Share>& of = out[static_cast<std::size_t>(writer - here[0])];
    for (const Share& part : owned_parts(setup_.buckets, owner, setup_.comm.size())) of.push_back(part);
  }
  return out;
}

void NodeLink::open(const Bucket& bucket, Travelling& way) {
  const int size = setup_.comm.size();
  const auto tensor = [&](std::int64_t elements) { return Tensor::empty(setup_.params.device(), {elements}, wire_); };
  const auto subtrees = [&](int node) { return static_cast<std::int64_t>(gradients_.of_node(node).size()); };
  const std::uint64_t width = size_bytes(wire_);
  way.outgoing.resize(static_cast<std::size_t>(size));
  for (int owner = 0; owner < size; ++owner) {
    const std::int64_t share = owned_part(bucket, owner, size).count;
    if (!carries(owner) || share == 0) continue;
    way.outgoing[static_cast<std::size_t>(owner)] = tensor(share * subtrees(node_));
    bytes_ += static_cast<std::uint64_t>(share * subtrees(node_)) * width;
  }
  way.incoming.resize(of_node_.size());
  const std::int64_t mine = owned_part(bucket, rank_, size).count;
  for (int node = 0; node < static_cast<int>(of_node_.size()); ++node)
    if (node != node_ && mine > 0) way.incoming[static_cast<std::size_t>(node)] = tensor(mine * subtrees(node));
  bytes_ += static_cast<std::uint64_t>(mine) * width * (of_node_.size() - 1);
}

void NodeLink::begin() {
  ready_ = sent_ = 0;
  for (Travelling& way : ways_)
    for (int node = 0; node < static_cast<int>(of_node_.size()); ++node)
      if (Tensor& box = way.incoming[static_cast<std::size_t>(node)]; box.defined())
        way.receives.push_back(setup_.comm.recv(box.buffer(), carrier(node, rank_), "gradient shares"));
}

void NodeLink::bucket_ready(const Bucket& bucket) {
  ways_[static_cast<std::size_t>(bucket.index)].arrived = setup_.comm.node().barrier("gradient bucket");
  ++ready_;
  advance();
}

void NodeLink::advance() {
  // Polling one pushes all of the communicator's messages on.
  for (Travelling& way : ways_)
    if (!way.receives.empty()) {
      way.receives.front().done();
      break;
    }
  while (sent_ < ready_ && ways_[sent_].arrived.done()) send_partials(sent_++);
  if (sent_ == 0) return;
  for (Work& work : ways_[sent_ - 1].sends)
    if (!work.done()) return;  // one look pushes on all that is under way
}

template <class T>
void NodeLink::partial(std::size_t subtree, Share part, std::byte* to) {
  for (std::int64_t at = 0; at < part.count; at += kBlockElements) {
    const std::int64_t n = std::min(kBlockElements, part.count - at);
    const T* sum = gradients_.sum<T>(subtree, part.first + at, n);
    std::byte* out = to + static_cast<std::size_t>(at) * size_bytes(wire_);
    if constexpr (sizeof(T) == 4) {
      if (is_narrow()) {
        narrow(sum, reinterpret_cast<std::uint16_t*>(out), n);
        continue;
      }
    }
    std::memcpy(out, sum, static_cast<std::size_t>(n) * sizeof(T));
  }
}

void NodeLink::send_partials(std::size_t index) {
  const std::string name = "bucket " + std::to_string(index) + ": send";
  const TraceSpan span(setup_.trace, name);
  Travelling& way = ways_[index];
  for (int owner = 0; owner < setup_.comm.size(); ++owner) {
    Tensor& box = way.outgoing[static_cast<std::size_t>(owner)];
    if (!box.defined()) continue;
    const Share part = owned_part(setup_.buckets[index], owner, setup_.comm.size());
    with_float_type(setup_.params.dtype(), [&]<class T>() {
      for (std::size_t i = 0; i < gradients_.of_node(node_).size(); ++i)
        partial<T>(i, part, static_cast<std::byte*>(box.raw()) + i * static_cast<std::size_t>(part.count) * size_bytes(wire_));
    });
    way.sends.push_back(setup_.comm.send(box.buffer(), owner, "gradient shares"));
  }
}

void NodeLink::reduce() {
  while (sent_ < ways_.size()) {
    ways_[sent_].arrived.wait();
    send_partials(sent_++);
  }
  for (std::size_t b = 0; b < ways_.size(); ++b) {
    for (Work& work : ways_[b].receives) work.wait();
    ways_[b].receives.clear();
    with_float_type(setup_.params.dtype(), [&]<class T>() { add_up<T>(b); });
  }
  for (Travelling& way : ways_) {
    for (Work& work : way.sends) work.wait();
    way.sends.clear();
  }
}

template <class T>
void NodeLink::add_up(std::size_t index) {
  const Share part = owned_part(setup_.buckets[index], rank_, setup_.comm.size());
  Device& device = setup_.params.device();
  const auto add = [&](const T* a, const T* b, T* c, std::int64_t n) { device.typed<T>().add(a, b, c, n); };
  T* stack = scratch_.data<T>();
  for (std::int64_t at = 0; at < part.count; at += kBlockElements) {
    const std::int64_t n = std::min(kBlockElements, part.count - at);
    T* slot = stack + tree_.scratch_slots() * kBlockElements;
    bases_.clear();
    for (int node = 0; node < static_cast<int>(of_node_.size()); ++node)
      for (std::size_t i = 0; i < gradients_.of_node(node).size(); ++i, slot += kBlockElements)
        bases_.push_back(contribution<T>(index, node, i, part, at, n, slot));
    const T* sum = tree_.template sum<T>(bases_, 0, n, stack, kBlockElements, add);
    std::memcpy(sums_.as<T>() + part.first + at, sum, static_cast<std::size_t>(n) * sizeof(T));
  }
}

template <class T>
const T* NodeLink::contribution(std::size_t index, int node, std::size_t subtree, Share part, std::int64_t at, std::int64_t n, T* slot) {
  if (node == node_) {
    const T* own = gradients_.sum<T>(subtree, part.first + at, n);
    if constexpr (sizeof(T) == 4) {
      if (is_narrow()) {  // rounded like what comes from others, so that bits do not depend on who owns what
        for (std::int64_t i = 0; i < n; ++i) slot[i] = from_bf16(to_bf16(own[i]));
        return slot;
      }
    }
    std::memcpy(slot, own, static_cast<std::size_t>(n) * sizeof(T));
    return slot;
  }
  const std::int64_t from = static_cast<std::int64_t>(subtree) * part.count + at;
  const Tensor& box = ways_[index].incoming[static_cast<std::size_t>(node)];
  if constexpr (sizeof(T) == 4) {
    if (is_narrow()) {
      widen(box.data<std::uint16_t>() + from, slot, n);
      return slot;
    }
  }
  return box.data<T>() + from;
}

void NodeLink::spread_sums() {
  if (!is_narrow()) return spread(sums_, "gradient sums");
  for (const Share& part : own_parts_) narrow(sums_.as<float>() + part.first, narrow_values() + part.first, part.count);
  spread_narrow(sums_, false, "gradient sums");
}

void NodeLink::spread(Buffer values, Label label) {
  travel(values, label);
  setup_.comm.node().barrier(label).wait();
}

void NodeLink::spread_narrow(Buffer values, bool added, Label label) {
  travel(narrow_.buffer(), label);
  const auto take = [&](Share part) {
    (added ? add_widened : widen)(narrow_values() + part.first, values.as<float>() + part.first, part.count);
  };
  for (const Bucket& bucket : setup_.buckets)
    for (int owner = 0; owner < setup_.comm.size(); ++owner)
      if (owner == rank_ || carries(owner)) take(owned_part(bucket, owner, setup_.comm.size()));
  setup_.comm.node().barrier(label).wait();
}

void NodeLink::travel(Buffer values, Label label) {
  const int size = setup_.comm.size();
  for (const Bucket& bucket : setup_.buckets) {
    for (int owner = 0; owner < size; ++owner) {
      const Share part = owned_part(bucket, owner, size);
      if (part.count > 0 && carries(owner)) spreading_.push_back(setup_.comm.recv(values.part(part.first, part.count), owner, label));
    }
    const Share mine = owned_part(bucket, rank_, size);
    for (int node = 0; mine.count > 0 && node < static_cast<int>(of_node_.size()); ++node)
      if (node != node_) spreading_.push_back(setup_.comm.send(values.part(mine.first, mine.count), carrier(node, rank_), label));
  }
  for (Work& work : spreading_) work.wait();
  spreading_.clear();
}

}  // namespace chorale
