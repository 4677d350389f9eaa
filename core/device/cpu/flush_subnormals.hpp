// Subnormal numbers as zeros.
#pragma once

namespace chorale {

/// Subnormal numbers are taken for 0 and become 0 while this lives: in this thread, and in threads that it starts. Gradients of what a
/// network has learnt by heart, and moments of a unit that nothing reaches any more, shrink into their range and stay there, where each
/// operation takes a hundred times as long. Also used in files compiled per instruction set, hence nothing of it is ever called.
class FlushSubnormals {
 public:
  [[gnu::always_inline]] FlushSubnormals() : before_(__builtin_ia32_stmxcsr()) { __builtin_ia32_ldmxcsr(before_ | kFlushed); }
  [[gnu::always_inline]] ~FlushSubnormals() { __builtin_ia32_ldmxcsr(before_); }
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;

 private:
  static constexpr unsigned kFlushed = 0x8040;  // flush to zero, denormals are zeros
  unsigned before_;
};

}  // namespace chorale
