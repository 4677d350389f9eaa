// A task of a finished stitch, computed in one process: its peers' layers up to the stitch stand beside its own, and read the peers' rows
// of the same entities. What such a task is scored with, in the bits of its collaboration.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include <chorale/core/data/dataset.hpp>
#include <chorale/core/nn/sequential.hpp>
#include <chorale/train/collab/collab_options.hpp>

namespace chorale {

/// Reads "x" and of each peer "x.TASK", its row of the entity, and "has.TASK" [1], 0 where it has none: its layer is then zeros. Gives "y".
/// The own layers keep their names; the alphas are "stitch.own" and "stitch.others", as Stitch has them.
class StitchedModel final : public Module {
 public:
  struct Peer {
    std::string task;
    Sequential* layers;  // without a stitch; outlives the model
  };
  /// plan: as of the collaboration. number: of this task among all. peers: the others, in the order of tasks. in: shape of a row of "x".
  /// Throws UsageError where the layers cannot be stitched.
  StitchedModel(std::unique_ptr<Sequential> own, const Shape& in, const StitchPlan& plan, int number, std::vector<Peer> peers);
  ~StitchedModel() override;
  Values forward(const Values& in, const Pass& pass) override;
  std::string name() const override { return "stitched"; }
  Sequential& own() { return *own_; }

 private:
  struct Alphas;  // module of the two parameters
  std::unique_ptr<Sequential> own_;
  std::unique_ptr<Alphas> alphas_;
  int number_;
  std::vector<Peer> peers_;
  std::vector<std::size_t> behind_;  // by task: the layer in front of the stitch
  std::int64_t each_;                // numbers of one alpha
};

/// A task's rows with those of its peers beside them.
class StitchedRows final : public Dataset {
 public:
  struct Peer {
    std::string task;
    std::shared_ptr<const Dataset> rows;
    std::vector<std::int64_t> of_row;  // by own row: the peer's; -1: it has none of the entity
  };
  StitchedRows(std::shared_ptr<const Dataset> own, std::vector<Peer> peers);
  std::int64_t rows() const override { return own_->rows(); }
  const std::vector<Field>& fields() const override { return fields_; }
  void gather(int field, std::span<const std::int64_t> rows, void* out) const override;
  std::int64_t row_id(std::int64_t row) const override { return own_->row_id(row); }

 private:
  std::shared_ptr<const Dataset> own_;
  std::vector<Peer> peers_;
  std::vector<int> x_;  // by peer: its field
  std::vector<Field> fields_;
};

}  // namespace chorale
