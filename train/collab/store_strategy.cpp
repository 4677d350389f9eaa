// The strategy `store`: what peers have published of a row's entity comes in through the model's fusion, and a guard closes a peer that
// makes validation worse.
#include <sstream>

#include <chorale/core/base/error.hpp>
#include <chorale/train/collab/strategy.hpp>

namespace chorale {

namespace {

class StoreStrategy final : public Strategy {
 public:
  explicit StoreStrategy(const StrategySetup& setup) : setup_(setup), guard_(setup.model.options().peers) {
    open_or_close({});
    keep_best();
  }
  void tick(const Tick& tick) override {
    open_or_close(tick);
    if (burns_in(tick) || has_heard_) return;
    has_heard_ = true;
    if (setup_.on_heard) setup_.on_heard();
  }
  void after_evaluation(const Tick& tick) override;
  void keep_best() override;
  void use_best() override;
  std::string state_text() const override;
  void restore(const SafetensorsFile& file, const std::string& text, const Tick& tick) override;
  std::vector<GuardEvent> guard_events() const override { return events_; }
  std::vector<bool> kept_open() const override { return kept_open_; }

 private:
  static bool burns_in(const Tick& tick) { return tick.burns_in || tick.number == 0; }
  void open_or_close(const Tick& tick);
  StrategySetup setup_;
  Guard guard_;
  std::vector<GuardEvent> events_;
  std::vector<bool> kept_open_;
  bool has_heard_ = false;
};

void StoreStrategy::open_or_close(const Tick& tick) {
  const SharingPlan& plan = setup_.options.plan;
  setup_.model.set_settled(plan.is_final(tick.number));
  setup_.model.set_probing(!burns_in(tick) && tick.number < std::max<std::int64_t>(1, plan.burn_in_ticks) + plan.probe_ticks);
  for (std::int64_t peer = 0; peer < setup_.model.options().peers; ++peer)
    setup_.model.set_open(peer, !burns_in(tick) && guard_.is_open(peer));
}

void StoreStrategy::after_evaluation(const Tick& tick) {
  if (!setup_.options.guard || setup_.model.options().peers == 0 || !setup_.validation || burns_in(tick)) return;
  const std::vector<Benefit> benefits = benefits_of_sources(setup_.task, setup_.model, setup_.loss, setup_.device, setup_.dtype,
                                                            *setup_.validation, setup_.validation_entities);
  for (const GuardEvent& event : guard_.judge(benefits)) {
    events_.push_back(event);
    if (setup_.on_guard) setup_.on_guard(event);
  }
  open_or_close(tick);
}

void StoreStrategy::keep_best() {
  kept_open_.clear();
  for (std::int64_t peer = 0; peer < setup_.model.options().peers; ++peer) kept_open_.push_back(setup_.model.is_open(peer));
}

void StoreStrategy::use_best() {
  for (std::size_t peer = 0; peer < kept_open_.size(); ++peer) setup_.model.set_open(static_cast<std::int64_t>(peer), kept_open_[peer]);
}

std::string StoreStrategy::state_text() const {
  std::string open;
  for (const bool each : kept_open_) open += each ? "1" : "0";
  return (open.empty() ? "-" : open) + " " + guard_.state_text();
}

void StoreStrategy::restore(const SafetensorsFile& file, const std::string& text, const Tick& tick) {
  std::istringstream in(text);
  std::string open, guard;
  in >> open;
  std::getline(in >> std::ws, guard);
  if (!in || (open != "-" && open.size() != kept_open_.size()))
    throw CheckpointError(file.path().string() + ": '" + text + "' is no state of the strategy store");
  guard_.restore(guard);
  for (std::size_t p = 0; p < kept_open_.size(); ++p) kept_open_[p] = open[p] == '1';
  open_or_close(tick);
}

}  // namespace

void register_store_strategy(Registry& registry) {
  registry.of<StrategyEntry>().add(
      "store", {.help = "vectors of entities, by their ids, through a fusion into the model; a guard closes peers that do harm",
                .needs_vectors = true,
                .make = [](const StrategySetup& s) -> std::unique_ptr<Strategy> { return std::make_unique<StoreStrategy>(s); }});
}

}  // namespace chorale
