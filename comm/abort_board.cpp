#include <chorale/comm/abort_board.hpp>

#include <algorithm>
#include <cstring>

namespace chorale {
namespace {

void write(char* target, std::size_t room, const std::string& text) noexcept {
  const std::size_t length = std::min(room - 1, text.size());
  std::memcpy(target, text.data(), length);
  target[length] = '\0';
}

}  // namespace

void AbortBoard::set(int rank, const std::string& op, std::uint64_t sequence, const std::string& text) noexcept {
  std::uint32_t expected = kClear;
  if (!state_.compare_exchange_strong(expected, kWriting)) return;
  rank_ = rank;
  sequence_ = sequence;
  write(op_, sizeof op_, op);
  write(text_, sizeof text_, text);
  state_.store(kSet, std::memory_order_seq_cst);
}

CommError AbortBoard::error() const { return CommError(rank_, op_, sequence_, text_); }

}  // namespace chorale
