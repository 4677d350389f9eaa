// The flat parameter arena: all parameters of a model in one buffer, in reverse registration order, so that backward fills the gradient
// buffer from the front and a bucket is a contiguous span. Three segments: trainable, frozen, buffers.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <chorale/core/nn/module.hpp>

namespace chorale {

/// Blocks are what owners, sums, optimisers and norms work in; they count from the start of the arena.
inline constexpr std::int64_t kBlockElements = 4096;

class FlatParams {
 public:
  struct Entry {
    std::string name;
    Parameter* parameter;
    std::int64_t first, count;  // elements of the arena
  };
  /// Lays out the model's parameters, each aligned to 64 bytes. The model outlives it and owns no memory of its own. dtype f32 or f64.
  FlatParams(Module& model, Device& device, DType dtype);

  DType dtype() const { return dtype_; }
  Device& device() const { return device_; }
  /// In the order of the arena.
  const std::vector<Entry>& entries() const { return entries_; }
  std::int64_t elements() const { return elements_; }             // gaps and all segments included
  std::int64_t trainable_elements() const { return trainable_; }  // the front segment: also the size of a gradient buffer
  std::int64_t parameter_count() const { return count_; }         // without gaps
  std::int64_t blocks() const { return (trainable_ + kBlockElements - 1) / kBlockElements; }

  /// The arena's memory, elements() long, zeroed in its gaps; held by the caller.
  void bind(Buffer values);
  Buffer values() const { return values_; }
  /// Where the next backward pass writes, trainable_elements() long. `accumulate`: adds to what is there.
  void bind_gradients(Buffer gradients, bool accumulate);
  /// Zeroes the spans of parameters that the pass did not reach: no gradient counts as zero.
  void finish_gradients();
  /// The last segment: what training passes change without a gradient.
  std::int64_t first_buffer() const { return first_buffer_; }
  std::int64_t buffer_elements() const { return elements_ - first_buffer_; }
  /// Where the next training pass leaves what it saw for the buffers, in their layout, buffer_elements() long. Cleared: it has seen
  /// nothing.
  void stage_in(Buffer memory);
  /// Called with the entry's index each time a gradient is complete.
  void on_gradient_ready(const std::function<void(std::size_t)>& hook);

  /// Draws every parameter by name from the seed, in f64. scheme: torch, glorot_uniform, glorot_normal, he_uniform, he_normal.
  void initialise(std::uint64_t seed, const std::string& scheme);
  /// Overwrites everything (restore, best weights). With a shared copy every rank of the node calls it between barriers.
  void write(Buffer values);
  /// Name of the parameter that holds element i of the arena, "gap" in between.
  std::string name_at(std::int64_t i) const;

 private:
  Device& device_;
  DType dtype_;
  std::vector<Entry> entries_;
  std::int64_t elements_ = 0, trainable_ = 0, first_buffer_ = 0, count_ = 0;
  Buffer values_;
};

}  // namespace chorale
