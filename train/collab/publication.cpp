#include <chorale/train/collab/publication.hpp>

#include <algorithm>
#include <numeric>

#include <chorale/core/base/random.hpp>
#include <chorale/core/data/sampler.hpp>
#include <chorale/train/evaluator.hpp>
#include <chorale/train/replica.hpp>

namespace chorale {

void Publication::on_results(const WorkerPass& pass) {
  if (parts_.publisher < 0 || parts_.untrained) return;
  std::vector<std::int64_t> numbers;
  for (const std::int64_t row : pass.rows) numbers.push_back(parts_.train->row_id(row));
  add(pass.results.at(parts_.folds ? "fold_entity" : "entity").value(), numbers, pass.worker);
}

/// part: the virtual worker or, behind those, the chunk of the sweep.
void Publication::add(const Tensor& entity, std::span<const std::int64_t> table_rows, std::int64_t part) {
  with_float_type(entity.dtype(), [&]<class T>() {
    const T* vectors = entity.data<T>();
    for (const std::int64_t row : table_rows) {
      const T* vector = vectors;
      for (const std::vector<std::int32_t>& kind : parts_.entities) {
        if (const std::int32_t e = kind[static_cast<std::size_t>(row)]; e >= 0) seen_.add(e, static_cast<std::int32_t>(part), vector);
        vector += between_kinds();
      }
      vectors += entity.row_elements();
    }
  });
}

void Publication::complete(bool hears) {
  parts_.store.complete();
  if (parts_.fetched && hears) parts_.fetched->refresh();
}

void Publication::post(std::int64_t tick, bool publishes) {
  seen_.bound(parts_.clip, parts_.noise, mix(mix(parts_.noise_seed, 0x6E6F697365u), static_cast<std::uint64_t>(tick)));
  parts_.store.post(publishes ? parts_.publisher : -1, seen_);
  seen_.clear();
}

void Publication::sweep(std::int64_t tick) {
  if (parts_.publisher < 0 || parts_.sweep_ticks == 0) return;
  FusedModel& exporter = parts_.untrained ? *parts_.untrained : parts_.model;
  const std::int64_t rows = parts_.all->rows(), chunks = (rows + kEvaluationRows - 1) / kEvaluationRows;
  const Share now = share_of(chunks, (tick - 1) % parts_.sweep_ticks, parts_.sweep_ticks);
  for (std::int64_t chunk = now.first; chunk < now.first + now.count; ++chunk) {
    if (chunk % parts_.task.size() != parts_.task.rank()) continue;
    std::vector<std::int64_t> numbers(static_cast<std::size_t>(std::min(kEvaluationRows, rows - chunk * kEvaluationRows)));
    std::iota(numbers.begin(), numbers.end(), chunk * kEvaluationRows);
    const Values in = Replica::gather(*parts_.all, numbers, parts_.device, parts_.dtype);
    const Pass pass{.device = parts_.device};
    const Tensor entity =
        parts_.folds ? parts_.folds->entity(in.at("x"), in.at("folds").value(), pass) : exporter.entity(in.at("x"), pass).value();
    for (std::int64_t& number : numbers) number = parts_.all->row_id(number);
    add(entity, numbers, parts_.virtual_workers + chunk);
  }
}

}  // namespace chorale
