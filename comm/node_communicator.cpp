// The verbs: what a caller gets wrong throws at once, the rest becomes an operation.
#include <chorale/comm/node_communicator.hpp>

#include <algorithm>

#include <chorale/comm/arguments.hpp>
#include <chorale/comm/reduction.hpp>

namespace chorale {
namespace {

std::int64_t sum(std::span<const std::int64_t> counts) {
  std::int64_t total = 0;
  for (std::int64_t count : counts) total += count;
  return total;
}

std::byte* bytes_of(Buffer buffer) { return buffer.as<std::byte>(); }

}  // namespace

std::size_t NodeCommunicator::page_bytes(const Membership& members) {
  const RankRange here = members.own_node();
  if (members.node_count() == 1) return NodePage::bytes(here.size(), 0);
  const auto partials = static_cast<int>(complete_subtrees(members.size(), here).size());
  return NodePage::bytes(here.size(), partials) + NodePage::bytes(here.size(), 0);
}

NodeCommunicator::NodeCommunicator(Membership members, std::shared_ptr<RankWorld> world, std::shared_ptr<std::byte> memory, int id,
                                   std::shared_ptr<Terms> terms)
    : members_(std::move(members)),
      world_(std::move(world)),
      terms_(terms ? std::move(terms) : std::make_shared<Terms>()),
      here_(members_.own_node()),
      local_(members_.rank - here_.first),
      tag_(2 * id),
      page_(memory, here_.size(), members_.node_count() > 1 ? static_cast<int>(complete_subtrees(members_.size(), here_).size()) : 0),
      segments_(std::make_shared<Segments>(world_->regions->one_address_space(), local_)),
      sent_(static_cast<std::size_t>(members_.size())),
      received_(static_cast<std::size_t>(members_.size())),
      engine_(members_, world_, terms_, page_, tag_, *pool_) {
  for (const RankRange& node : members_.nodes) subtrees_.push_back(complete_subtrees(members_.size(), node));
  page_.slot(local_).process = world_->process;
  scope_ = {.first_rank = members_.root_ranks.front(), .ranks = members_.size(), .split = id};
  if (!world_->root_page) {  // the first communicator is the whole world
    world_->root_page = memory;
    world_->rank = members_.rank;
    world_->presences = {.first = here_.first, .count = here_.size(), .all = page_.presences()};
    page_.presences()[local_].process = world_->process;
    world_->watch.stand_in(page_.presences()[local_].presence);
  }
  engine_.prepare();
  if (members_.node_count() == 1) return;
  Membership own;
  own.rank = local_;
  own.nodes = {{0, here_.size()}};
  own.root_ranks.assign(members_.root_ranks.begin() + here_.first, members_.root_ranks.begin() + here_.last);
  const std::size_t first_page = NodePage::bytes(here_.size(), static_cast<int>(subtrees_[static_cast<std::size_t>(node_index())].size()));
  node_ =
      std::make_unique<NodeCommunicator>(std::move(own), world_, std::shared_ptr<std::byte>(memory, memory.get() + first_page), id, terms_);
  node_->segments_ = segments_;
}

std::string NodeCommunicator::node_name(int rank) const {
  const auto root = static_cast<std::size_t>(members_.root_ranks[static_cast<std::size_t>(rank)]);
  return root < world_->node_names.size() ? world_->node_names[root] : "";
}

/// Elements to bytes: where each rank's block begins, and where the last one ends.
PoolVector<std::size_t> NodeCommunicator::byte_borders(std::span<const std::int64_t> counts, DType dtype) const {
  PoolVector<std::size_t> out = list<std::size_t>(counts.size() + 1);
  for (std::size_t r = 0; r < counts.size(); ++r) out[r + 1] = out[r] + static_cast<std::size_t>(counts[r]) * size_bytes(dtype);
  return out;
}

std::shared_ptr<Operation> NodeCommunicator::operation(Verb verb, DType dtype, Label label) {
  auto op = std::allocate_shared<Operation>(PoolAllocator<Operation>(*pool_));
  op->announcement.verb = verb;
  op->announcement.dtype = dtype;
  op->announcement.set_label(label.name, terms_->name);
  return op;
}

std::shared_ptr<Operation> NodeCommunicator::collective(Verb verb, DType dtype, Label label) {
  auto op = operation(verb, dtype, label);
  op->announcement.sequence = ++sequence_;
  return op;
}

Work NodeCommunicator::start(std::shared_ptr<Operation> op, Task task) {
  record(*op);
  op->task = std::move(task);
  return engine_.post(std::move(op));
}

void NodeCommunicator::record(Operation& op) {
  Announcement& what = op.announcement;
  RankWatch& watch = world_->watch;
  if (Faults* faults = watch.faults(); faults && op.lane == 0) {
    if (faults->take(Fault::Kind::shape, what.label)) what.elements += 1;
    if (faults->take(Fault::Kind::mismatch, what.label)) what.set_label("injected mismatch");
  }
  const auto kind = op.lane == 0 ? FlightRecorder::Kind::collective : FlightRecorder::Kind::message;
  op.ticket =
      watch.begin(kind, what, static_cast<std::uint64_t>(std::max<std::int64_t>(0, what.elements)) * size_bytes(what.dtype), scope_);
}

Work NodeCommunicator::barrier(Label label) {
  if (is_alone()) return Work();
  auto op = collective(Verb::barrier, DType::u8, label);
  Operation& self = *op;
  return start(std::move(op), open(self, {}));
}

Work NodeCommunicator::all_reduce(Buffer data, Reduce reduce, Label label) {
  require_reducible(data.dtype, reduce, label.name);
  if (is_alone()) return Work();
  auto op = collective(Verb::all_reduce, data.dtype, label);
  op->announcement.op = reduce;
  op->announcement.elements = data.elements;
  Operation& self = *op;
  if (is_fusible(data.bytes())) {
    self.small_data = bytes_of(data);
    return start(std::move(op), fused_flow(self));
  }
  ReducePlan plan{bytes_of(data), bytes_of(data), data.dtype, reduce, data.elements, list<std::int64_t>()};
  return start(std::move(op), reduce_flow(self, std::move(plan)));
}

Work NodeCommunicator::reduce_scatter(Buffer input, Buffer output, std::span<const std::int64_t> counts, Reduce reduce, Label label) {
  require_reducible(input.dtype, reduce, label.name);
  require_counts(counts, size(), {Verb::reduce_scatter, label});
  require_elements(input.elements, sum(counts), "input", {Verb::reduce_scatter, label});
  require_elements(output.elements, counts[static_cast<std::size_t>(rank())], "output", {Verb::reduce_scatter, label});
  require_one_type(input, output, {Verb::reduce_scatter, label});
  auto op = collective(Verb::reduce_scatter, input.dtype, label);
  op->announcement.op = reduce;
  op->announcement.elements = input.elements;
  op->announcement.counts_hash = hash_counts(counts);
  ReducePlan plan{bytes_of(input), bytes_of(output), input.dtype, reduce, input.elements, list<std::int64_t>(counts.size() + 1)};
  for (std::size_t r = 0; r < counts.size(); ++r) plan.borders[r + 1] = plan.borders[r] + counts[r];
  Operation& self = *op;
  return start(std::move(op), reduce_flow(self, std::move(plan)));
}

Work NodeCommunicator::all_gather(Buffer input, Buffer output, std::span<const std::int64_t> counts, Label label) {
  require_counts(counts, size(), {Verb::all_gather, label});
  require_elements(input.elements, counts[static_cast<std::size_t>(rank())], "input", {Verb::all_gather, label});
  require_elements(output.elements, sum(counts), "output", {Verb::all_gather, label});
  require_one_type(input, output, {Verb::all_gather, label});
  auto op = collective(Verb::all_gather, input.dtype, label);
  op->announcement.elements = output.elements;
  op->announcement.counts_hash = hash_counts(counts);
  Operation& self = *op;
  return start(std::move(op), gather_flow(self, {bytes_of(input), bytes_of(output), byte_borders(counts, input.dtype)}));
}

Work NodeCommunicator::broadcast(Buffer data, int root, Label label) {
  require_rank(root, size(), "root", {Verb::broadcast, label});
  if (is_alone()) return Work();
  auto op = collective(Verb::broadcast, data.dtype, label);
  op->announcement.elements = data.elements;
  op->announcement.root = root;
  PoolVector<std::size_t> borders = list<std::size_t>(static_cast<std::size_t>(size()) + 1);
  std::fill(borders.begin() + root + 1, borders.end(), data.bytes());
  Operation& self = *op;
  return start(std::move(op), gather_flow(self, {bytes_of(data), bytes_of(data), std::move(borders)}));
}

Work NodeCommunicator::all_to_all(Buffer input, std::span<const std::int64_t> send_counts, Buffer output,
                                  std::span<const std::int64_t> receive_counts, Label label) {
  require_counts(send_counts, size(), {Verb::all_to_all, label});
  require_counts(receive_counts, size(), {Verb::all_to_all, label});
  require_elements(input.elements, sum(send_counts), "input", {Verb::all_to_all, label});
  require_elements(output.elements, sum(receive_counts), "output", {Verb::all_to_all, label});
  require_one_type(input, output, {Verb::all_to_all, label});
  auto op = collective(Verb::all_to_all, input.dtype, label);
  Operation& self = *op;
  return start(std::move(op), exchange_flow(self, {bytes_of(input), bytes_of(output), byte_borders(send_counts, input.dtype),
                                                   byte_borders(receive_counts, input.dtype)}));
}

Work NodeCommunicator::send(Buffer data, int to, Label label) {
  require_rank(to, size(), "to", {Verb::send, label});
  auto op = operation(Verb::send, data.dtype, label);
  op->lane = 1 + 2 * to;
  op->announcement.elements = data.elements;
  op->announcement.sequence = ++sent_[static_cast<std::size_t>(to)];
  Operation& self = *op;
  const bool in_node = to >= here_.first && to < here_.last;
  return start(std::move(op), in_node ? send_in_node(self, data, to) : send_between(self, data, to));
}

Work NodeCommunicator::recv(Buffer data, int from, Label label) {
  require_rank(from, size(), "from", {Verb::recv, label});
  auto op = operation(Verb::recv, data.dtype, label);
  op->lane = 2 + 2 * from;
  op->announcement.elements = data.elements;
  op->announcement.sequence = ++received_[static_cast<std::size_t>(from)];
  Operation& self = *op;
  const bool in_node = from >= here_.first && from < here_.last;
  return start(std::move(op), in_node ? recv_in_node(self, data, from) : recv_between(self, data, from));
}

void NodeCommunicator::abort(const std::string& why) noexcept {
  try {
    world_->abort->set(members_.rank, "abort", 0, "aborted by rank " + std::to_string(members_.rank) + ": " + why);
  } catch (...) {  // no memory for the text
    world_->abort->set(members_.rank, "abort", 0, "aborted");
  }
  page_.meeting().tell();  // who sleeps on another communicator's bell looks up within its limit
  if (node_) node_->page_.meeting().tell();
}

}  // namespace chorale
