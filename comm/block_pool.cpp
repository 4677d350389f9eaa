#include <chorale/comm/block_pool.hpp>

#include <bit>
#include <new>

namespace chorale {

void* BlockPool::take(std::size_t bytes) {
  const std::size_t shelf = static_cast<std::size_t>(std::bit_width(bytes + sizeof(Header) - 1));
  Header* block = free_[shelf];
  if (block) {
    free_[shelf] = block->next;
  } else {
    block = static_cast<Header*>(::operator new (std::size_t{1} << shelf));
    block->pool = this;
  }
  block->shelf = shelf;
  ++out_;
  return block + 1;
}

void BlockPool::give_back(void* memory) noexcept {
  if (!memory) return;
  Header* block = static_cast<Header*>(memory) - 1;
  BlockPool& pool = *block->pool;
  Header*& shelf = pool.free_[block->shelf];
  block->next = shelf;
  shelf = block;
  if (--pool.out_ == 0 && pool.retired_) delete &pool;
}

BlockPool::~BlockPool() {
  for (Header* block : free_)
    while (block) ::operator delete(std::exchange(block, block->next));
}

void BlockPool::retire() noexcept {
  retired_ = true;
  if (out_ == 0) delete this;
}

}  // namespace chorale
