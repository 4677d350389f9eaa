#include <chorale/train/collab/published_keys.hpp>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include <chorale/core/base/random.hpp>
#include <chorale/train/data/together.hpp>

namespace chorale {

Publisher make_publisher(const std::string& task, const std::vector<EntityIndex>& indexes, const Dataset& train,
                         std::int32_t scale_before) {
  std::vector<EntityId> ids;
  std::vector<std::int32_t> periods;
  for (const EntityIndex& index : indexes) {
    ids.insert(ids.end(), index.ids.begin(), index.ids.end());
    periods.insert(periods.end(), index.periods.begin(), index.periods.end());
  }
  EntityIndex all = index_entities(ids, periods);
  std::vector<std::uint8_t> trained(all.ids.size());
  for (const EntityIndex& index : indexes) {
    const std::vector<std::int32_t> position = positions_of(index.keys(), all.keys());
    for (std::int64_t row = 0; row < train.rows(); ++row)
      if (const std::int32_t key = index.of_row[static_cast<std::size_t>(train.row_id(row))]; key >= 0)
        trained[static_cast<std::size_t>(position[static_cast<std::size_t>(key)])] = 1;
  }
  return {task, std::move(all.ids), std::move(all.periods), scale_before, std::move(trained)};
}

std::vector<Publisher> gather_publishers(Communicator& sharing, const std::vector<TaskInfo>& tasks, int number, const Publisher& own) {
  std::vector<Publisher> out;
  std::vector<std::int64_t> task_of(static_cast<std::size_t>(sharing.size()));
  std::int64_t mine = number;
  const std::vector<std::int64_t> one(task_of.size(), 1);
  sharing.all_gather(buffer_of(std::span(&mine, 1)), buffer_of(std::span(task_of)), one, "tasks of ranks").wait();
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    if (!tasks[t].publishes()) continue;
    const int root = static_cast<int>(std::find(task_of.begin(), task_of.end(), static_cast<std::int64_t>(t)) - task_of.begin());
    Publisher its{.task = tasks[t].name, .ids = {}};
    if (sharing.rank() == root) its = own;
    const auto tell = [&](auto& values) {
      using T = typename std::remove_reference_t<decltype(values)>::value_type;
      const std::vector<std::byte> bytes = broadcast_bytes(sharing, std::as_bytes(std::span(values)), root, "entities of a task");
      values.resize(bytes.size() / sizeof(T));
      std::memcpy(values.data(), bytes.data(), bytes.size());
    };
    std::vector<std::int32_t> before = {its.scale_before};
    tell(its.ids), tell(its.periods), tell(its.trained), tell(before);
    its.scale_before = before[0];
    out.push_back(std::move(its));
  }
  return out;
}

std::vector<std::int32_t> shuffled_keys(const Publisher& publisher, std::uint64_t seed) {
  std::map<std::int32_t, std::vector<std::int32_t>> by_period;
  for (std::size_t i = 0; i < publisher.ids.size(); ++i)
    by_period[publisher.periods.empty() ? 0 : publisher.periods[i]].push_back(static_cast<std::int32_t>(i));
  std::vector<std::int32_t> out(publisher.ids.size());
  RandomStream random(mix(seed, 0x73687566u));
  for (const auto& [period, places] : by_period) {
    std::vector<std::int32_t> order = places;
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
    for (std::size_t i = 0; i < order.size(); ++i) out[static_cast<std::size_t>(places[i])] = order[i];
  }
  return out;
}

std::int64_t count_trained_by_peers(const std::vector<EntityIndex>& indexes, const Dataset* test, const std::vector<std::size_t>& kinds,
                                    const std::vector<std::vector<std::uint8_t>>& trained) {
  std::set<EntityId> out;
  for (std::size_t s = 0; test && s < kinds.size(); ++s) {
    const EntityIndex& index = indexes[kinds[s]];
    for (std::int64_t row = 0; row < test->rows(); ++row)
      if (const std::int32_t key = index.of_row[static_cast<std::size_t>(test->row_id(row))];
          key >= 0 && trained[s][static_cast<std::size_t>(key)])
        out.insert(index.ids[static_cast<std::size_t>(key)]);
  }
  return static_cast<std::int64_t>(out.size());
}

}  // namespace chorale
