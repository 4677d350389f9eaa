// What a trainer does before its first step: sizes, memory, restoring, and the check that all ranks are about to do the same.
#include <algorithm>
#include <cmath>
#include <chrono>

#include <fmt/format.h>

#include <chorale/core/base/build_id.hpp>
#include <chorale/core/io/content_hash.hpp>
#include <chorale/train/agreement.hpp>
#include <chorale/train/memory_need.hpp>
#include <chorale/train/trainer.hpp>

namespace chorale {

namespace {

DType model_dtype(const TrainOptions& options) { return parse_dtype(options.dtype); }

std::shared_ptr<const Dataset> unless_empty(std::shared_ptr<const Dataset> data) { return data && data->rows() > 0 ? data : nullptr; }

bool is_of_rounds(const std::string& key) {
  return key == "parallel.local_steps" || key == "parallel.outer_lr" || key == "parallel.outer_momentum";
}

}  // namespace

Trainer::Trainer(const TrainerParts& parts, const TrainerConfig& config)
    : parts_(parts),
      config_(config),
      params_(freeze(parts.model, config.train), parts.device, model_dtype(config.train)),
      sampler_({.rows = parts.train->rows(), .batch = config.train.batch, .seed = static_cast<std::uint64_t>(config.train.seed)}),
      groups_(params_, config.train, config.lr_factors, parts.optimizer, sampler_.steps_per_epoch(), config.hold),
      rate_(parts.optimizer.config().schedule, parts.registry, sampler_.steps_per_epoch(), std::max<std::int64_t>(1, total_steps())),
      early_(config.train.early_stop, parts.registry),
      schedule_(config.checkpoint, sampler_.steps_per_epoch(),
                std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count()),
      deadline_(config.watchdog.seconds),
      lr_(parts.optimizer.lr()) {
  parts_.comm.set_timeout_ms(static_cast<std::int64_t>(1000 * config.watchdog.seconds));
  parts_.validation = unless_empty(parts.validation);
  parts_.test = unless_empty(parts.test);
  if (early_.active() && !parts_.validation)
    throw UsageError(
        "train.early_stop needs validation rows; give data.split three shares, for instance 0.70 0.15 0.15, or remove train.early_stop");
  workers_ = config.parallel.virtual_workers > 0 ? config.parallel.virtual_workers : parts.comm.size();
  // A recipe has said all of its keys; a program of one's own says at least these.
  const TrainOptions& t = config.train;
  config_.identity.merge(std::map<std::string, std::string>{{"train.seed", std::to_string(t.seed)},
                                                            {"train.batch", std::to_string(t.batch)},
                                                            {"train.accumulate", std::to_string(t.accumulate)},
                                                            {"train.dtype", t.dtype},
                                                            {"parallel.balance", config.parallel.balance}});
  check_costs();
  make_groups();
  make_rate();
  check_model();
  check_memory_need();
  allocate();
  refuse_policy();
  say_what_checks_miss();
  if (config.resume) restore();
  if (step_ == 0 && keeps_average()) replicas_->begin_average();
  check_sizes();
  check_ranks();
  cut_.emplace(workers_, costs());
  held_ = maximal_subtrees(workers_, workers_of(parts.comm.rank(), parts.comm.size(), workers_));
  replicas_->start(workers_, config.train.accumulate);
  if (replicas_->overlaps()) {
    auto bytes = static_cast<std::int64_t>(replicas_->bytes_per_step());
    parts.comm.node().all_reduce(buffer_of(std::span(&bytes, 1)), Reduce::sum, "bytes of a step").wait();
    slow_link_ = SlowLink(replicas_->slowest_link(), static_cast<double>(bytes));
  }
  if (checkpointing_ && step_ > 0) {
    checkpointing_->restore_carried(replicas_->carried(), parts_.log);
    replicas_->release_state();
  }
  if (checkpointing_ && config.checkpoint.background)
    snapshot_bytes_ = checkpointing_->reserve({replicas_->carried(), replicas_->has_private_state(), replicas_->held()});
  batch_statistics_ = std::make_unique<BatchStatistics>(BatchStatistics::Setup{.comm = parts.comm,
                                                                               .model = parts.model,
                                                                               .params = params_,
                                                                               .virtual_workers = workers_,
                                                                               .rows = parts.train->rows(),
                                                                               .train = config_.train,
                                                                               .parallel = config_.parallel});
  replica_ = std::make_unique<Replica>(
      Replica::Parts{parts.model, parts.loss, params_, *parts.train, static_cast<std::uint64_t>(config.train.seed), config.train.accumulate,
                     traces() ? &trace_ : nullptr, &parts_.comm.watch(), parts_.aims, parts_.hook, batch_statistics_.get()});
  std::vector<std::string> metrics = config.train.metrics;
  if (early_.active() && std::find(metrics.begin(), metrics.end(), early_.metric()) == metrics.end()) metrics.push_back(early_.metric());
  if (!rate_.metric().empty() && std::find(metrics.begin(), metrics.end(), rate_.metric()) == metrics.end())
    metrics.push_back(rate_.metric());
  // Names and tasks are refused before the first step, not at the first evaluation.
  evaluator_ = std::make_unique<Evaluator>(Evaluator::Parts{parts.comm, parts.model, parts.loss, params_, parts.registry, metrics,
                                                            outputs_by_task(parts.model, parts.loss, params_, *parts.train)});
  make_surgery();
}

void Trainer::make_surgery() {
  const std::string& wish = config_.train.gradient_surgery;
  if (wish == "none") return;
  const std::string what = "train.gradient_surgery = " + wish;
  if (wish != "pcgrad") throw UsageError(what + " is refused: expected none or pcgrad");
  const std::size_t tasks = parts_.loss.tasks().size();
  if (tasks < 2 || !parts_.is_shared) throw UsageError(what + " needs a model of several targets; remove it");
  if (!parts_.aims.empty() || parts_.hook) throw UsageError(what + " knows nothing of further terms of the loss; remove it");
  if (replicas_->drifts())
    throw UsageError(what + " needs the gradients of the whole batch at each step, which parallel.exchange = " + replicas_->name() +
                     " does not have; use another exchange");
  surgery_ = std::make_unique<GradientSurgery>(GradientSurgery::Setup{.comm = parts_.comm,
                                                                      .params = params_,
                                                                      .tasks = tasks,
                                                                      .virtual_workers = workers_,
                                                                      .seed = static_cast<std::uint64_t>(config_.train.seed),
                                                                      .is_shared = parts_.is_shared});
}

void Trainer::check_sizes() const {
  const std::int64_t ranks = parts_.comm.size(), rows = parts_.train->rows(), batch = config_.train.batch;
  const auto text = [](std::int64_t n) { return std::to_string(n); };
  if (ranks > rows) throw UsageError(text(ranks) + " ranks for " + text(rows) + " training rows; use at most as many ranks as rows");
  if (ranks > workers_)
    throw UsageError(text(ranks) + " ranks for " + text(workers_) + " virtual workers" +
                     (config_.resume ? ", which the checkpoint fixes; use at most " + text(workers_) +
                                           " ranks, or --parallel.virtual_workers " + text(ranks) + ", which resumes with other bits"
                                     : "; use at most as many ranks, or a greater parallel.virtual_workers"));
  if (batch < workers_)
    throw UsageError("train.batch = " + text(batch) + " is below the " + text(workers_) + " virtual workers; use a batch of at least " +
                     text(workers_));
}

std::span<const double> Trainer::costs() const {
  return config_.parallel.balance == "cost" ? parts_.train->costs() : std::span<const double>();
}

void Trainer::check_costs() const {
  if (config_.parallel.balance == "rows") return;
  const std::string what = "parallel.balance = " + config_.parallel.balance;
  if (config_.parallel.balance != "cost") throw UsageError(what + " is refused: expected rows or cost");
  const std::span<const double> given = parts_.train->costs();
  const auto rows = static_cast<std::size_t>(parts_.train->rows());
  if (given.empty())
    throw UsageError(what +
                     " needs to know what rows cost, and these data say nothing, as rows of tables all cost the same; remove it, or "
                     "give a data set of your own Dataset::costs()");
  if (given.size() != rows)
    throw UsageError(what + " needs a cost for each of " + std::to_string(rows) + " training rows, got " + std::to_string(given.size()) +
                     "; Dataset::costs() gives one a row");
  for (std::size_t row = 0; row < rows; ++row)
    if (!(given[row] > 0) || !std::isfinite(given[row]))
      throw UsageError(what + ": the cost of row " + std::to_string(parts_.train->row_id(static_cast<std::int64_t>(row))) + " is " +
                       std::to_string(given[row]) + "; give finite costs above 0");
}

void Trainer::make_groups() {
  if (groups_.holds() && config_.parallel.exchange == "local_sgd")
    throw UsageError(
        "train.unfreeze, or the end of a collaboration, holds parameters as they are, and the averages of parallel.exchange = local_sgd "
        "would round them; use another exchange, or train.freeze");
  parts_.optimizer.set_groups(groups_.groups());
  if (const std::string text = groups_.text(); !text.empty() && parts_.comm.rank() == 0) parts_.log.info("trained otherwise: " + text);
  if (parts_.optimizer.config().weight_decay != 0 && groups_.without_decay() > 0 && parts_.comm.rank() == 0)
    parts_.log.info(fmt::format("weight decay leaves out {} parameters of one dimension (norms, biases); optimizer.decay_all includes them",
                                groups_.without_decay()));
}

void Trainer::make_rate() {
  const ScheduleOptions& schedule = parts_.optimizer.config().schedule;
  const bool has_score = rate_.metric().empty() || parts_.validation;
  if (!has_score && !config_.rate)
    throw UsageError("optimizer.schedule = " + schedule.name +
                     " needs validation rows; give data.split three shares, for instance 0.70 0.15 0.15");
  if (parts_.hook && parts_.hook->takes_gradients() && (rate_.depends_on_rows() || !rate_.metric().empty()))
    throw UsageError("optimizer.schedule = " + schedule.name +
                     " goes by this task's own rows or scores, and tasks that share gradients would part; use a schedule with "
                     "optimizer.schedule_steps, and optimizer.warmup_steps");
  const bool speaks = parts_.comm.rank() == 0;
  const double base = parts_.optimizer.config().base_batch, batch = static_cast<double>(config_.train.batch);
  if (base > 0 && base != batch) {
    const bool is_linear = parts_.optimizer.config().batch_rule == "linear";
    const double factor = is_linear ? batch / base : std::sqrt(batch / base), given = lr_;
    lr_ *= factor;
    parts_.optimizer.set_lr(lr_);
    if (speaks)
      parts_.log.info(
          fmt::format("learning rate: {:g} x {:g} = {:g}, as train.batch = {} is {:g} times optimizer.base_batch = {} and "
                      "optimizer.batch_rule = {}",
                      given, factor, lr_, config_.train.batch, batch / base, base, is_linear ? "linear" : "sqrt"));
  }
  if (const std::string text = rate_.text(); !text.empty() && speaks && !config_.rate) parts_.log.info("learning rate: " + text);
  if (config_.train.ema == 0) return;
  if (config_.parallel.exchange == "local_sgd")
    throw UsageError(
        "train.ema averages parameters that all ranks agree on at each step, and with parallel.exchange = local_sgd they do "
        "not; use another exchange");
  parts_.optimizer.keep_average(config_.train.ema);
}

double Trainer::rate_of(std::int64_t step) const { return config_.rate ? config_.rate(step) : lr_ * lr_factor_ * rate_.factor(step); }

void Trainer::check_memory_need() const {
  const auto bytes = static_cast<std::int64_t>(size_bytes(params_.dtype()));
  check_memory(memory_need(params_.elements() * bytes, params_.trainable_elements() * bytes,
                           static_cast<std::int64_t>(parts_.optimizer.state_names().size()), parts_.comm.node().size(), early_.active()),
               memory_limit());
}

void Trainer::allocate() {
  DataParallel::Parts parts{
      parts_.comm,      params_,    parts_.optimizer, parts_.registry, parts_.log, config_.parallel, traces() ? &trace_ : nullptr,
      parts_.domain_of, parts_.pace};
  if (parts_.hook && parts_.hook->takes_gradients())
    parts.on_gradients = [this](GradientView& gradient) { parts_.hook->after_gradients(gradient); };
  if (parts_.hook) parts.between_layers = [this] { parts_.hook->between_layers(); };
  replicas_ = std::make_unique<DataParallel>(parts);
  if (replicas_->fills()) params_.initialise(static_cast<std::uint64_t>(config_.train.seed), config_.init);
  if (replicas_->fills() && config_.starting_weights && !config_.resume) config_.starting_weights(params_);
  if (early_.active()) best_ = replicas_->allocate_copy();
  if (keeps_average()) current_ = replicas_->allocate_copy();
  replicas_->filled();
  if (parts_.hook) parts_.hook->begin({.params = &params_, .write = [this](Buffer values) { replicas_->write_back(values); }});
  make_checkpointing();
}

std::string Trainer::change_from(const RunPosition& found, bool is_read) const {
  const bool goes_on_in_rounds = replicas_->drifts() && replicas_->change_from(found.exchange).empty();
  for (const auto& [key, value] : config_.identity) {
    const auto old = found.identity.find(key);
    if (is_of_rounds(key) && !goes_on_in_rounds) continue;  // one of the two runs does not read it
    if (!is_read && (key.starts_with("model.") || key == "train.dtype")) continue;
    if (old != found.identity.end() && old->second != value)
      return "--resume: " + key + " is '" + value + "', the checkpoint was made with '" + old->second + "'; keep it, or start a new run";
  }
  return "";
}

void Trainer::restore() {
  const Stay stay(parts_.comm.watch(), Activity::restoring, "checkpoint");
  const std::optional<RunPosition> found =
      checkpointing_ ? checkpointing_->restore(parts_.log, {replicas_->writers_of_values(), replicas_->writers_of_state()},
                                               [&](const RunPosition& p) { return change_from(p, false); })
                     : std::nullopt;
  const bool speaks = parts_.comm.rank() == 0;
  if (!found) {
    if (speaks) parts_.log.warning("there is no checkpoint to resume from; training starts at step 0");
    if (replicas_->fills() && config_.starting_weights) config_.starting_weights(params_);
    replicas_->filled();
    return;
  }
  if (const std::string why = change_from(*found, true); !why.empty()) throw UsageError(why);
  if (config_.parallel.virtual_workers == 0)
    workers_ = found->virtual_workers;
  else if (workers_ != found->virtual_workers && speaks)
    parts_.log.warning("resumes with " + std::to_string(workers_) + " virtual workers instead of " +
                       std::to_string(found->virtual_workers) + ": the run goes on with other bits");
  replicas_->filled();
  if (const std::string change = replicas_->change_from(found->exchange); !change.empty() && speaks) parts_.log.warning(change);
  take_position(*found);
  first_step_ = checked_step_ = step_;
  skipped_ = found->skipped_steps, rollbacks_ = found->rollbacks, lr_factor_ = found->lr_factor;
  if (found->schedule_steps > 0 && found->schedule_steps != rate_.steps() && !rate_.text().empty() && speaks)
    parts_.log.warning(
        fmt::format("the schedule of the rate is over {} updates now, it was over {}: rates differ from here on; "
                    "optimizer.schedule_steps keeps it",
                    rate_.steps(), found->schedule_steps));
  parts_.optimizer.set_lr(lr_ * lr_factor_);
  if (speaks) parts_.log.info("resumes at step " + std::to_string(step_));
}

void Trainer::check_model() const {
  Facts facts = {{"version", CHORALE_VERSION}, {"build", build_id()}, {"instruction set", parts_.device.text()}};
  for (const auto& [key, value] : config_.identity) facts.emplace_back(key, value);
  for (const auto& fact : checked_texts(config_.parallel, parts_.registry)) facts.push_back(fact);
  facts.emplace_back("training rows", std::to_string(parts_.train->rows()));
  if (const std::span<const double> given = costs(); !given.empty()) {
    ContentHash hash;
    hash.add(std::as_bytes(given));
    facts.emplace_back("costs of training rows", hash.text());
  }
  facts.emplace_back("steps", std::to_string(total_steps()));
  facts.emplace_back("learning rate", std::to_string(parts_.optimizer.lr()));
  facts.emplace_back("greatest norm of the gradient", std::to_string(parts_.optimizer.clip_norm()));
  for (const std::string& state : parts_.optimizer.state_names()) facts.emplace_back("state of the optimiser", state);
  for (const FlatParams::Entry& e : params_.entries()) facts.emplace_back("shape of parameter " + e.name, e.parameter->shape().text());
  check_agreement(parts_.comm, facts);
}

void Trainer::check_ranks() {
  check_agreement(parts_.comm, {{"virtual workers", std::to_string(workers_)},
                                {"parameters at step " + std::to_string(step_), hash_of(params_.values())}});
}

}  // namespace chorale
