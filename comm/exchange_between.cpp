// all_to_all between nodes: counts go round first, then messages go straight between ranks of different nodes.
#include <chorale/comm/node_communicator.hpp>

namespace chorale {

Task NodeCommunicator::exchange_between(Operation& op, const ExchangePlan& plan) {
  co_await open(op, {});
  const std::size_t n = static_cast<std::size_t>(size()), row = 2 * (n + 1);
  PoolVector<std::uint64_t> mine = list<std::uint64_t>(row), table = list<std::uint64_t>(n * row);
  write_row(plan, mine.data());
  GatherPlan counts{reinterpret_cast<const std::byte*>(mine.data()), reinterpret_cast<std::byte*>(table.data()), list<std::size_t>(n + 1)};
  for (std::size_t r = 0; r <= n; ++r) counts.borders[r] = r * row * sizeof(std::uint64_t);
  co_await gather_rounds(op, counts);
  const ExchangeRows rows{table.data(), n};
  check_rows(op, rows);
  Transfers transfers(PoolAllocator<Transfers::value_type>{*pool_});
  for (int peer = 0; peer < size(); ++peer) {
    if (peer >= here_.first && peer < here_.last) continue;
    const auto p = static_cast<std::size_t>(peer);
    post_receive(transfers, peer, plan.output + plan.receive[p], plan.receive[p + 1] - plan.receive[p]);
    post_send(transfers, peer, plan.input + plan.send[p], plan.send[p + 1] - plan.send[p]);
  }
  co_await exchange_rounds(op, plan, rows);
  co_await finish(op, transfers);
}

}  // namespace chorale
