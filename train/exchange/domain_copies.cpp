#include <chorale/train/exchange/domain_copies.hpp>

#include <algorithm>
#include <cstring>

namespace chorale {

namespace {

constexpr std::int64_t kLineElements = 64;  // whole cache lines of every type

/// Part i of n of a share.
Share cut(Share whole, std::int64_t i, std::int64_t n) {
  const Share lines = share_of((whole.count + kLineElements - 1) / kLineElements, i, n);
  const std::int64_t first = std::min(whole.count, lines.first * kLineElements);
  return {whole.first + first, std::min(whole.count, (lines.first + lines.count) * kLineElements) - first};
}

}  // namespace

DomainCopies::DomainCopies(const ExchangeSetup& setup, const std::vector<std::vector<Share>>& written) : node_(setup.comm.node()) {
  if (setup.copies.empty()) return;
  const Buffer mine = setup.copies[static_cast<std::size_t>(node_.rank())];
  int place = 0, beside = 0;
  for (int local = 0; local < node_.size(); ++local) {
    if (setup.copies[static_cast<std::size_t>(local)].data != mine.data) continue;
    if (local < node_.rank()) ++place;
    ++beside;
  }
  one_copy_ = beside == node_.size();
  for (std::size_t local = 0; local < written.size(); ++local) {
    const Buffer theirs = setup.copies[local];
    if (theirs.data == mine.data) continue;
    for (const Share& share : written[local])
      if (const Share part = cut(share, place, beside); part.count > 0)
        pieces_.push_back({mine.part(part.first, part.count), theirs.part(part.first, part.count)});
  }
}

void DomainCopies::publish() {
  if (one_copy_) return;
  for (const Piece& piece : pieces_) std::memcpy(piece.to.data, piece.from.data, piece.to.bytes());
  node_.barrier("copies of parameters").wait();
}

}  // namespace chorale
