// Finds the nodes, opens each node's shared page and puts a communicator together.
#include <chorale/comm/backends/mpi_comm.hpp>

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <chorale/comm/backends/mpi_parts.hpp>
#include <chorale/comm/backends/mpi_transport.hpp>
#include <chorale/comm/backends/process_regions.hpp>
#include <chorale/comm/node_communicator.hpp>
#include <chorale/comm/patience.hpp>
#include <chorale/core/base/error.hpp>

namespace chorale {
namespace {

struct NodeCard {
  int node;  // lowest MPI rank on it, and its part when nodes are faked
  int part;
  int rank;  // MPI's
  char host[64];
};

struct PageCard {
  RegionKey key;
  char error[240];  // empty: all is well
};

/// Polls one of the calls of the set-up; there is no page yet to wait on.
void finish(MPI_Request request, const char* call, std::chrono::milliseconds deadline) {
  Patience patience(true);
  for (int done = 0; done == 0;) {
    check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), call);
    if (done == 0 && patience.pause() && patience.waited_ms() > deadline.count())
      throw CommError(-1, call, 0,
                      std::string("[mpi set-up] not every rank came to ") + call + " within " + std::to_string(deadline.count()) +
                          " ms; do all ranks run the same program?");
  }
}

template <class Card>
std::vector<Card> gather_cards(MPI_Comm comm, const Card& mine, std::chrono::milliseconds deadline) {
  int size = 0;
  check_mpi(MPI_Comm_size(comm, &size), "MPI_Comm_size");
  std::vector<Card> out(static_cast<std::size_t>(size));
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Iallgather(&mine, sizeof(Card), MPI_BYTE, out.data(), sizeof(Card), MPI_BYTE, comm, &request), "MPI_Iallgather");
  finish(request, "MPI_Iallgather", deadline);
  return out;
}

/// k of CHORALE_FAKE_NODES; 1 when it is not set.
int fake_nodes() {
  const char* text = std::getenv("CHORALE_FAKE_NODES");
  if (text == nullptr || *text == '\0') return 1;
  const int count = std::atoi(text);
  if (count < 1) throw UsageError("CHORALE_FAKE_NODES is '" + std::string(text) + "'; give a whole number from 1");
  return count;
}

NodeCard own_node(MPI_Comm comm) {
  NodeCard card{};
  check_mpi(MPI_Comm_rank(comm, &card.rank), "MPI_Comm_rank");
  MPI_Comm local = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, card.rank, MPI_INFO_NULL, &local), "MPI_Comm_split_type");
  int local_rank = 0, local_size = 1;
  MPI_Comm_rank(local, &local_rank);
  MPI_Comm_size(local, &local_size);
  ::gethostname(card.host, sizeof card.host - 1);
  card.node = card.rank;
  check_mpi(MPI_Bcast(&card.node, 1, MPI_INT, 0, local), "MPI_Bcast");
  const int nodes = std::min(fake_nodes(), local_size);
  while (card.part + 1 < nodes && local_rank >= (card.part + 1) * local_size / nodes) ++card.part;
  MPI_Comm_free(&local);
  return card;
}

/// Fills members; returns MPI's rank of each of ours.
std::vector<int> order_ranks(std::vector<NodeCard> cards, int mpi_rank, Membership& members, std::vector<std::string>& node_names) {
  std::stable_sort(cards.begin(), cards.end(),
                   [](const NodeCard& a, const NodeCard& b) { return a.node != b.node ? a.node < b.node : a.part < b.part; });
  std::vector<int> mpi_ranks;
  for (std::size_t i = 0; i < cards.size(); ++i) {
    const int at = static_cast<int>(i);
    if (i == 0 || cards[i].node != cards[i - 1].node || cards[i].part != cards[i - 1].part) members.nodes.push_back({at, at});
    members.nodes.back().last = at + 1;
    members.root_ranks.push_back(at);
    if (cards[i].rank == mpi_rank) members.rank = at;
    mpi_ranks.push_back(cards[i].rank);
    node_names.push_back(cards[i].host + (fake_nodes() > 1 ? "." + std::to_string(cards[i].part) : ""));
  }
  if (members.node_count() == 1) node_names.clear();
  return mpi_ranks;
}

/// The first rank of the node creates its page, the others open it.
std::shared_ptr<std::byte> shared_page(MPI_Comm comm, SharedRegions& regions, const Membership& members, const std::vector<int>& mpi_ranks,
                                       std::chrono::milliseconds deadline) {
  const std::size_t bytes = NodeCommunicator::page_bytes(members);
  const int leader = members.own_node().first;
  Region region;
  PageCard mine{};
  if (members.rank == leader) try {
      region = regions.create(bytes);
      mine.key = region.key;
    } catch (const Error& error) {  // the others must not wait for a key that does not come
      std::strncpy(mine.error, error.what(), sizeof mine.error - 1);
    }
  const auto cards = gather_cards(comm, mine, deadline);
  for (const PageCard& card : cards)
    if (card.error[0] != '\0') throw IoError(card.error);
  if (members.rank != leader) try {
      region.memory = regions.open(cards[static_cast<std::size_t>(mpi_ranks[static_cast<std::size_t>(leader)])].key, bytes);
    } catch (const Error& error) {
      std::strncpy(mine.error, error.what(), sizeof mine.error - 1);
    }
  for (const PageCard& card : gather_cards(comm, mine, deadline))
    if (card.error[0] != '\0') throw CommError(-1, "mpi set-up", 0, card.error);
  if (members.rank == leader) regions.retire(region.key);
  return region.memory;
}

}  // namespace

MpiParts assemble_mpi(MPI_Comm comm, std::chrono::milliseconds deadline) {
  MPI_Comm own = MPI_COMM_NULL;
  check_mpi(MPI_Comm_dup(comm, &own), "MPI_Comm_dup");
  MPI_Comm_set_errhandler(own, MPI_ERRORS_RETURN);
  const NodeCard card = own_node(own);
  Membership members;
  const auto cards = gather_cards(own, card, deadline);
  const auto on_machine = std::count_if(cards.begin(), cards.end(), [&](const NodeCard& each) { return each.node == card.node; });
  auto world = std::make_shared<RankWorld>();
  std::vector<int> mpi_ranks = order_ranks(cards, card.rank, members, world->node_names);
  world->backend = "mpi";
  world->regions = std::make_shared<ProcessRegions>();
  const auto memory = shared_page(own, *world->regions, members, mpi_ranks, deadline);
  world->transport = std::make_shared<MpiTransport>(own, std::move(mpi_ranks));
  world->abort = std::shared_ptr<AbortBoard>(memory, reinterpret_cast<AbortBoard*>(memory.get()));
  world->process = own_process();
  world->crowded = on_machine > sysconf(_SC_NPROCESSORS_ONLN);
  return {std::move(members), std::move(world), memory};
}

std::unique_ptr<Communicator> make_mpi_communicator(MPI_Comm comm) {
  int running = 0, over = 0;  // MPI itself would end the program, and name a call that the caller has not made
  MPI_Initialized(&running);
  MPI_Finalized(&over);
  if (!running) throw UsageError("[mpi] make_mpi_communicator before MPI_Init; call MPI_Init first, or make_mpi_world, which does");
  if (over) throw UsageError("[mpi] make_mpi_communicator after MPI_Finalize; make it, and let go of it, before");
  if (comm == MPI_COMM_NULL)
    throw UsageError(
        "[mpi] make_mpi_communicator got MPI_COMM_NULL, which MPI_Comm_split gives to ranks without a color; leave such ranks out");
  MpiParts parts = assemble_mpi(comm);
  return std::make_unique<NodeCommunicator>(std::move(parts.members), std::move(parts.world), std::move(parts.memory), 0);
}

}  // namespace chorale
