#include <chorale/train/gradient_engine.hpp>

#include <algorithm>
#include <cmath>

#include <chorale/train/agreement.hpp>
#include <chorale/train/trainer.hpp>

namespace chorale {

class GradientEngine::Plain : public Module {
 public:
  void add(const std::string& name, std::int64_t elements) { add_parameter(name, {elements}, {.role = Init::Role::zeros}); }
  Values forward(const Values& in, const Pass&) override { return in; }
  std::string name() const override { return "parameters"; }
};

GradientEngine::GradientEngine(Communicator& comm) : GradientEngine(comm, Options()) {}

GradientEngine::GradientEngine(Communicator& comm, const Options& options)
    : comm_(comm), options_(options), device_(make_cpu_device()), model_(std::make_unique<Plain>()) {
  register_all(registry_);
  checked_texts(options_.parallel, registry_);
  checked_texts(options_.optimizer, registry_);
  optimizer_ = make_optimizer(options_.optimizer, registry_);
  if (options_.parallel.exchange == "auto") options_.parallel.exchange = "shared";
  if (options_.parallel.copies == "auto" && !registry_.of<ExchangeEntry>().at(options_.parallel.exchange, "exchange").private_parameters)
    options_.parallel.copies = "node";
  const ParallelOptions usual;
  const ParallelOptions& o = options_.parallel;
  const std::string idle = o.threads != usual.threads ? "threads" : o.isa != usual.isa ? "isa" : "";
  if (!idle.empty()) throw UsageError("[gradient engine] parallel." + idle + " does nothing here; remove it");
  const ScheduleOptions& schedule = options_.optimizer.schedule;
  if (schedule.name != "constant" || schedule.warmup_steps > 0 || schedule.warmup_epochs > 0 || options_.optimizer.base_batch > 0)
    throw UsageError("[gradient engine] optimizer.schedule, warm-up and optimizer.base_batch do nothing here; call set_lr() before a step");
  if (!options_.optimizer.lr_factors.empty()) throw UsageError("[gradient engine] optimizer.lr_factors does nothing here; remove it");
  if (options_.parallel.balance != "rows")
    throw UsageError("[gradient engine] the caller deals out the rows; remove parallel.balance = " + options_.parallel.balance);
  if (const std::int64_t v = options_.parallel.virtual_workers; v != 0 && v != comm.size())
    throw UsageError("[gradient engine] a rank gives one gradient, so there are " + std::to_string(comm.size()) +
                     " virtual workers; remove parallel.virtual_workers = " + std::to_string(v));
}

GradientEngine::~GradientEngine() = default;

void GradientEngine::require_started(bool started, const char* call) const {
  if ((params_ != nullptr) != started)
    throw UsageError(std::string("[gradient engine] ") + call + (started ? " comes after start()" : " comes before start()"));
}

std::size_t GradientEngine::add(Slot slot) {
  require_started(false, "add");
  model_->add(slot.name, slot.elements);
  slots_.push_back(std::move(slot));
  return slots_.size() - 1;
}

void GradientEngine::start() {
  require_started(false, "start");
  params_ = std::make_unique<FlatParams>(*model_, *device_, DType::f32);
  check_ranks();
  for (Slot& slot : slots_) {
    const auto& all = params_->entries();
    slot.entry = static_cast<std::size_t>(
        std::find_if(all.begin(), all.end(), [&](const FlatParams::Entry& e) { return e.name == slot.name; }) - all.begin());
  }
  replicas_ = std::make_unique<DataParallel>(DataParallel::Parts{comm_, *params_, *optimizer_, registry_, log_, options_.parallel});
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    std::vector<float>& start = slots_[i].start;
    if (start.empty()) continue;
    comm_.broadcast(buffer_of(std::span(start)), 0, "starting values").wait();
    if (replicas_->fills()) std::copy(start.begin(), start.end(), values(i).begin());
    std::copy(start.begin(), slots_[i].outside.empty() ? start.begin() : start.end(), slots_[i].outside.begin());
    start = {};
  }
  replicas_->filled();
  replicas_->start(comm_.size());
}

void GradientEngine::check_ranks() const {
  // A rank with another rate would update its shares by it, and nobody would see.
  Facts facts = checked_texts(options_.parallel, registry_);
  for (const auto& fact : checked_texts(options_.optimizer, registry_)) facts.push_back(fact);
  for (const std::string& state : optimizer_->state_names()) facts.emplace_back("state of the optimiser", state);
  for (const Slot& slot : slots_) facts.emplace_back("elements of parameter " + slot.name, std::to_string(slot.elements));
  check_agreement(comm_, facts);
}

const FlatParams::Entry& GradientEngine::entry(std::size_t i) const {
  if (i >= slots_.size())
    throw UsageError("[gradient engine] there is no parameter " + std::to_string(i) + " among " + std::to_string(slots_.size()) +
                     "; give what add() returned");
  return params_->entries()[slots_[i].entry];
}

std::span<float> GradientEngine::values(std::size_t i) const {
  require_started(true, "values");
  return params_->values().part(entry(i).first, entry(i).count).span<float>();
}

void GradientEngine::begin() {
  require_started(true, "a gradient");
  if (in_step_) return;
  in_step_ = true;
  since_begin_ = {};
  gradients_ = replicas_->begin()[0];
  replicas_->last_pass();
}

std::span<float> GradientEngine::gradient(std::size_t i) {
  begin();
  return gradients_.part(entry(i).first, entry(i).count).span<float>();
}

void GradientEngine::ready(std::size_t i) {
  begin();
  entry(i);  // refuses an i that is none
  if (slots_[i].ready) throw UsageError("[gradient engine] '" + slots_[i].name + "' is ready twice in one step; call step() in between");
  slots_[i].ready = true;
  replicas_->ready(slots_[i].entry);
}

void GradientEngine::ready(std::size_t i, std::span<const float> from) {
  const std::span<float> to = gradient(i);
  if (from.size() != to.size())
    throw ShapeError("[gradient engine] '" + slots_[i].name + "' has " + std::to_string(to.size()) + " elements, its gradient " +
                     std::to_string(from.size()));
  std::copy(from.begin(), from.end(), to.begin());
  ready(i);
}

double GradientEngine::step(double weight, double loss) {
  begin();
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].ready) continue;
    const std::span<float> zero = gradient(i);
    std::fill(zero.begin(), zero.end(), 0.0f);
  }
  const WorkerReport report{loss, weight >= 0 ? weight : std::nan("")};  // so that all ranks hear of it
  RankReport mine;
  mine.phases.backward = since_begin_.lap();  // what buckets can hide behind, for their plan
  const StepOutcome outcome = replicas_->step({.number = step_ + 1, .settle = false}, std::span(&report, 1), mine);
  in_step_ = false;
  for (Slot& slot : slots_) slot.ready = false;
  if (outcome.bad_worker >= 0)
    throw NumericError("[gradient engine] loss or weight of rank " + std::to_string(outcome.bad_worker) +
                       " is not finite, or the weight below 0, at step " + std::to_string(outcome.bad_step));
  ++step_;
  for (std::size_t i = 0; i < slots_.size(); ++i)
    if (!slots_[i].outside.empty()) std::copy(values(i).begin(), values(i).end(), slots_[i].outside.begin());
  return outcome.weight > 0 ? outcome.loss / outcome.weight : 0;
}

void GradientEngine::set_lr(double lr) { optimizer_->set_lr(lr); }

const std::string& GradientEngine::exchange() const { return replicas_->text(); }

}  // namespace chorale
