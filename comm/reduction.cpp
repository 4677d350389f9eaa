#include <chorale/comm/reduction.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <type_traits>

#include <chorale/core/base/error.hpp>

namespace chorale {
namespace {

constexpr std::int64_t kBlock = 2048;  // elements; two or three levels of the tree fit the first cache

struct Brain {  // bf16 as it lies in memory
  std::uint16_t bits;
};
float widen(Brain x) { return std::bit_cast<float>(std::uint32_t{x.bits} << 16); }
Brain narrow(float x) {
  const auto u = std::bit_cast<std::uint32_t>(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>((u >> 16) | 0x40u)};  // NaN stays NaN
  return {static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};                  // to nearest even
}

template <Reduce op, class A>
A combine(A a, A b) {
  if constexpr (op == Reduce::sum) {
    if constexpr (std::is_integral_v<A>) {  // wraps, as unsigned arithmetic does
      using U = std::make_unsigned_t<A>;
      return static_cast<A>(static_cast<U>(static_cast<U>(a) + static_cast<U>(b)));
    } else {
      return a + b;
    }
  } else if constexpr (op == Reduce::max) {
    return (a > b || a != a) ? a : b;  // a NaN on any rank comes through
  } else if constexpr (op == Reduce::min) {
    return (a < b || a != a) ? a : b;
  } else if constexpr (op == Reduce::bit_and) {
    return static_cast<A>(a & b);
  } else {
    return static_cast<A>(a | b);
  }
}

/// T as it lies in a rank's buffer, A the accumulator.
template <Reduce op, class T, class A>
class Evaluation {
 public:
  Evaluation(std::span<const TreeLeaf> leaves, RankRange root) : leaves_(leaves), root_(root) {}

  void run(std::byte* out, std::int64_t elements, bool to_accumulator) {
    for (std::int64_t first = 0; first < elements; first += kBlock) {
      first_ = first;
      count_ = std::min(kBlock, elements - first);
      next_ = 0;
      if constexpr (std::is_same_v<T, A>) {
        A* target = reinterpret_cast<A*>(out) + first;
        const A* result = evaluate(root_, target);
        if (result != target) std::memmove(target, result, static_cast<std::size_t>(count_) * sizeof(A));
      } else {
        A wide[kBlock];
        const A* result = evaluate(root_, wide);
        if (to_accumulator) {
          std::memcpy(reinterpret_cast<A*>(out) + first, result, static_cast<std::size_t>(count_) * sizeof(A));
        } else {
          T* target = reinterpret_cast<T*>(out) + first;
          for (std::int64_t i = 0; i < count_; ++i) target[i] = narrow(result[i]);
        }
      }
    }
  }

 private:
  /// The subtree's values: in `target`, or where a leaf already has them. Only the last step of a subtree writes `target`,
  /// after everything below it was read, so `target` may be a leaf's own memory.
  const A* evaluate(RankRange node, A* target) {
    const TreeLeaf& leaf = leaves_[next_];
    if (leaf.ranks == node) {
      ++next_;
      return values(leaf, target);
    }
    const int middle = split_point(node);
    alignas(64) A left_block[kBlock];
    alignas(64) A right_block[kBlock];
    const A* left = evaluate({node.first, middle}, left_block);
    const A* right = evaluate({middle, node.last}, right_block);
    for (std::int64_t i = 0; i < count_; ++i) target[i] = combine<op, A>(left[i], right[i]);
    return target;
  }

  const A* values(const TreeLeaf& leaf, A* target) const {
    if constexpr (std::is_same_v<T, A>) {
      return reinterpret_cast<const A*>(leaf.data) + first_;
    } else {
      if (leaf.partial) return reinterpret_cast<const A*>(leaf.data) + first_;
      const T* narrow_values = reinterpret_cast<const T*>(leaf.data) + first_;
      for (std::int64_t i = 0; i < count_; ++i) target[i] = widen(narrow_values[i]);
      return target;
    }
  }

  std::span<const TreeLeaf> leaves_;
  RankRange root_;
  std::int64_t first_ = 0, count_ = 0;
  std::size_t next_ = 0;
};

template <Reduce op>
void reduce_typed(const SubtreeReduction& sum, std::span<const TreeLeaf> leaves, std::byte* out, std::int64_t n) {
  constexpr bool bits = op == Reduce::bit_and || op == Reduce::bit_or;
  const bool wide = sum.to_accumulator;
  switch (sum.type) {
    case DType::i32:
      return Evaluation<op, std::int32_t, std::int32_t>(leaves, sum.root).run(out, n, wide);
    case DType::i64:
      return Evaluation<op, std::int64_t, std::int64_t>(leaves, sum.root).run(out, n, wide);
    case DType::u8:
      return Evaluation<op, std::uint8_t, std::uint8_t>(leaves, sum.root).run(out, n, wide);
    default:
      break;
  }
  if constexpr (!bits) {
    switch (sum.type) {
      case DType::f32:
        return Evaluation<op, float, float>(leaves, sum.root).run(out, n, wide);
      case DType::f64:
        return Evaluation<op, double, double>(leaves, sum.root).run(out, n, wide);
      case DType::bf16:
        return Evaluation<op, Brain, float>(leaves, sum.root).run(out, n, wide);
      default:
        break;
    }
  }
  throw InternalError("[reduce_tree] a type that require_reducible would have refused: " + std::string(name(sum.type)));
}

}  // namespace

DType accumulator(DType type) { return type == DType::bf16 ? DType::f32 : type; }

void require_reducible(DType type, Reduce op, std::string_view label) {
  const bool bits = op == Reduce::bit_and || op == Reduce::bit_or;
  const bool integer = type == DType::i32 || type == DType::i64 || type == DType::u8;
  if (type == DType::f16) throw ShapeError("[reduce '" + std::string(label) + "'] f16 is not summed between ranks; use f32 or bf16");
  if (bits && !integer)
    throw ShapeError("[reduce '" + std::string(label) + "'] bits of " + std::string(name(type)) + " make no sense; use i32, i64 or u8");
}

void reduce_tree(const SubtreeReduction& sum, std::span<const TreeLeaf> leaves, std::byte* out, std::int64_t elements) {
  switch (sum.op) {
    case Reduce::sum:
      return reduce_typed<Reduce::sum>(sum, leaves, out, elements);
    case Reduce::max:
      return reduce_typed<Reduce::max>(sum, leaves, out, elements);
    case Reduce::min:
      return reduce_typed<Reduce::min>(sum, leaves, out, elements);
    case Reduce::bit_and:
      return reduce_typed<Reduce::bit_and>(sum, leaves, out, elements);
    case Reduce::bit_or:
      return reduce_typed<Reduce::bit_or>(sum, leaves, out, elements);
  }
}

}  // namespace chorale
