#include <chorale/train/data_parallel.hpp>

#include <chrono>

#include <chorale/train/free_core.hpp>

namespace chorale {

namespace {
constexpr std::int64_t kTryPrivateBytes = 64 << 20;  // above this the memory of a second copy is not worth a trial
constexpr std::int64_t kPlanAfterSteps = 3;          // the first steps make primitives and pools

std::vector<ArenaTensor> trainable_tensors(const FlatParams& params) {
  std::vector<ArenaTensor> out;
  for (const FlatParams::Entry& e : params.entries())
    if (e.parameter->segment() == Segment::trainable) out.push_back({e.name, e.parameter->shape(), e.first, e.count});
  return out;
}

/// What would be passed over in silence. What exchanges of others read is theirs to say. exchange: null where it is still to be chosen.
void refuse_idle(const ParallelOptions& o, DType dtype, const ExchangeEntry* exchange) {
  if (dtype == DType::f64 && o.wire != "f32")
    throw UsageError("parallel.wire = " + o.wire + " rounds what an f32 model sends; with train.dtype = f64 remove it");
  if (o.exchange == "local_sgd" && o.overlap != "auto")
    throw UsageError("parallel.overlap = " + o.overlap + " does nothing with local_sgd, which sends at the end of a round; remove it");
  if (exchange && exchange->private_parameters && o.copies != "auto")
    throw UsageError("parallel.copies = " + o.copies + " does nothing with parallel.exchange = " + o.exchange +
                     ", where every rank has its own copy; remove it, or use shared or sharded");
  if (o.exchange != "auto" && o.exchange != "replicated" && o.exchange != "shared" && o.exchange != "sharded") return;
  const std::string idle = o.outer_lr != 1 ? "outer_lr" : o.outer_momentum != 0 ? "outer_momentum" : "";
  if (!idle.empty())
    throw UsageError("parallel." + idle + " does nothing with parallel.exchange = " + o.exchange + "; remove it, or use local_sgd");
}
}  // namespace

DataParallel::DataParallel(const Parts& parts) : parts_(parts) {
  const std::string& wish = parts_.options.exchange;
  checked_texts(parts_.options, parts_.registry);
  refuse_idle(parts_.options, parts_.params.dtype(), wish == "auto" ? nullptr : &entry(wish));
  const std::vector<std::string> names = candidates(parts.options.exchange);
  name_ = names[0];
  if (parts_.on_gradients && drifts())
    throw UsageError("parallel.exchange = " + name_ +
                     " agrees on no gradient that tasks could share before the update; take replicated, shared or sharded");
  if (names.size() > 1) trial_.emplace(names, parts.pace);
  const auto bytes = parts_.params.elements() * static_cast<std::int64_t>(size_bytes(parts_.params.dtype()));
  copy_plan_ = plan_copies(parts_.comm.node(), parts_.options.copies, bytes, parts_.domain_of);
  parts_.optimizer.lay_out(trainable_tensors(parts_.params), parts_.params.dtype());
  memory_ = allocate_for(name_);
  parts_.params.bind(memory_->values());
  parts_.optimizer.bind(memory_->state());
}

DataParallel::~DataParallel() {
  parts_.params.on_gradient_ready({});
  if (in_step_) fail("it has left in the middle of a step");
}

void DataParallel::fail(const std::string& why) noexcept {
  if (!overlaps() && !drifts()) return;
  parts_.comm.abort(why);
  thread_.reset();
}

std::unique_ptr<ArenaMemory> DataParallel::allocate_for(const std::string& exchange) const {
  return std::make_unique<ArenaMemory>(parts_.comm, parts_.params, parts_.optimizer, entry(exchange).private_parameters, copy_plan_);
}

std::string DataParallel::copies_text() const {
  if (is_trying()) return copy_plan_.text + ", or one a rank: as the exchange needs";
  return memory_->is_private() ? "one a rank" : copy_plan_.text;
}

const ExchangeEntry& DataParallel::entry(const std::string& exchange) const {
  return parts_.registry.of<ExchangeEntry>().at(exchange, "exchange");
}

std::string DataParallel::change_from(const std::string& exchange) const {
  if (!parts_.registry.of<ExchangeEntry>().contains(exchange) || entry(exchange).same_bits == entry(name_).same_bits) return "";
  const std::string start = "the checkpoint was made with parallel.exchange = " + exchange + ", this run has " + name_ + ": ";
  return start + (drifts() ? "from here on every rank takes updates of its own, beginning with the checkpoint's parameters and state"
                           : "it goes on from the ranks' averaged parameters and state, and from here on an update uses the whole batch");
}

std::vector<std::string> DataParallel::candidates(const std::string& exchange) {
  text_ = exchange;
  if (exchange != "auto") return {exchange};
  const std::int64_t copies = 1 + static_cast<std::int64_t>(parts_.optimizer.state_names().size());
  const std::int64_t bytes = copies * parts_.params.elements() * static_cast<std::int64_t>(size_bytes(parts_.params.dtype()));
  if (parts_.comm.size() == 1) return text_ = "replicated (one rank)", std::vector<std::string>{"replicated"};
  text_ = "shared (private copies would take " + std::to_string(bytes >> 20) + " MiB a rank)";
  if (parts_.comm.size() == parts_.comm.node_count()) return text_ = "shared (one rank a node)", std::vector<std::string>{"shared"};
  if (bytes > kTryPrivateBytes) return {"shared"};
  text_ = "auto, chosen by the first steps";
  return {"shared", "replicated"};
}

void DataParallel::start(std::int64_t virtual_workers, std::int64_t passes) {
  workers_ = virtual_workers;
  choose_overlap(passes);
  say_idle();
  if (parts_.comm.node_count() > 1) link_ = measure_link(parts_.comm);
  use(name_);
}

void DataParallel::say_idle() const {
  const ParallelOptions& o = parts_.options;
  if (parts_.comm.node_count() == 1 && o.wire != "f32") say(o.wire + " rounds nothing on one node", "parallel.wire = ");
  // Not refused: a recipe may have it for when the command line takes local_sgd.
  if (entry(name_).same_bits && o.local_steps != ParallelOptions().local_steps)
    say(std::to_string(o.local_steps) + " does nothing with parallel.exchange = " + o.exchange, "parallel.local_steps = ");
}

void DataParallel::choose_overlap(std::int64_t passes) {
  const std::string& wish = parts_.options.overlap;
  if (!overlaps()) {
    if (wish != "auto") say(wish + " has nothing to carry on one node", "parallel.overlap = ");
    return;
  }
  if (drifts()) return;
  if (workers_ > parts_.comm.size() || passes > 1) {
    overlap_text_ = "none (gradients are final only in the last of a rank's passes)";
    return;
  }
  has_free_core_ = has_free_core_each(parts_.comm, parts_.options.threads);
  has_thread_ = wish == "thread" || (wish == "auto" && has_free_core_);
  overlap_text_ = has_thread_ ? "communication thread" : "between layers";
  overlap_text_ += wish != "auto" ? " (as asked)" : has_free_core_ ? "" : " (no core is free)";
}

Buffer DataParallel::allocate_copy() {
  copies_.push_back(parts_.comm.node().allocate(parts_.comm.node().rank() == 0 ? parts_.params.elements() : 0, parts_.params.dtype()));
  return copies_.back().peers[0];
}

void DataParallel::begin_average() {
  const Buffer average = parts_.optimizer.state()[static_cast<std::size_t>(parts_.optimizer.average())];
  copy_together(parts_.comm.node(), average, parts_.params.values().part(0, average.elements), memory_->writers_of_state());
}

void DataParallel::use_average() {
  const bool lies_in_parts = !exchange_->held().empty();
  if (lies_in_parts) gather_state();
  const Buffer average = parts_.optimizer.state()[static_cast<std::size_t>(parts_.optimizer.average())];
  overwrite(parts_.params.values().part(0, average.elements), average, memory_->writers_of_values());
  if (lies_in_parts) release_state();
}

void DataParallel::overwrite(Buffer to, Buffer from, Writers writers) {
  const Share part = share_of(to.elements, writers.place, writers.count);
  snapshot_.before_write(to.part(part.first, part.count));
  copy_together(parts_.comm.node(), to, from, writers);
}

void DataParallel::write_buffers(Buffer values) {
  const Writers writers = memory_->writers_of_values();
  const Share part = share_of(values.elements, writers.place, writers.count);
  const Buffer to = parts_.params.values().part(parts_.params.first_buffer() + part.first, part.count);
  snapshot_.before_write(to);
  parts_.params.device().copy(to.data, values.part(part.first, part.count).data, to.bytes());
  if (!memory_->is_private()) parts_.comm.node().barrier("batch statistics are written").wait();
}

void DataParallel::use(const std::string& exchange) {
  thread_.reset();
  snapshot_.settle();  // memory may go, and state of other nodes comes
  std::unique_ptr<Exchange> before = std::move(exchange_);
  if (before) before->gather_state(parts_.optimizer);
  if (entry(exchange).private_parameters != memory_->is_private()) {
    std::unique_ptr<ArenaMemory> next = allocate_for(exchange);
    next->take(*memory_);
    parts_.params.bind(next->values());
    parts_.optimizer.bind(next->state());
    memory_ = std::move(next);
  }
  buckets_ = agree_on_buckets(parts_.comm, parts_.params, backward_ms_, link_);
  const ParallelOptions& o = parts_.options;
  exchange_ = entry(exchange).make({.comm = parts_.comm,
                                    .params = parts_.params,
                                    .snapshot = snapshot_,
                                    .virtual_workers = workers_,
                                    .buckets = buckets_,
                                    .wire = parse_dtype(o.wire),
                                    .copies = memory_->copies(),
                                    .local = {.steps = o.local_steps, .outer_lr = o.outer_lr, .outer_momentum = o.outer_momentum},
                                    .trace = parts_.trace,
                                    .on_gradients = parts_.on_gradients});
  if (before) hand_over(*before);
  exchange_->release_state(parts_.optimizer);
  if (has_thread_) thread_ = std::make_unique<CommunicationThread>(*exchange_, has_free_core_);
  reducer_ = std::make_unique<Reducer>(parts_.params, buckets_);
  if (overlaps() || parts_.trace || parts_.between_layers) parts_.params.on_gradient_ready([this](std::size_t i) { gradient_ready(i); });
  name_ = exchange;
}

void DataParallel::gradient_ready(std::size_t i) {
  if (parts_.trace && parts_.trace->is_on()) parts_.trace->mark("gradient of " + parts_.params.entries()[i].name);
  reducer_->ready(i);
  if (overlaps()) sink().advance();
  if (parts_.between_layers && !thread_) parts_.between_layers();
}

void DataParallel::hand_over(const Exchange& before) {
  for (const Carried& from : before.carried())
    for (const Carried& to : exchange_->carried())
      if (from.name == to.name) copy_together(parts_.comm.node(), to.values, from.values, to.is_private ? Writers() : node_writers());
}

std::span<const Buffer> DataParallel::begin() {
  began_ = std::chrono::steady_clock::now();
  in_step_ = true;
  return exchange_->begin();
}

StepOutcome DataParallel::step(StepOrder order, std::span<const WorkerReport> reports, const RankReport& mine) {
  if (thread_) thread_->take_back();
  reducer_->finish(*exchange_);
  const StepOutcome outcome = exchange_->step(parts_.params, parts_.optimizer, order, reports, mine);
  in_step_ = false;
  if (outcome.bad_worker < 0) after_step(mine.phases.backward);
  return outcome;
}

void DataParallel::after_step(double backward_ms) {
  ++steps_;
  std::string next = name_;
  if (trial_) {
    const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - began_;
    next = trial_->after_step(parts_.comm, taken.count());
    if (trial_->has_chosen()) text_ = trial_->reason();
    if (const std::string news = trial_->take_news(); !news.empty()) say(news, "exchange: ");
  }
  const bool plans = overlaps() && !drifts() && steps_ == kPlanAfterSteps;
  if (plans) backward_ms_ = backward_ms;
  if (plans || next != name_) use(next);
  if (plans) say(buckets_text(buckets_, parts_.params.dtype()), "");
}

std::string DataParallel::slowest_link() const {
  return overlaps() ? parts_.comm.node_name(link_.ends[0]) + " and " + parts_.comm.node_name(link_.ends[1]) : "";
}

void DataParallel::say(const std::string& text, const std::string& what) const {
  if (parts_.comm.rank() == 0) parts_.log.info(what + text);
}

}  // namespace chorale
