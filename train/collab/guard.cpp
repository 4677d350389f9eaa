#include <chorale/train/collab/guard.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <sstream>

#include <chorale/core/base/error.hpp>

#include <chorale/comm/rank_watch.hpp>
#include <chorale/train/evaluator.hpp>
#include <chorale/train/replica.hpp>

namespace chorale {

std::vector<GuardEvent> Guard::judge(std::span<const Benefit> benefits) {
  std::vector<GuardEvent> events;
  ++validations_;
  for (std::size_t s = 0; s < states_.size(); ++s) {
    State& state = states_[s];
    const auto source = static_cast<std::int64_t>(s);
    if (!state.is_open) {
      if (validations_ < state.reopens_at) continue;
      state = {.is_open = true, .on_trial = true};
      events.push_back({validations_, source, true, {}});
      continue;
    }
    const Benefit& b = benefits[s];
    const bool worse = b.mean<-b.error, better = b.mean> b.error;
    state.strikes = worse ? state.strikes + 1 : 0;
    if (state.strikes >= kStrikes || (state.on_trial && !better)) {
      state = {.is_open = false, .reopens_at = validations_ + kClosedFor};
      events.push_back({validations_, source, false, b});
    }
    state.on_trial = false;
  }
  return events;
}

std::string Guard::state_text() const {
  std::string out = std::to_string(validations_);
  for (const State& s : states_)
    out += fmt::format(" {} {} {} {}", static_cast<int>(s.is_open), static_cast<int>(s.on_trial), s.strikes, s.reopens_at);
  return out;
}

void Guard::restore(const std::string& text) {
  std::istringstream in(text);
  in >> validations_;
  for (State& s : states_) in >> s.is_open >> s.on_trial >> s.strikes >> s.reopens_at;
  std::string more;
  if (!in || in >> more) throw CheckpointError("'" + text + "' is no state of a guard over " + std::to_string(states_.size()) + " sources");
}

namespace {

/// Loss by row of every chunk of this rank, one chunk after the other.
std::vector<double> losses(Communicator& comm, FusedModel& model, Loss& loss, Device& device, DType dtype, const Dataset& data,
                           std::int64_t rows) {
  std::vector<double> out;
  for (std::int64_t first = comm.rank() * kEvaluationRows; first < rows; first += comm.size() * kEvaluationRows) {
    comm.watch().beat();
    std::vector<std::int64_t> numbers(static_cast<std::size_t>(std::min(kEvaluationRows, rows - first)));
    std::iota(numbers.begin(), numbers.end(), first);
    const Values in = Replica::gather(data, numbers, device, dtype);
    const Variable* weight = in.find("weight");
    const Variable y = model.forward(in, {.device = device}).at("y");
    const Tensor each = loss.forward(y.value(), in.at("target").value(), weight ? weight->value() : Tensor()).sample_loss;
    with_float_type(each.dtype(), [&]<class T>() { out.insert(out.end(), each.data<T>(), each.data<T>() + each.elements()); });
  }
  return out;
}

/// In row order on every rank.
std::vector<double> gathered(Communicator& comm, const std::vector<double>& mine, std::int64_t rows) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(comm.size()));
  for (std::int64_t first = 0, r = 0; first < rows; first += kEvaluationRows, r = (r + 1) % comm.size())
    counts[static_cast<std::size_t>(r)] += std::min(kEvaluationRows, rows - first);
  std::vector<double> packed(static_cast<std::size_t>(rows)), out(packed.size());
  comm.all_gather({const_cast<double*>(mine.data()), static_cast<std::int64_t>(mine.size()), DType::f64, {}}, buffer_of(std::span(packed)),
                  counts, "guard")
      .wait();
  std::vector<std::int64_t> next(counts.size(), 0);
  for (std::size_t r = 1; r < counts.size(); ++r) next[r] = next[r - 1] + counts[r - 1];
  for (std::int64_t first = 0, r = 0; first < rows; first += kEvaluationRows, r = (r + 1) % comm.size()) {
    const std::int64_t count = std::min(kEvaluationRows, rows - first);
    std::copy_n(packed.begin() + next[static_cast<std::size_t>(r)], count, out.begin() + first);
    next[static_cast<std::size_t>(r)] += count;
  }
  return out;
}

Benefit benefit_of(const std::vector<double>& without, const std::vector<double>& with, std::span<const std::int64_t> entity_of) {
  std::map<std::int64_t, double> by_entity;
  for (std::size_t r = 0; r < with.size(); ++r) by_entity[entity_of[r]] += without[r] - with[r];
  Benefit out{.entities = static_cast<std::int64_t>(by_entity.size())};
  const auto n = static_cast<double>(by_entity.size());
  for (const auto& [entity, d] : by_entity) out.mean += d / n;
  double squares = 0;
  for (const auto& [entity, d] : by_entity) squares += (d - out.mean) * (d - out.mean);
  out.error = n > 1 ? std::sqrt(squares / (n - 1) / n) : std::numeric_limits<double>::infinity();
  return out;
}

}  // namespace

std::vector<Benefit> benefits_of_sources(Communicator& comm, FusedModel& model, Loss& loss, Device& device, DType dtype,
                                         const Dataset& validation, std::span<const std::int64_t> entity_of) {
  const std::int64_t rows = std::min(validation.rows(), kGuardRows), peers = model.options().peers;
  std::vector<Benefit> out(static_cast<std::size_t>(peers));
  if (!model.any_open()) return out;
  const std::vector<double> with = gathered(comm, losses(comm, model, loss, device, dtype, validation, rows), rows);
  for (std::int64_t peer = 0; peer < peers; ++peer) {
    if (!model.is_open(peer)) continue;
    model.set_open(peer, false);
    const std::vector<double> without = gathered(comm, losses(comm, model, loss, device, dtype, validation, rows), rows);
    model.set_open(peer, true);
    out[static_cast<std::size_t>(peer)] = benefit_of(without, with, entity_of);
  }
  return out;
}

}  // namespace chorale
