// How alike tasks see what they have in common: linear CKA between what their last layers read, on batches of common entities, whichever
// strategies run; and what else there is to say of a tick. What is posted at one tick is known at the next.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include <chorale/core/nn/fused_model.hpp>
#include <chorale/train/collab/probe_rows.hpp>
#include <chorale/train/collab/task_info.hpp>
#include <chorale/train/collab/tick_gather.hpp>

namespace chorale {

/// Estimates of how much x and y tell of each other, and each of itself (Hilbert-Schmidt independence criterion of linear kernels) that a
/// few rows do not make greater: those of several batches may be added up. Source: Song, Smola, Gretton, Bedo & Borgwardt, "Feature
/// selection via dependence maximization", JMLR 13, 2012, equation 5.
struct Dependence {
  double xy = 0, xx = 0, yy = 0;
  Dependence& operator+=(const Dependence& other);
  /// Linear CKA, between 0 and 1: 1 where y is x turned and scaled; 0 where one of them does not vary.
  /// Sources: Kornblith, Norouzi, Lee & Hinton, "Similarity of neural network representations revisited", ICML 2019; of batches, Nguyen,
  /// Raghu & Kornblith, "Do wide and deep networks learn the same things?", ICLR 2021, equation 2.
  double cka() const;
};
/// Of x [n, p] and y [n, q], row by row; n is 4 or more.
Dependence dependence(std::span<const float> x, std::span<const float> y, std::int64_t n);

enum class TaskStage : std::uint8_t { idle, burn_in, probe, joint, ended };
std::string_view name(TaskStage stage);

/// Of a task, as its first rank has it at a tick.
struct TaskNews {
  std::int64_t steps = 0;
  std::int64_t bytes = 0;  // that this rank has sent for sharing since its start
  TaskStage stage = TaskStage::idle;
  std::int64_t open_peers = 0, peers = 0;  // sources that its model hears, of those that it has
};

struct TickNews {
  std::int64_t tick = 0;
  std::vector<TaskNews> tasks;
  std::vector<double>
      affinity;  // [tasks, tasks] of the last ten batches; -1: too few entities in common, or a task that does not train yet
};

/// Two tasks' common entities, 256 of them at most and drawn once, take turns in batches of 32 (up to 63 where there are fewer than 64),
/// one at every fourth tick, or at more of them where a run is too short for ten. One thread a rank. A tick sends 16 bytes a rank and, of
/// each task's first rank, 32, and with a batch 4 for each number of what the last layer reads of it for each other task, less what these
/// have in common; a forward pass makes them, which is why there is none at every tick.
class Affinity {
 public:
  struct Setup {
    Communicator& sharing;  // of this alone: all ranks of all tasks
    Communicator& task;
    std::size_t tasks;
    int number;
    const TaskRows& rows;
    FusedModel& model;
    Device& device;
    DType dtype;
    std::int64_t ticks = 0;                             // of the run; 0: a batch at every tick
    std::function<void(const TickNews&)> on_news = {};  // on rank 0 of `sharing`
  };
  /// Collective over all tasks.
  explicit Affinity(const Setup& setup);
  /// Collective over all tasks.
  void tick(std::int64_t number, const TaskNews& mine);
  void advance() { gather_.advance(); }
  void settle() { gather_.settle(); }
  /// Over the last ten batches, [tasks, tasks], as in TickNews; on rank 0 of `sharing`, elsewhere empty.
  std::vector<double> matrix() const;
  /// For a checkpoint, after settle() and valid until the next call: what is under way and, on rank 0 of `sharing`, what the last
  /// ticks found. Equal on all ranks of a task but task 0's, whose first rank's counts.
  std::vector<NamedTensor> state() const;
  /// tick: the checkpoint's. Where an older program has written it, the ten ticks begin anew. Throws CheckpointError.
  void restore(const SafetensorsFile& file, std::int64_t tick);

 private:
  struct Pair {
    std::size_t a, b;
    std::vector<EntityId> common;  // rising
    std::vector<EntityId> batch(std::int64_t number) const;
  };
  /// Whether a batch is told at a tick, and its number.
  bool is_due(std::int64_t tick) const { return (tick - 1) % stride_ == 0; }
  std::int64_t batch_of(std::int64_t tick) const { return 1 + (tick - 1) / stride_; }
  std::vector<EntityId> told_by(std::size_t task, std::int64_t tick) const;
  TickNews read(const std::vector<std::vector<std::int32_t>>& told);
  void add_batch(const std::vector<std::vector<std::int32_t>>& told, const std::vector<std::size_t>& width);
  Setup setup_;
  TickGather gather_;
  ProbeRows probes_;  // all that this task ever tells of
  std::vector<Pair> pairs_;
  std::int64_t told_at_ = 0, stride_ = 1;  // ticks from batch to batch
  std::deque<std::vector<double>> last_;   // by pair three numbers; NaN: unknown
  mutable std::vector<double> kept_;       // for a checkpoint
};

}  // namespace chorale
