// How a task of a collaboration gets its store, and the places of the rows that it will read there.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/train/collab/collab_task.hpp>
#include <chorale/train/collab/published_keys.hpp>
#include <chorale/train/collab/replicated_store.hpp>
#include <chorale/train/collab/sharded_store.hpp>
#include <chorale/train/collab/store_need.hpp>
#include <chorale/train/data/together.hpp>

namespace chorale {

struct CollabTask::Wish {
  std::size_t task, kind;  // number of the peer, and of the kind among this task's
  int publisher;
};

std::vector<CollabTask::Wish> CollabTask::wishes(int number) const {
  const TaskInfo& me = tasks_[static_cast<std::size_t>(number)];
  std::vector<Wish> out;
  for (std::size_t t = 0; me.listens() && t < tasks_.size(); ++t)
    for (std::size_t k = 0; k < me.kinds.size(); ++k)
      if (static_cast<int>(t) != number && tasks_[t].publishes() &&
          std::find(tasks_[t].kinds.begin(), tasks_[t].kinds.end(), me.kinds[k]) != tasks_[t].kinds.end())
        out.push_back({t, k, publisher_of_[t]});
  return out;
}

void CollabTask::make_store(const Setup& setup) {
  const TaskInfo& me = tasks_[static_cast<std::size_t>(setup.number)];
  std::vector<std::string> names;
  for (const TaskInfo& task : tasks_) {
    publisher_of_.push_back(task.publishes() ? static_cast<int>(names.size()) : -1);
    if (task.publishes()) names.push_back(task.name);
  }
  const int number = publisher_of_[static_cast<std::size_t>(setup.number)];
  Publisher own{.task = me.name, .ids = {}};
  if (number >= 0) own = make_publisher(me.name, indexes_, *rows_.train, rows_.scale_before);
  for (const EntityIndex& index : indexes_) {
    if (number < 0) break;
    const std::vector<std::int32_t> position = positions_of(index.keys(), own.keys());
    for (std::int32_t& entity : published_.emplace_back(index.of_row))
      if (entity >= 0) entity = position[static_cast<std::size_t>(entity)];
  }
  const std::vector<Wish> wanted = wishes(setup.number);
  const StoreOptions options{.width = options_.width, .keep = options_.keep, .wire = options_.wire};
  if (check_room(setup, own, wanted)) {
    store_ = std::make_unique<ShardedStore>(own_communicator(setup, "store"), std::move(names), number, own, options);
  } else {
    std::vector<Publisher> publishers = gather_publishers(setup.sharing, tasks_, setup.number, own);
    for (std::size_t p = 0; options_.control == Control::shuffled && p < publishers.size(); ++p)
      shuffled_.push_back(shuffled_keys(publishers[p], mix(options_.control_seed, p)));
    store_ = std::make_unique<ReplicatedStore>(own_communicator(setup, "store"), std::move(publishers), options);
  }
  std::vector<WantedKeys> keys;
  for (const Wish& wish : wanted) keys.push_back({wish.publisher, indexes_[wish.kind].keys()});
  const std::vector<KeyPlaces> places = store_->locate(keys);
  std::vector<FetchSource> sources;
  together(setup.sharing, "sources of sharing", [&](std::int64_t& position) {
    position = setup.number;
    if (me.listens()) sources = sources_of(setup, wanted, places);
  });
  if (sources.empty()) return;
  fetched_ = std::make_unique<FetchedRows>(*store_, std::move(sources));
  std::vector<std::size_t> kinds;
  std::vector<std::vector<std::uint8_t>> trained;
  for (std::size_t w = 0; w < wanted.size(); ++w) kinds.push_back(wanted[w].kind), trained.push_back(places[w].trained);
  trained_by_peers_ = count_trained_by_peers(indexes_, rows_.test.get(), kinds, trained);
}

/// Whether the store is to be sharded.
bool CollabTask::check_room(const Setup& setup, const Publisher& own, const std::vector<Wish>& wishes) const {
  Communicator& comm = setup.sharing;
  const int number = publisher_of_[static_cast<std::size_t>(setup.number)];
  std::vector<std::int64_t> own_keys;
  for (const Wish& wish : wishes) own_keys.push_back(static_cast<std::int64_t>(indexes_[wish.kind].ids.size()));
  std::array<std::int64_t, 4> mine = {number, static_cast<std::int64_t>(own.ids.size()), 0, rows_.periods.empty() ? 0 : 1};
  for (const std::int64_t keys : own_keys) mine[2] += keys;
  std::vector<std::int64_t> all(static_cast<std::size_t>(comm.size()) * mine.size());
  const std::vector<std::int64_t> counts(static_cast<std::size_t>(comm.size()), mine.size());
  comm.all_gather(buffer_of(std::span<std::int64_t>(mine)), buffer_of(std::span(all)), counts, "size of the store").wait();
  StoreSize size{.keys = {}, .has_time = mine[3] != 0, .width = options_.width};
  for (const TaskInfo& task : tasks_) size.keys.resize(size.keys.size() + (task.publishes() ? 1 : 0));
  std::int64_t read = 0;
  for (std::size_t at = 0; at < all.size(); at += mine.size()) {
    if (all[at] >= 0) size.keys[static_cast<std::size_t>(all[at])] = all[at + 1];
    read += all[at + 2];
  }
  const bool sharded = options_.control != Control::shuffled && is_sharded(options_.store, size, comm.size());
  const auto share = [&](std::int64_t keys) { return keys / comm.size(); };
  StoreNeed need = sharded ? sharded_need(size, {share(size.all_keys()), mine[1], mine[2], share(read)}, own_keys, comm.rank() == 0)
                           : store_need(size, own_keys);
  std::vector<std::int64_t> on_node = {need.rows, need.fetched, need.checkpoint};
  comm.node().all_reduce(buffer_of(std::span(on_node)), Reduce::sum, "memory of the store").wait();
  need = {.rows = on_node[0], .fetched = on_node[1], .checkpoint = on_node[2]};
  together(comm, "memory of the store", [&](std::int64_t& position) {
    position = setup.number;
    check_store_memory(need, memory_limit(), sharded);
  });
  if (setup.log && comm.rank() == 0)
    setup.log->info(fmt::format("vectors of entities, {}: {} on this node, {} available", sharded ? "sharded" : "replicated",
                                bytes_text(need.total()), bytes_text(available_memory())));
  return sharded;
}

std::vector<FetchSource> CollabTask::sources_of(const Setup& setup, const std::vector<Wish>& wishes,
                                                const std::vector<KeyPlaces>& places) const {
  const TaskInfo& me = tasks_[static_cast<std::size_t>(setup.number)];
  const bool has_time = !rows_.periods.empty();
  std::vector<FetchSource> out;
  for (std::size_t w = 0; w < wishes.size(); ++w) {
    const EntityIndex& index = indexes_[wishes[w].kind];
    const std::string &kind = me.kinds[wishes[w].kind], &peer = tasks_[wishes[w].task].name;
    FetchSource source{.publisher = wishes[w].publisher,
                       .kind = kind,
                       .of_row = index.of_row,
                       .positions = places[w].positions,
                       .ids = index.ids,
                       .periods = index.periods};
    const auto place = [&](auto task) {
      return setup.place_of ? fmt::format("in {} ", setup.place_of(static_cast<std::size_t>(task), kind))
                            : fmt::format("of {} ", tasks_[static_cast<std::size_t>(task)].name);
    };
    const auto matched = std::count_if(source.positions.begin(), source.positions.end(), [](std::int32_t p) { return p >= 0; });
    if (matched == 0)
      throw DataError(
          fmt::format("tasks {} and {} have no {} in common: 0 of the {} keys {}are among those {}{}(for instance because one table writes "
                      "17 and the other C17); see task.NAME.entity",
                      me.name, peer, kind, source.positions.size(), place(setup.number), place(wishes[w].task),
                      has_time ? "in an earlier period " : ""));
    for (std::int32_t& position : source.positions)
      if (position >= 0 && !shuffled_.empty())
        position = shuffled_[static_cast<std::size_t>(source.publisher)][static_cast<std::size_t>(position)];
    if (setup.log && setup.task.rank() == 0)
      setup.log->info(fmt::format("{} hears {} about {} of its {} {}s{}", me.name, peer, matched, source.positions.size(), kind,
                                  has_time ? " and periods" : ""));
    out.push_back(std::move(source));
  }
  if (out.empty())
    throw UsageError(
        fmt::format("task {} has no kind of entity in common with another task that publishes; name one in task.{}.entity, set "
                    "task.{}.role = peer where it shall only publish, or take the task out",
                    me.name, me.name, me.name));
  return out;
}

}  // namespace chorale
