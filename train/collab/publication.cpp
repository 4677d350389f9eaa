#include <chorale/train/collab/publication.hpp>

#include <algorithm>
#include <limits>

#include <chorale/comm/rank_watch.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/core/data/sampler.hpp>
#include <chorale/train/evaluator.hpp>
#include <chorale/train/replica.hpp>

namespace chorale {

namespace {
constexpr std::size_t kMostWaiting = 8192;  // rows
}

Publication::Publication(Parts parts) : parts_(std::move(parts)), seen_(parts_.store.options().width) { order_sweep(); }

void Publication::on_results(const WorkerPass& pass) {
  if (parts_.publisher < 0 || parts_.untrained) return;
  const Tensor entity = pass.results.at(parts_.folds ? "fold_entity" : "entity").value();
  with_float_type(entity.dtype(), [&]<class T>() {
    const T* vectors = entity.data<T>();
    for (std::int64_t i = 0; i < entity.elements(); ++i) vectors_.push_back(static_cast<float>(vectors[i]));
  });
  passes_.push_back({static_cast<std::int32_t>(pass.worker), pass.rows.size()});
  rows_.insert(rows_.end(), pass.rows.begin(), pass.rows.end());
  if (rows_.size() >= kMostWaiting) add_waiting();
}

void Publication::add_waiting() {
  const std::int64_t* row = rows_.data();
  const float* vector = vectors_.data();
  const std::size_t width = rows_.empty() ? 0 : vectors_.size() / rows_.size();
  for (const auto& [worker, count] : passes_)
    for (std::size_t i = 0; i < count; ++i, ++row, vector += width) add_row(parts_.train->row_id(*row), worker, vector);
  passes_.clear(), rows_.clear(), vectors_.clear();
}

/// part: the virtual worker or, behind those, the chunk of the sweep. vector: that row of the exporter's results.
template <class T>
void Publication::add_row(std::int64_t table_row, std::int32_t part, const T* vector) {
  const std::int64_t between_kinds = parts_.folds ? parts_.folds->options().width : 0;  // one vector for all, or with folds one for each
  for (const std::vector<std::int32_t>& kind : parts_.entities) {
    if (const std::int32_t e = kind[static_cast<std::size_t>(table_row)]; e >= 0) seen_.add(e, part, vector);
    vector += between_kinds;
  }
}

void Publication::complete(bool hears) {
  parts_.store.complete();
  if (parts_.fetched && hears) parts_.fetched->refresh();
}

void Publication::drop_seen() {
  passes_.clear(), rows_.clear(), vectors_.clear();
  seen_.clear();
}

void Publication::post(std::int64_t tick, bool publishes) {
  add_waiting();
  seen_.bound(parts_.clip, parts_.noise, mix(mix(parts_.noise_seed, 0x6E6F697365u), static_cast<std::uint64_t>(tick)));
  parts_.store.post(publishes ? parts_.publisher : -1, seen_);
  seen_.clear();
  chunks_ = 0;
}

/// A tick then sees all rows of a key or none, so that the mean of a sweep is the key's own. Rows that have no entity of the first kind,
/// but of another one, come last, each by itself.
void Publication::order_sweep() {
  if (parts_.publisher < 0) return;
  const auto keys_of = [&](std::int64_t row) {
    std::vector<std::int32_t> keys;
    for (const std::vector<std::int32_t>& kind : parts_.entities) keys.push_back(kind[static_cast<std::size_t>(parts_.all->row_id(row))]);
    return keys;
  };
  std::vector<std::pair<std::int64_t, std::int64_t>> rows;  // key, row
  for (std::int64_t row = 0; row < parts_.all->rows(); ++row) {
    const std::vector<std::int32_t> keys = keys_of(row);
    if (std::all_of(keys.begin(), keys.end(), [](std::int32_t key) { return key < 0; })) continue;
    rows.emplace_back(keys[0] >= 0 ? keys[0] : std::numeric_limits<std::int32_t>::max() + row, row);
  }
  std::sort(rows.begin(), rows.end());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i == 0 || rows[i].first != rows[i - 1].first) starts_.push_back(static_cast<std::int64_t>(i));
    order_.push_back(rows[i].second);
  }
  starts_.push_back(static_cast<std::int64_t>(rows.size()));
}

void Publication::sweep(std::int64_t tick) {
  if (parts_.sweep_ticks > 0) sweep_part((tick - 1) % parts_.sweep_ticks, parts_.sweep_ticks);
}

void Publication::sweep_part(std::int64_t part, std::int64_t parts) {
  if (order_.empty()) return;
  add_waiting();
  FusedModel& exporter = parts_.untrained ? *parts_.untrained : parts_.model;
  const Share keys = share_of(static_cast<std::int64_t>(starts_.size()) - 1, part, parts);
  const std::int64_t first = starts_[static_cast<std::size_t>(keys.first)];
  const std::int64_t rows = starts_[static_cast<std::size_t>(keys.first + keys.count)] - first;
  for (std::int64_t chunk = 0; chunk * kEvaluationRows < rows; ++chunk) {
    const std::int64_t number = chunks_++;
    if (number % parts_.task.size() != parts_.task.rank()) continue;
    parts_.task.watch().beat();
    const auto from = order_.begin() + first + chunk * kEvaluationRows;
    std::vector<std::int64_t> numbers(from, from + std::min(kEvaluationRows, rows - chunk * kEvaluationRows));
    const Values in = Replica::gather(*parts_.all, numbers, parts_.device, parts_.dtype);
    const Pass pass{.device = parts_.device};
    const Tensor entity =
        parts_.folds ? parts_.folds->entity(in.at("x"), in.at("folds").value(), pass) : exporter.entity(in.at("x"), pass).value();
    with_float_type(entity.dtype(), [&]<class T>() {
      const T* vector = entity.data<T>();
      for (const std::int64_t row : numbers) {
        add_row(parts_.all->row_id(row), static_cast<std::int32_t>(parts_.virtual_workers + number), vector);
        vector += entity.row_elements();
      }
    });
  }
}

}  // namespace chorale
