#include <chorale/train/collab/sharing.hpp>

#include <algorithm>
#include <chrono>
#include <numeric>

#include <chorale/comm/rank_watch.hpp>
#include <chorale/core/data/sampler.hpp>
#include <chorale/train/evaluator.hpp>
#include <chorale/train/replica.hpp>

namespace chorale {

namespace {
using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }
}  // namespace

Sharing::Sharing(Parts parts, const SharingPlan& plan) : parts_(std::move(parts)), plan_(plan), seen_(parts_.model.options().width) {
  open_or_close();
}

void Sharing::on_results(std::int64_t worker, std::span<const std::int64_t> rows, const Values& results) {
  if (parts_.publisher < 0) return;
  const Tensor entity = results.at("entity").value();
  const std::int64_t width = entity.row_elements();
  with_float_type(entity.dtype(), [&]<class T>() {
    const T* vector = entity.data<T>();
    for (const std::int64_t row : rows) {
      const auto number = static_cast<std::size_t>(parts_.train->row_id(row));
      for (const std::vector<std::int32_t>& kind : parts_.entities)
        if (kind[number] >= 0) seen_.add(kind[number], static_cast<std::int32_t>(worker), vector);
      vector += width;
    }
  });
}

void Sharing::after_step(std::int64_t step) {
  if (step % plan_.steps_per_tick == 0) tick(true);
}

void Sharing::tick(bool trains) {
  const Clock::time_point start = Clock::now();
  parts_.task.watch().enter(Activity::updating, "sharing");
  parts_.store.complete();
  stops_ = parts_.store.notice() != 0;
  if (parts_.fetched) parts_.fetched->refresh();
  ++ticks_;
  open_or_close();
  const Clock::time_point swept = Clock::now();
  if (trains && parts_.publisher >= 0 && plan_.sweep_ticks > 0) sweep();
  sweep_seconds_ += seconds_since(swept);
  parts_.store.post(trains ? parts_.publisher : -1, seen_, parts_.wants_stop && parts_.wants_stop() ? 1 : 0);
  seen_.clear();
  tick_seconds_ += seconds_since(start);
}

void Sharing::open_or_close() {
  for (std::int64_t peer = 0; peer < parts_.model.options().peers; ++peer)
    parts_.model.set_open(peer, ticks_ >= plan_.burn_in_ticks && ticks_ > 0);
}

void Sharing::sweep() {
  const std::int64_t rows = parts_.all->rows(), chunks = (rows + kEvaluationRows - 1) / kEvaluationRows;
  const Share now = share_of(chunks, (ticks_ - 1) % plan_.sweep_ticks, plan_.sweep_ticks);
  for (std::int64_t chunk = now.first; chunk < now.first + now.count; ++chunk) {
    if (chunk % parts_.task.size() != parts_.task.rank()) continue;
    std::vector<std::int64_t> numbers(static_cast<std::size_t>(std::min(kEvaluationRows, rows - chunk * kEvaluationRows)));
    std::iota(numbers.begin(), numbers.end(), chunk * kEvaluationRows);
    const Values in = Replica::gather(*parts_.all, numbers, parts_.device, parts_.dtype);
    const Tensor entity = parts_.model.entity(in.at("x"), {.device = parts_.device}).value();
    const std::int64_t width = entity.row_elements(), part = parts_.virtual_workers + chunk;
    with_float_type(entity.dtype(), [&]<class T>() {
      for (std::size_t r = 0; r < numbers.size(); ++r)
        for (const std::vector<std::int32_t>& kind : parts_.entities)
          if (const std::int32_t e = kind[static_cast<std::size_t>(parts_.all->row_id(numbers[r]))]; e >= 0)
            seen_.add(e, static_cast<std::int32_t>(part), entity.data<T>() + static_cast<std::int64_t>(r) * width);
    });
  }
}

void Sharing::keep_best() {
  if (parts_.fetched) parts_.fetched->keep();
}

void Sharing::use_best() {
  if (parts_.fetched) parts_.fetched->use_kept();
}

void Sharing::after_last_step() { parts_.store.complete(); }

}  // namespace chorale
