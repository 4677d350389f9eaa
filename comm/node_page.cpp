#include <chorale/comm/node_page.hpp>

namespace chorale {
namespace {

constexpr std::size_t kPage = 4096;
std::size_t pages(std::size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

struct Layout {
  std::size_t bell, slots, presences, stages, boards, partials, rings, end;
  Layout(std::size_t ranks, std::size_t partial_count) {
    bell = (sizeof(AbortBoard) + alignof(Bell) - 1) / alignof(Bell) * alignof(Bell);
    slots = pages(bell + sizeof(Bell));
    presences = slots + pages(ranks * sizeof(Slot));
    stages = presences + pages(ranks * sizeof(NodePresence));
    boards = stages + ranks * 2 * NodePage::kStageBytes;
    partials = boards + 2 * NodePage::kBoardBytes;
    rings = partials + partial_count * 2 * NodePage::kBoardBytes;
    end = rings + pages(ranks * ranks * sizeof(Ring));
  }
};

}  // namespace

std::size_t NodePage::bytes(int ranks, int partials) {
  return Layout(static_cast<std::size_t>(ranks), static_cast<std::size_t>(partials)).end;
}

NodePage::NodePage(std::shared_ptr<std::byte> memory, int ranks, int partials) : memory_(std::move(memory)), ranks_(ranks) {
  const Layout at(static_cast<std::size_t>(ranks), static_cast<std::size_t>(partials));
  std::byte* base = memory_.get();
  abort_ = reinterpret_cast<AbortBoard*>(base);
  bell_ = reinterpret_cast<Bell*>(base + at.bell);
  slots_ = reinterpret_cast<Slot*>(base + at.slots);
  presences_ = reinterpret_cast<NodePresence*>(base + at.presences);
  stages_ = base + at.stages;
  boards_ = base + at.boards;
  partials_ = base + at.partials;
  rings_ = reinterpret_cast<Ring*>(base + at.rings);
}

}  // namespace chorale
