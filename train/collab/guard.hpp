// Protection against negative transfer: at each validation a task compares its scores with each peer heard and not heard, and does not hear
// a peer that makes them worse. It sees what its validation labels can show and no more: with 100 of them a loss of 0.01 is invisible.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/data/dataset.hpp>
#include <chorale/core/loss/loss.hpp>
#include <chorale/core/nn/fused_model.hpp>
#include <chorale/train/collab/entity.hpp>

namespace chorale {

/// What hearing a source does to the validation loss: mean over entities of (loss without - loss with), so above 0 it helps.
struct Benefit {
  double mean = 0, error = 0;  // standard error of that mean
  std::int64_t entities = 0;
};

struct GuardEvent {
  std::int64_t validation = 0;  // from 1
  std::int64_t source = 0;
  bool opens = false;
  Benefit benefit = {};  // that decided; of an opening, none
};

/// A pure state machine by source; every rank feeds it the same. Worse by more than one standard error twice running closes a source for
/// three validations. Then it is on trial: unless the next validation is better by more than one standard error, it is closed again.
class Guard {
 public:
  explicit Guard(std::int64_t sources) : states_(static_cast<std::size_t>(sources)) {}
  bool is_open(std::int64_t source) const { return states_[static_cast<std::size_t>(source)].is_open; }
  /// One per source; of closed ones it is not looked at. Returns what has changed.
  std::vector<GuardEvent> judge(std::span<const Benefit> benefits);
  std::int64_t validations() const { return validations_; }
  /// What a checkpoint keeps: numbers parted by blanks. Throws CheckpointError for what is none, or of another number of sources.
  std::string state_text() const;
  void restore(const std::string& text);

 private:
  static constexpr std::int64_t kStrikes = 2, kClosedFor = 3;
  struct State {
    bool is_open = true, on_trial = false;
    std::int64_t strikes = 0, reopens_at = 0;
  };
  std::vector<State> states_;
  std::int64_t validations_ = 0;
};

/// Rows of the validation part that are looked at, at most.
inline constexpr std::int64_t kGuardRows = 65536;

/// Benefit of each open source of the model, by validation entity. Collective over `comm`; equal on all ranks, whatever their number.
/// entity_of: by row of the data set, any numbers that tell entities apart (rows of one entity go together).
std::vector<Benefit> benefits_of_sources(Communicator& comm, FusedModel& model, Loss& loss, Device& device, DType dtype,
                                         const Dataset& validation, std::span<const std::int64_t> entity_of);

}  // namespace chorale
