#include <chorale/train/collab/sharing.hpp>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <sstream>

#include <chorale/comm/rank_watch.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/data/sampler.hpp>
#include <chorale/train/collab/pinned_version.hpp>
#include <chorale/train/evaluator.hpp>
#include <chorale/train/replica.hpp>

namespace chorale {

namespace {
using Clock = std::chrono::steady_clock;
constexpr std::int64_t kInterrupt = 1, kRequeue = 2;  // bits of a notice
double seconds_since(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }
}  // namespace

Sharing::Sharing(Parts parts, const SharingPlan& plan)
    : parts_(std::move(parts)), plan_(plan), seen_(parts_.model.options().width), guard_(parts_.model.options().peers) {
  open_or_close();
  keep_best();
}

void Sharing::on_results(std::int64_t worker, std::span<const std::int64_t> rows, const Values& results) {
  if (parts_.publisher < 0 || parts_.untrained) return;
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
  if (step % plan_.steps_per_tick == 0)
    tick(true);
  else
    parts_.store.advance();  // what was posted travels while the steps are made
}

std::int64_t Sharing::own_notice() const {
  const Stop wanted = parts_.wants_stop ? parts_.wants_stop() : Stop::none;
  return wanted == Stop::interrupt ? kInterrupt : wanted == Stop::requeue ? kRequeue : 0;
}

void Sharing::idle_tick() {
  tick(false);
  const bool is_due = plan_.save_ticks > 0 && ticks_ % plan_.save_ticks == 0;
  if ((is_due || stop_ != Stop::none) && parts_.on_saved) parts_.on_saved(ticks_, true);
}

bool Sharing::saves_after(std::int64_t step) const {
  return plan_.save_ticks > 0 && step % plan_.steps_per_tick == 0 &&
         (plan_.first_tick + step / plan_.steps_per_tick) % plan_.save_ticks == 0;
}

void Sharing::after_save(std::int64_t step, bool is_good) {
  if (parts_.on_saved) parts_.on_saved(plan_.first_tick + step / plan_.steps_per_tick, is_good);
}

std::string Sharing::pinned() const {
  PinnedVersion out{.tick = ticks_,
                    .width = parts_.model.options().width,
                    .fusion = parts_.model.options(),
                    .kinds = parts_.kinds,
                    .sources = {},
                    .best = {},
                    .last = {}};
  if (!parts_.fetched) return out.to_json();
  for (const FetchSource& source : parts_.fetched->sources())
    out.sources.push_back({parts_.store.publishers()[static_cast<std::size_t>(source.publisher)].task, source.kind});
  out.best = {parts_.fetched->kept_version(), parts_.fetched->kept_hash(), kept_open_};
  out.last = {parts_.fetched->version(), parts_.fetched->hash(), {}};
  for (std::int64_t peer = 0; peer < parts_.model.options().peers; ++peer) out.last.open.push_back(parts_.model.is_open(peer));
  return out.to_json();
}

std::string Sharing::state_text() const {
  std::string open;
  for (const bool each : kept_open_) open += each ? "1" : "0";
  return std::to_string(ticks_) + " " + std::to_string(parts_.fetched ? parts_.fetched->kept_version() : 0) + " " +
         (open.empty() ? "-" : open) + " " + guard_.state_text();
}

void Sharing::restore(const SafetensorsFile& file, const std::string& text) {
  std::istringstream in(text);
  std::int64_t kept_version = 0;
  std::string open, guard;
  in >> ticks_ >> kept_version >> open;
  std::getline(in >> std::ws, guard);
  if (!in || (open != "-" && open.size() != kept_open_.size()))
    throw CheckpointError(file.path().string() + ": '" + text + "' is no state of a task");
  guard_.restore(guard);
  for (std::size_t p = 0; p < kept_open_.size(); ++p) kept_open_[p] = open[p] == '1';
  if (parts_.fetched) parts_.fetched->restore(file, kept_version);
  open_or_close();
}

void Sharing::tick(bool trains) {
  const Clock::time_point start = Clock::now();
  parts_.task.watch().enter(Activity::updating, "sharing");
  parts_.store.complete();
  const std::int64_t notice = parts_.store.notice();
  stop_ = (notice & kInterrupt) != 0 ? Stop::interrupt : (notice & kRequeue) != 0 ? Stop::requeue : Stop::none;
  if (parts_.fetched) parts_.fetched->refresh();
  ++ticks_;
  open_or_close();
  const Clock::time_point swept = Clock::now();
  if (trains && parts_.publisher >= 0 && plan_.sweep_ticks > 0) sweep();
  sweep_seconds_ += seconds_since(swept);
  parts_.store.post(trains ? parts_.publisher : -1, seen_, own_notice());
  seen_.clear();
  tick_seconds_ += seconds_since(start);
}

void Sharing::open_or_close() {
  parts_.model.set_probing(!is_burning_in() && ticks_ < std::max<std::int64_t>(1, plan_.burn_in_ticks) + plan_.probe_ticks);
  for (std::int64_t peer = 0; peer < parts_.model.options().peers; ++peer)
    parts_.model.set_open(peer, !is_burning_in() && guard_.is_open(peer));
}

void Sharing::sweep() {
  FusedModel& exporter = parts_.untrained ? *parts_.untrained : parts_.model;
  const std::int64_t rows = parts_.all->rows(), chunks = (rows + kEvaluationRows - 1) / kEvaluationRows;
  const Share now = share_of(chunks, (ticks_ - 1) % plan_.sweep_ticks, plan_.sweep_ticks);
  for (std::int64_t chunk = now.first; chunk < now.first + now.count; ++chunk) {
    if (chunk % parts_.task.size() != parts_.task.rank()) continue;
    std::vector<std::int64_t> numbers(static_cast<std::size_t>(std::min(kEvaluationRows, rows - chunk * kEvaluationRows)));
    std::iota(numbers.begin(), numbers.end(), chunk * kEvaluationRows);
    const Values in = Replica::gather(*parts_.all, numbers, parts_.device, parts_.dtype);
    const Tensor entity = exporter.entity(in.at("x"), {.device = parts_.device}).value();
    const std::int64_t width = entity.row_elements(), part = parts_.virtual_workers + chunk;
    with_float_type(entity.dtype(), [&]<class T>() {
      for (std::size_t r = 0; r < numbers.size(); ++r)
        for (const std::vector<std::int32_t>& kind : parts_.entities)
          if (const std::int32_t e = kind[static_cast<std::size_t>(parts_.all->row_id(numbers[r]))]; e >= 0)
            seen_.add(e, static_cast<std::int32_t>(part), entity.data<T>() + static_cast<std::int64_t>(r) * width);
    });
  }
}

void Sharing::after_evaluation() {
  if (!parts_.loss || !parts_.fetched || !parts_.validation || is_burning_in()) return;
  const std::vector<Benefit> benefits = benefits_of_sources(parts_.task, parts_.model, *parts_.loss, parts_.device, parts_.dtype,
                                                            *parts_.validation, parts_.validation_entities);
  for (const GuardEvent& event : guard_.judge(benefits)) {
    guard_events_.push_back(event);
    if (parts_.on_guard) parts_.on_guard(event);
  }
  open_or_close();
}

void Sharing::keep_best() {
  kept_open_.clear();
  for (std::int64_t peer = 0; peer < parts_.model.options().peers; ++peer) kept_open_.push_back(parts_.model.is_open(peer));
  if (parts_.fetched) parts_.fetched->keep();
}

void Sharing::use_best() {
  for (std::size_t peer = 0; peer < kept_open_.size(); ++peer) parts_.model.set_open(static_cast<std::int64_t>(peer), kept_open_[peer]);
  if (parts_.fetched) parts_.fetched->use_kept();
}

void Sharing::after_last_step() { parts_.store.complete(); }

}  // namespace chorale
