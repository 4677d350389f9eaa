// A run's state to and from checkpoints: parameters, optimiser state, best weights, position, early stopping. How the
// files are written is BackgroundSave's.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/base/log.hpp>
#include <chorale/core/io/checkpoint.hpp>
#include <chorale/core/io/named_tensor.hpp>
#include <chorale/core/nn/flat_params.hpp>
#include <chorale/core/optim/optimizer.hpp>
#include <chorale/train/arena_memory.hpp>
#include <chorale/train/background_save.hpp>
#include <chorale/train/early_stopping.hpp>
#include <chorale/train/exchange/exchange.hpp>
#include <chorale/train/rate_schedule.hpp>

namespace chorale {

/// What a step boundary is, beside the tensors.
struct RunPosition {
  std::int64_t step = 0, virtual_workers = 0;
  std::map<std::string, std::string> identity;  // keys that cannot change without changing the mathematics of a step
  std::string exchange = {};                    // in use; empty: not known
  bool evaluation_missed = false;               // a stop came between this step and its evaluation: the resumed run begins with it
  double epoch_loss = 0, epoch_weight = 0;      // sums of the training loss since the last evaluation
  std::optional<CheckpointScore> score = {};    // where the step was evaluated
  double lr_factor = 1;                         // what rollbacks have made of the rate
  std::int64_t skipped_steps = 0, rollbacks = 0;
  std::int64_t schedule_steps = 0;  // that the rate's schedule stretches over; 0: not known
  RateSchedule::Plateau plateau = {};
  std::string pinned = {};  // of TrainingHook; what is read back does not have it
};

class Checkpointing {
 public:
  struct Parts {
    Communicator& comm;
    FlatParams& params;
    Optimizer& optimizer;
    EarlyStopping& early;
    Buffer best;  // best weights, in the arena's layout; elements 0: none are kept
    BackgroundSave::Setup save;
  };
  /// What the exchange in use says of itself, on all ranks.
  struct Kept {
    std::vector<Carried> carried;
    bool is_private;              // parameters and state are: every rank has its own
    std::vector<Held> held = {};  // of the state and of what is carried, where that lies in parts on several nodes
  };
  explicit Checkpointing(Parts parts);
  /// The saves' way to the disk. Its collectives are the caller's to make.
  BackgroundSave& saves() { return saves_; }
  /// Collective, once the exchange is known: memory for copies. Returns this rank's bytes; 0: training waits for each save.
  std::uint64_t reserve(const Kept& kept) { return saves_.reserve(files(kept.carried, parts_.best.elements > 0), live(kept)); }
  /// Collective. Afterwards training may go on; saves() tells what becomes of it.
  /// gather: brings to every node what is held in parts, where training has to wait for the save. Returns whether it was called.
  bool start(const RunPosition& position, const Kept& kept, const std::function<void()>& gather);
  /// Whose work it is to fill parameters and state: of a node's shared ones each of its ranks has a part.
  struct Fillers {
    Writers values, state;
  };
  /// Collective. Rank 0 picks the newest checkpoint that is sound to all ranks, which verify a share each and then read what they fill.
  /// Empty when there is none.
  /// `workers` and `identity` of the result are the checkpoint's; the caller compares. Throws CheckpointError on every rank.
  /// refuse: asked before tensors are read; a text ends it as a UsageError. Equal on all ranks.
  std::optional<RunPosition> restore(Log& log, Fillers fillers, const std::function<std::string(const RunPosition&)>& refuse = {});
  /// After restore(): what the exchange keeps, from the same checkpoint; zeros where that was made with another exchange.
  /// What only another exchange keeps is dropped with a warning. Collective.
  void restore_carried(const std::vector<Carried>& carried, Log& log);

 private:
  std::string fields(const RunPosition& position) const;
  SaveFiles files(const std::vector<Carried>& carried, bool with_best) const;
  std::vector<LiveMemory> live(const Kept& kept) const;
  std::vector<NamedTensor> tensors_of_state(std::size_t state) const;
  std::vector<NamedTensor> optimizer_tensors() const;
  std::vector<NamedTensor> average_tensors() const;
  void read_state(const std::vector<NamedTensor>& wanted, const SafetensorsFile& file, Writers writers) const;
  Writers of_node() const { return {parts_.comm.node().rank(), parts_.comm.node().size()}; }
  void read_into(Buffer values, Writers writers, const SafetensorsFile& file, const std::string& prefix) const;
  std::vector<NamedTensor> carried_tensors(const Carried& carried) const;
  void read_carried(const Carried& carried, const NamedTensor& wanted, const SafetensorsFile& file, Log& log) const;
  void say_dropped(const std::vector<Carried>& carried, const SafetensorsFile& file, Log& log) const;
  Parts parts_;
  BackgroundSave saves_;
  std::optional<Checkpoint> restored_;
};

/// Every parameter as files name it, its data in `values` (the arena or a copy of it).
std::vector<NamedTensor> named_parameters(const FlatParams& params, Buffer values, const std::string& prefix = {});

}  // namespace chorale
