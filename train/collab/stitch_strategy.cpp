// The strategy `stitch`: a layer of each task reads that of the others. All tasks hold the same entities in the same rows, and every pass
// waits for all, also when rows are scored.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/content_hash.hpp>
#include <chorale/train/collab/stitch.hpp>
#include <chorale/train/collab/strategy.hpp>
#include <chorale/train/data/together.hpp>

namespace chorale {

namespace {

/// A number of each rank.
std::vector<std::int64_t> of_all(Communicator& comm, std::int64_t mine, Label label) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(comm.size()));
  const std::vector<std::int64_t> one(all.size(), 1);
  comm.all_gather(buffer_of(std::span(&mine, 1)), buffer_of(std::span(all)), one, label).wait();
  return all;
}

std::vector<EntityId> entities_of(const std::shared_ptr<const Dataset>& part, const TaskRows& rows) {
  std::vector<EntityId> out;
  for (std::int64_t row = 0; part && row < part->rows(); ++row)
    out.push_back(rows.entities[0][static_cast<std::size_t>(part->row_id(row))]);
  return out;
}

/// Collective. Throws UsageError, equal on all ranks, where a task's rows are about other entities than the first's.
void check_rows(const StrategySetup& setup, const char* what, const std::vector<EntityId>& mine) {
  constexpr const char* kRemedy =
      "stitch needs one list of entities in one order: tables with a row for each entity, in the same order, and collab.split";
  const std::vector<std::int64_t> tasks = of_all(setup.sharing, setup.number, "tasks of ranks");
  const auto name_of = [&](std::size_t rank) { return setup.tasks[static_cast<std::size_t>(tasks[rank])].name; };
  const std::vector<std::int64_t> counts = of_all(setup.sharing, static_cast<std::int64_t>(mine.size()), "rows of tasks");
  for (std::size_t r = 1; r < counts.size(); ++r)
    if (counts[r] != counts[0])
      throw UsageError(fmt::format("task {} has {} {} rows, {} has {}; {}", name_of(0), counts[0], what, name_of(r), counts[r], kRemedy));
  ContentHash hash;
  hash.add(std::as_bytes(std::span(mine)));
  const std::string text = hash.text();
  const auto hashes = all_gather_bytes(setup.sharing, std::as_bytes(std::span(text)), "entities of tasks");
  if (std::all_of(hashes.begin(), hashes.end(), [&](const auto& each) { return each == hashes[0]; })) return;
  std::vector<EntityId> first(mine.size());
  const std::vector<std::byte> bytes = broadcast_bytes(setup.sharing, std::as_bytes(std::span(mine)), 0, "entities of a task");
  std::memcpy(first.data(), bytes.data(), bytes.size());
  const auto at = std::mismatch(mine.begin(), mine.end(), first.begin()).first - mine.begin();
  const std::vector<std::int64_t> differs = of_all(setup.sharing, at, "rows that differ");
  for (std::size_t r = 0; r < differs.size(); ++r)
    if (differs[r] < static_cast<std::int64_t>(mine.size()))
      throw UsageError(fmt::format("tasks {} and {} are about different entities in {} row {}; {}", name_of(0), name_of(r), what,
                                   differs[r] + 1, kRemedy));
}

class StitchStrategy final : public Strategy {
 public:
  explicit StitchStrategy(const StrategySetup& setup) {
    for (const auto& layer : setup.model.own().layers())
      if (auto* stitch = dynamic_cast<Stitch*>(layer.get())) stitch_ = stitch;
    check_rows(setup, "training", entities_of(setup.rows.train, setup.rows));
    check_rows(setup, "validation", entities_of(setup.rows.validation, setup.rows));
    check_rows(setup, "test", entities_of(setup.rows.test, setup.rows));
  }
  /// The mean over tasks: a task's best weights need those of the others of the same step, so that all keep theirs together.
  double judged_score(double own) override { return stitch_->mean_over_tasks(own); }
  void set_alone(bool is_alone) override { stitch_->set_alone(is_alone); }
  void tick(const Tick&) override {}  // every pass is one
  std::uint64_t bytes_sent() const override { return stitch_->bytes_sent(); }

 private:
  Stitch* stitch_ = nullptr;  // of the model
};

void add_to_layers(Sequential& own, const LayersSetup& setup) {
  std::vector<std::int64_t> ranks;
  for (const TaskInfo& task : setup.tasks) {
    ranks.push_back(task.ranks);
    if (task.ranks != ranks[0])
      throw UsageError(
          fmt::format("collab.strategy = stitch needs as many ranks for every task: {} has {}, {} has {}; give all the same "
                      "task.NAME.ranks, for instance {}",
                      setup.tasks[0].name, ranks[0], task.name, task.ranks, std::min(ranks[0], task.ranks)));
  }
  Lanes lanes(setup.sharing, setup.task, setup.number, ranks, "stitch");
  std::int64_t width = 0;
  together(setup.sharing, "layers of tasks", [&](std::int64_t& position) {
    position = setup.number;
    width = add_stitch(own, setup.in, stitched_layer(own, setup.options.stitch.layer), std::move(lanes), setup.number,
                       setup.options.stitch.channels)
                .width();
  });
  const std::vector<std::int64_t> tasks = of_all(setup.sharing, setup.number, "tasks of ranks");
  const std::vector<std::int64_t> widths = of_all(setup.sharing, width, "widths of tasks");
  for (std::size_t r = 1; r < widths.size(); ++r)
    if (widths[r] != widths[0])
      throw UsageError(
          fmt::format("collab.strategy = stitch needs one width behind the layer that is stitched: {} has {}, {} has {}; change "
                      "task.NAME.model.layers, or name another with collab.stitch.layer",
                      setup.tasks[static_cast<std::size_t>(tasks[0])].name, widths[0], setup.tasks[static_cast<std::size_t>(tasks[r])].name,
                      widths[r]));
}

}  // namespace

void register_stitch(Registry& registry) {
  registry.of<StrategyEntry>().add(
      "stitch", {.help = "a layer of each task reads those of the others, row by row",
                 .make = [](const StrategySetup& s) -> std::unique_ptr<Strategy> { return std::make_unique<StitchStrategy>(s); },
                 .in_lockstep = [](const CollabOptions&) { return true; },
                 .change_layers = add_to_layers});
}

}  // namespace chorale
