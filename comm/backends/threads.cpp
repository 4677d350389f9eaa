// Backends `self` and `threads`: ranks of one process. They differ in the number of ranks only.
#include <thread>

#include <chorale/comm/backends/thread_regions.hpp>
#include <chorale/comm/backends/thread_transport.hpp>
#include <chorale/comm/node_communicator.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/base/registry.hpp>

namespace chorale {
namespace {

std::vector<std::unique_ptr<Communicator>> make_ranks(const std::string& backend, int size, int nodes) {
  Membership members;
  for (int rank = 0; rank < size; ++rank) members.root_ranks.push_back(rank);
  for (int node = 0; node < nodes; ++node) members.nodes.push_back({node * size / nodes, (node + 1) * size / nodes});
  const auto regions = std::make_shared<ThreadRegions>();
  const auto boxes = std::make_shared<Mailboxes>();
  const auto board = std::make_shared<AbortBoard>();
  std::vector<std::unique_ptr<Communicator>> out;
  for (const RankRange& node : members.nodes) {
    members.rank = node.first;
    const Region page = regions->create(NodeCommunicator::page_bytes(members));
    regions->retire(page.key);
    for (int rank = node.first; rank < node.last; ++rank) {
      auto world = std::make_shared<RankWorld>();
      world->backend = backend;
      world->regions = regions;
      world->transport = std::make_shared<ThreadTransport>(boxes, rank);
      world->abort = board;
      if (nodes > 1)
        for (int each = 0; each < size; ++each) world->node_names.push_back(std::to_string(members.node_of(each)));
      world->crowded = size > static_cast<int>(std::thread::hardware_concurrency());
      members.rank = rank;
      out.push_back(std::make_unique<NodeCommunicator>(members, std::move(world), page.memory, 0));
    }
  }
  return out;
}

bool always() { return true; }

}  // namespace

std::unique_ptr<Communicator> make_self_communicator() { return std::move(make_ranks("self", 1, 1).front()); }

std::vector<std::unique_ptr<Communicator>> make_thread_communicators(int size, int nodes) {
  if (size < 1 || nodes < 1 || nodes > size)
    throw UsageError("[threads] " + std::to_string(size) + " ranks on " + std::to_string(nodes) + " nodes; give every node a rank");
  return make_ranks("threads", size, nodes);
}

void register_backend_self(Registry& registry) {
  registry.of<BackendEntry>().add("self", {"one rank, every collective an identity", always});
}
void register_backend_threads(Registry& registry) {
  registry.of<BackendEntry>().add("threads", {"ranks are threads of this process", always});
}

}  // namespace chorale
