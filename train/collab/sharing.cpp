#include <chorale/train/collab/sharing.hpp>

#include <algorithm>
#include <chrono>
#include <sstream>

#include <chorale/comm/rank_watch.hpp>
#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/tensor/tensor.hpp>

namespace chorale {

namespace {
using Clock = std::chrono::steady_clock;
constexpr std::chrono::microseconds kBetweenPushes{200};
constexpr std::int64_t kNoBest = -2;                  // of since_best_
constexpr std::int64_t kInterrupt = 1, kRequeue = 2;  // bits of a notice
double seconds_since(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }
}  // namespace

Sharing::Sharing(Parts parts, const SharingPlan& plan)
    : parts_(std::move(parts)), plan_(plan), notices_(static_cast<std::size_t>(parts_.sharing.size())) {
  count(0, true);
  keep_best(), since_best_ = kNoBest;
}

void Sharing::count(std::int64_t ticks, bool trains) {
  tick_ = {.number = ticks, .trains = trains, .burns_in = ticks < plan_.burn_in_ticks || ticks == 0};
}

void Sharing::on_results(const WorkerPass& pass) {
  if (plan_.at_end == AtEnd::mask && has_ended()) return;
  if (parts_.publication && !plan_.is_final(tick_.number)) parts_.publication->on_results(pass);
  for (const auto& strategy : parts_.strategies) strategy->on_results(pass);
}

Variable Sharing::loss_term(const WorkerPass& pass) {
  Variable all;
  for (const auto& strategy : parts_.strategies) {
    const Variable term = strategy->loss_term(pass);
    if (term.value().defined()) all = all.value().defined() ? all + term : term;
  }
  return all;
}

/// After its own steps, or where early stopping would have ended a task alone: at a tick.
bool Sharing::has_ended() const {
  return (plan_.last_tick > 0 && tick_.number >= plan_.last_tick) || (plan_.patience > 0 && since_best_ >= plan_.patience);
}

bool Sharing::takes_gradients() const {
  if (plan_.at_end == AtEnd::mask) return true;
  for (const auto& strategy : parts_.strategies)
    if (strategy->takes_gradients()) return true;
  return false;
}

void Sharing::begin(const TrainedParameters& parameters) {
  for (const auto& strategy : parts_.strategies) strategy->begin(parameters);
}

void Sharing::set_alone(bool is_alone) {
  for (const auto& strategy : parts_.strategies) strategy->set_alone(is_alone);
}

std::uint64_t Sharing::bytes_sent() const {
  std::uint64_t all = 0;
  for (const auto& strategy : parts_.strategies) all += strategy->bytes_sent();
  return all;
}

void Sharing::after_gradients(GradientView& gradient) {
  const Clock::time_point start = Clock::now();
  bool is_lockstep = false;
  for (const auto& strategy : parts_.strategies) is_lockstep = is_lockstep || strategy->takes_gradients();
  if (plan_.at_end == AtEnd::mask && has_ended() && gradient.is_good()) {
    with_float_type(gradient.sums.dtype, [&]<class T>() { std::fill_n(gradient.sums.as<T>(), gradient.sums.elements, T{0}); });
    gradient.skips = !is_lockstep;  // common layers still get what others say of them
  }
  for (const auto& strategy : parts_.strategies)
    if (strategy->takes_gradients()) strategy->after_gradients(gradient);
  tick_seconds_ += seconds_since(start);
}

void Sharing::after_step(std::int64_t step) {
  steps_ = step;
  if (step % plan_.steps_per_tick == 0) {
    tick({.trains = plan_.at_end != AtEnd::mask || !has_ended()});
    // Where no weights were the best so far the last ones are, and what belongs to them is of their end, not of the others'.
    if (plan_.at_end == AtEnd::serve && since_best_ == kNoBest && tick_.number == plan_.last_tick) keep_best();
    return;
  }
  // The checkpoint of the last tick, if there was one, has been written before this step.
  if (parts_.publication) parts_.publication->store().release();
  push();
}

/// Gradients of small layers come within microseconds of each other, and each push looks after everything that is under way.
void Sharing::between_layers() {
  if (Clock::now() - pushed_ >= kBetweenPushes) push();
}

/// What was posted travels while the steps are made.
void Sharing::push() {
  if (has_posted_) notice_work_.done();
  if (parts_.publication) parts_.publication->store().advance();
  for (const auto& strategy : parts_.strategies) strategy->advance();
  if (parts_.affinity) parts_.affinity->advance();
  pushed_ = Clock::now();
}

TaskStage Sharing::stage() const {
  if (tick_.number > plan_.first_tick && plan_.at_end != AtEnd::cycle && has_ended()) return TaskStage::ended;
  if (!tick_.trains) return TaskStage::idle;
  if (tick_.burns_in) return TaskStage::burn_in;
  return tick_.number < std::max<std::int64_t>(1, plan_.burn_in_ticks) + plan_.probe_ticks ? TaskStage::probe : TaskStage::joint;
}

void Sharing::hear_notices() {
  if (!has_posted_) return;
  notice_work_.wait();
  std::int64_t all = 0;
  for (const std::int64_t notice : notices_) all |= notice;
  stop_ = (all & kInterrupt) != 0 ? Stop::interrupt : (all & kRequeue) != 0 ? Stop::requeue : Stop::none;
}

void Sharing::post_notice() {
  const Stop wanted = parts_.wants_stop ? parts_.wants_stop() : Stop::none;
  notice_ = wanted == Stop::interrupt ? kInterrupt : wanted == Stop::requeue ? kRequeue : 0;
  const std::vector<std::int64_t> one(notices_.size(), 1);
  notice_work_ = parts_.sharing.all_gather(buffer_of(std::span(&notice_, 1)), buffer_of(std::span(notices_)), one, "notices");
  has_posted_ = true;
}

void Sharing::idle_tick() {
  tick({.trains = false, .publishes = false});
  const bool is_due = plan_.save_ticks > 0 && tick_.number % plan_.save_ticks == 0;
  if ((is_due || stop_ != Stop::none) && parts_.on_saved) parts_.on_saved(tick_.number, true);
}

bool Sharing::saves_after(std::int64_t step) const {
  return plan_.save_ticks > 0 && step % plan_.steps_per_tick == 0 &&
         (plan_.first_tick + step / plan_.steps_per_tick) % plan_.save_ticks == 0;
}

void Sharing::after_save(std::int64_t step, bool is_good) {
  const std::int64_t tick = plan_.first_tick + step / plan_.steps_per_tick;
  is_saved_ = is_good;
  // A task that ends before the others saves alone, and its part counts at the ticks at which they save.
  const bool is_alone = plan_.at_end == AtEnd::serve && stop_ == Stop::none && !ends_all(tick) && !saves_after(step);
  if (parts_.on_saved && tick == tick_.number && !is_alone) parts_.on_saved(tick, is_good);
}

/// Ticks that are left, of a task that is done: from its best weights it goes on publishing. Collective over all tasks.
void Sharing::serve() {
  while (!ends_all(tick_.number) && stop_ == Stop::none) {
    tick({.trains = false, .hears = false});
    const bool is_due = (plan_.save_ticks > 0 && tick_.number % plan_.save_ticks == 0) || ends_all(tick_.number);
    if ((is_due || stop_ != Stop::none) && parts_.on_saved) parts_.on_saved(tick_.number, is_saved_);
  }
}

void Sharing::tick(const Part& part) {
  const Clock::time_point start = Clock::now();
  parts_.task.watch().enter(Activity::updating, "sharing");
  hear_notices();
  settle();
  waiting_seconds_ += seconds_since(start);
  const bool is_over = plan_.is_final(tick_.number);  // rows stay as they are
  if (parts_.publication && !is_over) parts_.publication->complete(part.hears);
  count(tick_.number + 1, part.trains);
  for (const auto& strategy : parts_.strategies) strategy->tick(tick_);
  const Clock::time_point swept = Clock::now();
  const bool is_final = plan_.is_final(tick_.number), posts = parts_.publication && !is_final;
  if (parts_.publication && is_final && !is_over) finalise(part.hears);
  if (posts && part.publishes) parts_.publication->sweep(tick_.number);
  sweep_seconds_ += seconds_since(swept);
  if (posts) parts_.publication->post(tick_.number, part.publishes);
  if (parts_.affinity) {
    TaskNews news = parts_.news ? parts_.news() : TaskNews();
    news.steps = steps_, news.stage = stage();
    set_alone(true);  // a task's first rank makes a pass for it that others do not
    parts_.affinity->tick(tick_.number, news);
    set_alone(false);
  }
  post_notice();
  tick_seconds_ += seconds_since(start);
}

/// All rows anew, of the weights that each task is left with: those of the run so far were made by exporters of different ages, and of some
/// entities there was none. Whoever hears learns with these from here on. Where a row is a running mean, it stays one (StoreOptions::keep).
void Sharing::finalise(bool hears) {
  parts_.publication->drop_seen();
  const std::int64_t parts = plan_.sweep_ticks > 0 ? std::min<std::int64_t>(plan_.sweep_ticks, 100) : 10;
  for (std::int64_t part = 0; part < parts; ++part) {
    parts_.publication->sweep_part(part, parts);
    parts_.sharing.barrier("last sweep").wait();  // nobody waits for longer than at a tick
  }
  parts_.publication->post(tick_.number, true);
  parts_.publication->complete(hears);
}

bool Sharing::is_masked_at_end() const {
  if (plan_.at_end != AtEnd::mask) return false;
  return (plan_.last_tick > 0 && plan_.final_tick() >= plan_.last_tick) || (plan_.patience > 0 && since_best_ >= plan_.patience);
}

void Sharing::settle() {
  if (parts_.publication) parts_.publication->store().settle();
  for (const auto& strategy : parts_.strategies) strategy->settle();
  if (parts_.affinity) parts_.affinity->settle();
}

std::vector<NamedTensor> Sharing::state() const {
  std::vector<NamedTensor> all;
  if (parts_.publication && parts_.publication->fetched()) all = parts_.publication->fetched()->state();
  for (const auto& strategy : parts_.strategies)
    for (const NamedTensor& each : strategy->state()) all.push_back(each);
  if (parts_.affinity)
    for (const NamedTensor& each : parts_.affinity->state()) all.push_back(each);
  return all;
}

std::string Sharing::state_text() const {
  const FetchedRows* fetched = parts_.publication ? parts_.publication->fetched() : nullptr;
  std::string text = std::to_string(tick_.number) + " " + std::to_string(fetched ? fetched->kept_version() : 0) + " " +
                     std::to_string(steps_) + " " + std::to_string(since_best_);
  for (const auto& strategy : parts_.strategies) text += "\n" + strategy->state_text();
  return text;
}

void Sharing::restore(const SafetensorsFile& file, const std::string& text) {
  std::istringstream in(text);
  std::string line;
  std::int64_t ticks = 0, kept_version = 0;
  std::getline(in, line);
  std::istringstream numbers(line);
  if (!(numbers >> ticks >> kept_version)) throw CheckpointError(file.path().string() + ": '" + text + "' is no state of a task");
  if (!(numbers >> steps_ >> since_best_)) steps_ = 0, since_best_ = kNoBest;  // written before tasks could end early
  count(ticks, true);
  if (parts_.publication && parts_.publication->fetched()) parts_.publication->fetched()->restore(file, kept_version);
  for (const auto& strategy : parts_.strategies) {
    if (!std::getline(in, line)) throw CheckpointError(file.path().string() + ": '" + text + "' is of fewer strategies");
    strategy->restore(file, line, tick_);
  }
  if (parts_.affinity) parts_.affinity->restore(file, ticks);
}

void Sharing::after_evaluation() {
  if (since_best_ != kNoBest) ++since_best_;
  for (const auto& strategy : parts_.strategies) strategy->after_evaluation(tick_);
}

double Sharing::judged_score(double own) {
  for (const auto& strategy : parts_.strategies) own = strategy->judged_score(own);
  return own;
}

void Sharing::keep_best() {
  since_best_ = -1;  // the evaluation that found them is counted next
  for (const auto& strategy : parts_.strategies) strategy->keep_best();
  if (parts_.publication && parts_.publication->fetched()) parts_.publication->fetched()->keep();
}

void Sharing::use_best() {
  for (const auto& strategy : parts_.strategies) strategy->use_best();
  if (parts_.publication && parts_.publication->fetched()) parts_.publication->fetched()->use_kept();
}

void Sharing::after_last_step() {
  if (plan_.at_end == AtEnd::serve) {
    serve();
    use_best();                       // ticks have opened and closed peers meanwhile, and a run that goes on has fetched the rows of now
    if (stop_ != Stop::none) return;  // so have the others
  }
  if (parts_.publication) parts_.publication->complete(false);
  settle();  // a gather in two parts must not be dropped between them by one rank and after them by another
}

std::vector<bool> Sharing::kept_open() const {
  for (const auto& strategy : parts_.strategies)
    if (std::vector<bool> open = strategy->kept_open(); !open.empty()) return open;
  return {};
}

std::vector<GuardEvent> Sharing::guard_events() const {
  std::vector<GuardEvent> all;
  for (const auto& strategy : parts_.strategies)
    for (const GuardEvent& event : strategy->guard_events()) all.push_back(event);
  return all;
}

}  // namespace chorale
