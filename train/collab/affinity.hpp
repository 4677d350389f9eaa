// How alike tasks see what they have in common: linear CKA between what their last layers read, on a fixed set of common entities, at every
// tick, whichever strategies run; and what else there is to say of a tick. What is posted at one tick is known at the next.
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

/// Between 0 and 1; of x [n, p] and y [n, q], row by row. 0 where one of them does not vary.
/// Source: Kornblith, Norouzi, Lee & Hinton, "Similarity of neural network representations revisited", ICML 2019, equation 3.
double linear_cka(std::span<const float> x, std::span<const float> y, std::int64_t n);

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
  std::vector<double> affinity;  // [tasks, tasks]; -1: too few entities in common, or a task that does not train yet
};

/// One thread a rank. A tick sends 16 bytes a rank and, of each task's first rank, 32 and 4 for each number of at most 256 (T - 1) rows of
/// what the last layer reads, which a forward pass makes.
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
    std::function<void(const TickNews&)> on_news = {};  // on rank 0 of `sharing`
  };
  /// Collective over all tasks.
  explicit Affinity(const Setup& setup);
  /// Collective over all tasks.
  void tick(std::int64_t number, const TaskNews& mine);
  void advance() { gather_.advance(); }
  void settle() { gather_.settle(); }
  /// Mean over the last ten ticks, [tasks, tasks]; on rank 0 of `sharing`, elsewhere empty.
  std::vector<double> mean() const;
  /// For a checkpoint, after settle() and valid until the next call: what is under way and, on rank 0 of `sharing`, the matrices of the
  /// last ticks. Equal on all ranks of a task but task 0's, whose first rank's counts.
  std::vector<NamedTensor> state() const;
  /// tick: the checkpoint's. Where an older program has written it, the mean begins anew. Throws CheckpointError.
  void restore(const SafetensorsFile& file, std::int64_t tick);

 private:
  struct Pair {
    std::size_t a, b;
    std::vector<std::int64_t> rows_a, rows_b;  // places among what the task tells
  };
  TickNews read(const std::vector<std::vector<std::int32_t>>& told) const;
  Setup setup_;
  TickGather gather_;
  ProbeRows probes_;  // what this task tells
  std::vector<Pair> pairs_;
  std::int64_t told_at_ = 0;
  std::deque<std::vector<double>> last_;
  mutable std::vector<double> kept_;  // for a checkpoint
};

}  // namespace chorale
