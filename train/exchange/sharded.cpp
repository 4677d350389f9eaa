#include <chorale/train/exchange/sharded.hpp>

#include <chorale/comm/discard.hpp>
#include <chorale/train/exchange/narrow.hpp>
#include <chorale/train/exchange/ownership.hpp>

namespace chorale {

namespace {

/// What ranks of other nodes own, neighbours joined.
std::vector<Share> owned_elsewhere(const std::vector<Bucket>& buckets, const Communicator& comm) {
  std::vector<Share> out;
  for (const Bucket& bucket : buckets) {
    for (int owner = 0; owner < comm.size(); ++owner) {
      const Share part = owned_part(bucket, owner, comm.size());
      if (comm.node_of(owner) == comm.node_index() || part.count == 0) continue;
      if (!out.empty() && out.back().first + out.back().count == part.first)
        out.back().count += part.count;
      else
        out.push_back(part);
    }
  }
  return out;
}

}  // namespace

Sharded::Sharded(const ExchangeSetup& setup)
    : BlockExchange(setup, {.doubled = false, .everywhere = false},
                    {.parts = owned_parts(setup.buckets, setup.comm.rank(), setup.comm.size()), .among = &setup.comm}),
      copies_(setup, sum_.one_node() ? parts_by_owner(setup.buckets, setup.comm.size()) : sum_.link().written_by_local()),
      buckets_(setup.buckets),
      elsewhere_(owned_elsewhere(setup.buckets, setup.comm)),
      arriving_(sum_.one_node() ? std::vector<Share>() : sum_.link().written_by_local()[static_cast<std::size_t>(comm_.node().rank())]) {
  if (sum_.one_node() || !sum_.link().is_narrow()) return;
  const std::int64_t n = setup.params.trainable_elements();
  residual_memory_ = comm_.node().allocate(comm_.node().rank() == 0 ? n : 0, DType::f32);
  residual_ = residual_memory_.peers[0];
  before_ = Tensor::empty(setup.params.device(), {n}, DType::f32);
}

void Sharded::update(FlatParams& params, Optimizer& optimizer, std::int64_t step, double weight) {
  if (!is_narrow()) return BlockExchange::update(params, optimizer, step, weight);
  float* values = params.values().as<float>();
  float* residual = residual_.as<float>();
  float* before = before_.data<float>();
  std::uint16_t* wire = sum_.link().narrow_values();
  for (const Share& part : sum_.link().own_parts()) {
    snapshot_.before_write(params.values().part(part.first, part.count));
    snapshot_.before_write(residual_.part(part.first, part.count));
  }
  for (const Share& part : sum_.link().own_parts())
    for (std::int64_t i = part.first; i < part.first + part.count; ++i) before[i] = values[i], values[i] += residual[i];
  BlockExchange::update(params, optimizer, step, weight);
  for (const Share& part : sum_.link().own_parts())
    for (std::int64_t i = part.first; i < part.first + part.count; ++i) {
      wire[i] = to_bf16(values[i] - before[i]);
      residual[i] = values[i] - (before[i] + from_bf16(wire[i]));
      values[i] = before[i];  // what every node adds the rounded difference to
    }
}

void Sharded::publish(FlatParams& params) {
  if (snapshot_.is_active())
    for (const Share& part : arriving_) snapshot_.before_write(params.values().part(part.first, part.count));
  if (is_narrow())
    sum_.link().spread_narrow(params.values(), true, "parameter differences");
  else if (sum_.one_node())
    comm_.barrier("parameters").wait();
  else
    sum_.link().spread(params.values(), "parameters");
  copies_.publish();
}

void Sharded::gather_state(Optimizer& optimizer) {
  if (sum_.one_node()) return;
  for (const Buffer& state : optimizer.state()) sum_.link().spread(state, "optimiser state");
  if (is_narrow()) sum_.link().spread(residual_, "residuals");
}

void Sharded::release_state(Optimizer& optimizer) {
  if (sum_.one_node()) return;
  Communicator& node = comm_.node();
  node.barrier("state is no longer needed").wait();
  const auto drop = [&](Buffer state) {
    for (const Share& part : elsewhere_) discard(state.part(part.first, part.count));
  };
  if (node.rank() == 0) {
    for (const Buffer& state : optimizer.state()) drop(state);
    if (is_narrow()) drop(residual_);
  }
  node.barrier("state is released").wait();  // the next gathering writes there
}

std::vector<Held> Sharded::held() const {
  std::vector<Held> out;
  if (sum_.one_node()) return out;
  for (const Bucket& bucket : buckets_)
    for (int owner = 0; owner < comm_.size(); ++owner)
      if (const Share part = owned_part(bucket, owner, comm_.size()); part.count > 0) out.push_back({part.first, part.count, owner});
  return out;
}

std::vector<Carried> Sharded::carried() const {
  if (!is_narrow()) return {};
  return {{"residual", residual_, false}};
}

void register_sharded(Registry& registry) {
  registry.of<ExchangeEntry>().add(
      "sharded", {.help = "optimiser state and update cut over all ranks, parameters once a node",
                  .private_parameters = false,
                  .same_bits = true,
                  .make = [](const ExchangeSetup& s) -> std::unique_ptr<Exchange> { return std::make_unique<Sharded>(s); }});
}

}  // namespace chorale
