// Calls that make things: shared memory for the node, communicators for some of the ranks. They block.
#include <algorithm>
#include <cstring>
#include <tuple>

#include <chorale/core/base/error.hpp>
#include <chorale/comm/node_communicator.hpp>

namespace chorale {
namespace {

/// One of these from every rank, in rank order.
template <class Card>
std::vector<Card> gather_cards(Communicator& comm, const Card& mine, Label label) {
  std::vector<Card> out(static_cast<std::size_t>(comm.size()));
  const std::vector<std::int64_t> counts(out.size(), sizeof(Card));
  comm.all_gather(buffer_of(std::span(reinterpret_cast<const std::uint8_t*>(&mine), sizeof(Card))),
                  buffer_of(std::span(reinterpret_cast<std::uint8_t*>(out.data()), sizeof(Card) * out.size())), counts, label)
      .wait();
  return out;
}

struct PartCard {
  RegionKey key;
  std::int64_t elements;
  std::int64_t dtype;
};

constexpr std::size_t kLongestName = 31;

struct SplitCard {
  int color, key, node, next_id;
  char name[kLongestName + 1];
};

/// Thrown on all ranks or on none: a rank that left alone would leave the others waiting.
void check_names(std::span<const SplitCard> cards, std::string_view own) {
  for (std::size_t r = 0; r < cards.size(); ++r) {
    const SplitCard& card = cards[r];
    if (card.name[kLongestName] != '\0')
      throw UsageError("[split] the name " + std::string(own) + std::string(card.name, kLongestName) + "... of rank " + std::to_string(r) +
                       " is longer than " + std::to_string(kLongestName) + " characters; give a shorter one");
    for (std::size_t other = 0; other < r; ++other)
      if (cards[other].color == card.color && std::string_view(cards[other].name) != card.name)
        throw UsageError("[split] rank " + std::to_string(other) + " names it '" + cards[other].name + "', rank " + std::to_string(r) +
                         " '" + card.name + "'; ranks of one colour give one name");
  }
}

}  // namespace

SharedMemory NodeCommunicator::allocate(std::int64_t elements, DType dtype) {
  if (elements < 0) throw ShapeError("[allocate] " + std::to_string(elements) + " elements");
  if (node_) return node_->allocate(elements, dtype);
  const Region region = world_->regions->create(static_cast<std::size_t>(elements) * size_bytes(dtype));
  const auto cards = gather_cards(*this, PartCard{region.key, elements, static_cast<std::int64_t>(dtype)}, "allocate");
  auto mapping = std::make_shared<Mapping>();
  SharedMemory out;
  for (int local = 0; local < size(); ++local) {
    const PartCard& card = cards[static_cast<std::size_t>(local)];
    const auto type = static_cast<DType>(card.dtype);
    const std::size_t bytes = static_cast<std::size_t>(card.elements) * size_bytes(type);
    mapping->parts.push_back(local == rank() ? region.memory : world_->regions->open(card.key, bytes));
    mapping->bytes.push_back(bytes);
    out.peers.push_back({mapping->parts.back().get(), card.elements, type, {}});
  }
  barrier("allocate").wait();
  world_->regions->retire(region.key);
  segments_->add(mapping);
  out.mine = out.peers[static_cast<std::size_t>(rank())];
  out.owner = std::move(mapping);
  return out;
}

std::unique_ptr<Communicator> NodeCommunicator::split(int color, int key, std::string_view name) {
  SplitCard mine{color, key, node_index(), world_->next_id, {}};
  std::memcpy(mine.name, name.data(), std::min(name.size(), sizeof mine.name));
  const auto cards = gather_cards(*this, mine, "split");
  check_names(cards, terms_->name);
  int id = 0;
  std::vector<int> chosen;
  for (int r = 0; r < size(); ++r) {
    id = std::max(id, cards[static_cast<std::size_t>(r)].next_id);
    if (cards[static_cast<std::size_t>(r)].color == color) chosen.push_back(r);
  }
  world_->next_id = id + 1;
  std::stable_sort(chosen.begin(), chosen.end(),
                   [&](int a, int b) { return cards[static_cast<std::size_t>(a)].key < cards[static_cast<std::size_t>(b)].key; });
  // A key may order ranks of several nodes alternately; every run of neighbours on one node is then a node of its own.
  Membership members;
  int previous = -1;
  for (int parent : chosen) {
    const int at = members.size(), node = cards[static_cast<std::size_t>(parent)].node;
    if (parent == rank()) members.rank = at;
    if (node != previous) members.nodes.push_back({at, at});
    members.nodes.back().last = at + 1;
    members.root_ranks.push_back(members_.root_ranks[static_cast<std::size_t>(parent)]);
    previous = node;
  }
  const int leader = members.own_node().first;
  const std::size_t bytes = page_bytes(members);
  Region region;
  if (members.rank == leader) region = world_->regions->create(bytes);
  const auto keys = gather_cards(*this, region.key, "split");
  if (members.rank != leader)
    region.memory = world_->regions->open(keys[static_cast<std::size_t>(chosen[static_cast<std::size_t>(leader)])], bytes);
  const auto terms = std::make_shared<Terms>(*terms_);
  terms->bytes_sent = 0;
  if (!name.empty()) terms->name.append(name).append("/");
  auto child = std::make_unique<NodeCommunicator>(std::move(members), world_, region.memory, id, terms);
  barrier("split").wait();  // all marks are in the page, all have opened it
  if (child->local_ == 0) world_->regions->retire(region.key);
  return child;
}

}  // namespace chorale
