#include <chorale/train/collab/probe_rows.hpp>

#include <algorithm>
#include <cstring>
#include <set>
#include <span>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>

namespace chorale {

ProbeRows probe_rows(const TaskRows& rows) {
  std::set<std::int64_t> held_out;
  for (const auto& part : {rows.validation, rows.test})
    for (std::int64_t row = 0; part && row < part->rows(); ++row) held_out.insert(part->row_id(row));
  std::vector<std::pair<EntityId, std::int64_t>> found;
  for (std::int64_t row = 0; row < rows.all->rows(); ++row) {
    const std::int64_t number = rows.all->row_id(row);
    if (held_out.contains(number)) continue;
    for (const std::vector<EntityId>& kind : rows.entities)
      if (const EntityId id = kind[static_cast<std::size_t>(number)]; id != kNoEntity) found.emplace_back(id, row);
  }
  std::sort(found.begin(), found.end());
  ProbeRows out;
  for (const auto& [id, row] : found)
    if (out.ids.empty() || out.ids.back() != id) out.ids.push_back(id), out.rows.push_back(row);
  return out;
}

std::vector<std::int32_t> places_of(const std::vector<EntityId>& wanted, const std::vector<EntityId>& ids) {
  return positions_of(EntityKeys{wanted, {}}, EntityKeys{ids, {}});
}

ProbeRows only(const ProbeRows& all, const std::vector<EntityId>& wanted) {
  ProbeRows out{.ids = wanted, .rows = {}};
  for (const std::int32_t position : places_of(wanted, all.ids)) {
    if (position < 0) throw InternalError("a probe that this task does not have");
    out.rows.push_back(all.rows[static_cast<std::size_t>(position)]);
  }
  return out;
}

std::vector<std::vector<EntityId>> gather_ids(Communicator& sharing, int number, std::size_t tasks, const std::vector<EntityId>& mine) {
  std::vector<std::int64_t> task_of(static_cast<std::size_t>(sharing.size()));
  std::int64_t own = number;
  const std::vector<std::int64_t> one(task_of.size(), 1);
  sharing.all_gather(buffer_of(std::span(&own, 1)), buffer_of(std::span(task_of)), one, "tasks of ranks").wait();
  std::vector<std::vector<EntityId>> out(tasks);
  for (std::size_t t = 0; t < tasks; ++t) {
    const auto root = std::find(task_of.begin(), task_of.end(), static_cast<std::int64_t>(t)) - task_of.begin();
    const auto bytes = broadcast_bytes(sharing, std::as_bytes(std::span(mine)), static_cast<int>(root), "entities of a task");
    out[t].resize(bytes.size() / sizeof(EntityId));
    std::memcpy(out[t].data(), bytes.data(), bytes.size());
  }
  return out;
}

std::vector<EntityId> in_common(const std::vector<EntityId>& a, const std::vector<EntityId>& b) {
  std::vector<EntityId> out;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

std::vector<EntityId> draw(const std::vector<EntityId>& ids, std::int64_t count, std::uint64_t seed) {
  std::vector<std::pair<std::uint64_t, EntityId>> order;
  for (const EntityId id : ids) order.emplace_back(mix(seed, id), id);
  const auto n = std::min<std::size_t>(order.size(), static_cast<std::size_t>(count));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(n), order.end());
  std::vector<EntityId> out;
  for (std::size_t i = 0; i < n; ++i) out.push_back(order[i].second);
  std::sort(out.begin(), out.end());
  return out;
}

void append_floats(std::vector<std::int32_t>& words, const Tensor& values) {
  with_float_type(values.dtype(), [&]<class T>() {
    for (std::int64_t i = 0; i < values.elements(); ++i) {
      const auto value = static_cast<float>(values.data<T>()[i]);
      std::int32_t word = 0;
      std::memcpy(&word, &value, sizeof word);
      words.push_back(word);
    }
  });
}

}  // namespace chorale
