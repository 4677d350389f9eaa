// What can be trained: a module turns named tensors into named tensors and owns parameters; a layer is the case of one in, one out.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <chorale/core/base/observer.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/core/base/trace.hpp>
#include <chorale/core/nn/parameter.hpp>
#include <chorale/core/nn/running_statistics.hpp>

namespace chorale {

/// One forward pass over a share of the global batch.
struct Pass {
  Device& device;
  bool training = false;            // dropout draws, the graph is recorded
  std::uint64_t random_key = 0;     // of (seed, step)
  std::int64_t first_position = 0;  // of the share's first sample in the global batch: what random numbers are counted by
  Trace* trace = nullptr;           // null: nobody looks
  Observer* observer = nullptr;     // the same
  /// Makes of each number its sum over all ranks, which call it together; null: nobody else passes now.
  const std::function<void(std::span<double>)>* sum_over_ranks = nullptr;
};

class Module {
 public:
  struct Named {
    std::string name;
    Parameter* parameter;
  };
  virtual ~Module() = default;
  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  virtual Values forward(const Values& in, const Pass& pass) = 0;
  /// What a model table calls it: "linear(784, 128)".
  virtual std::string name() const = 0;
  /// All parameters in registration order, children's with their names in front: "0.weight".
  std::vector<Named> parameters() const;
  /// Tells this module and its children where they lie. The arena calls it.
  void set_path(const std::string& path = {});
  /// Where it lies in its model, as in names of parameters: "encoder.2". Empty: the model itself, or nobody has told it yet.
  const std::string& path() const { return path_; }
  const std::vector<std::pair<std::string, Module*>>& children() const { return children_; }
  /// What this module and its children keep of what they have seen in training, in registration order.
  std::vector<RunningStatistics*> statistics() const;

 protected:
  /// Registers; the reference stays valid as long as the module.
  Parameter& add_parameter(const std::string& name, const Shape& shape, Init init, Segment segment = Segment::trainable);
  /// Parameters "running_mean" and "running_var" [channels] and "num_batches_tracked" [], buffers all; valid as long as the module.
  RunningStatistics& add_statistics(std::int64_t channels, const RunningStatistics::Options& options);
  /// A member of the derived class, or one that it owns.
  void add_child(const std::string& name, Module& child) { children_.emplace_back(name, &child); }
  /// The same, before the child at `position`.
  void insert_child(std::size_t position, const std::string& name, Module& child) {
    children_.emplace(children_.begin() + static_cast<std::ptrdiff_t>(position), name, &child);
  }
  /// The key of this module's random numbers in this pass. It follows from the module's path: what is added elsewhere in a model changes
  /// no module's numbers.
  std::uint64_t random_key(const Pass& pass) const { return mix(pass.random_key, path_key_); }

 private:
  void collect(const std::string& prefix, std::vector<Named>& out) const;
  void collect(std::vector<RunningStatistics*>& out) const;
  std::vector<std::pair<std::string, std::unique_ptr<Parameter>>> parameters_;
  std::vector<std::pair<std::string, Module*>> children_;
  std::vector<std::unique_ptr<RunningStatistics>> statistics_;
  std::string path_;
  std::uint64_t path_key_ = kNoPath;
  static constexpr std::uint64_t kNoPath = 14695981039346656037u;  // of an empty text: FNV-1a, Fowler, Noll and Vo
};

/// What comes behind a layer and can be done in the sweep that writes its result: relu(y + addend). Undefined, false: not that part.
struct Epilogue {
  Variable addend = {};
  bool has_relu = false;
};

class Layer : public Module {
 public:
  virtual Variable forward(const Variable& x, const Pass& pass) = 0;
  /// Shape of a result row for a row of shape `in` (both without the batch dimension). Throws ShapeError.
  virtual Shape output_shape(const Shape& in) const { return in; }
  /// f of each element, for an f that never falls and whose slope is 0 or 1.
  virtual bool is_growing() const { return false; }
  /// Of a layer that only chooses among its inputs by size: before such an f it gives the same values and gradients as behind it, and
  /// leaves f less to do.
  virtual bool goes_before_growing() const { return false; }
  /// max(x, 0) of each element: what an Epilogue can do.
  virtual bool is_relu() const { return false; }
  /// Whether it has forward_with_epilogue(), with the values and gradients that it and what comes behind it have one after the other.
  virtual bool takes_epilogue() const { return false; }
  virtual Variable forward_with_epilogue(const Variable& x, const Epilogue& epilogue, const Pass& pass);
  /// "x" to "y"; of rows of tokens, "tokens" to "y".
  Values forward(const Values& in, const Pass& pass) override {
    const Variable* tokens = in.find("tokens");
    return {{"y", forward(tokens ? *tokens : in.at("x"), pass)}};
  }
};

}  // namespace chorale
