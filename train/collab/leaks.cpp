#include <chorale/train/collab/leaks.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include <chorale/core/tensor/tensor.hpp>

namespace chorale {

namespace {

constexpr std::size_t kMostClasses = 20, kFewestRows = 30;

/// Rows of a part, thinned out, with their numbers in the table and what the label says of each.
struct Sample {
  std::vector<std::int64_t> table_rows;
  std::vector<std::vector<double>> labels;  // the values; of few values also by value whether it is this one
};

Sample sample_of(const Dataset& train) {
  Sample out;
  std::vector<std::int64_t> rows;
  const std::int64_t step = (train.rows() + kLeakRows - 1) / kLeakRows;
  for (std::int64_t row = 0; row < train.rows(); row += step) rows.push_back(row), out.table_rows.push_back(train.row_id(row));
  int target = 0;
  while (train.fields()[static_cast<std::size_t>(target)].name != "target") ++target;
  const Field& field = train.fields()[static_cast<std::size_t>(target)];
  if (field.row_shape.elements() != 1) return out;  // several targets a row: no one label to tell
  std::vector<double>& values = out.labels.emplace_back();
  with_float_type(field.dtype, [&]<class T>() {
    std::vector<T> read(rows.size());
    train.gather(target, rows, read.data());
    values.assign(read.begin(), read.end());
  });
  const std::set<double> distinct(values.begin(), values.end());
  if (distinct.size() > kMostClasses || distinct.size() < 3) return out;
  for (const double value : distinct) {
    std::vector<double> is_it;
    for (const double v : out.labels[0]) is_it.push_back(v == value ? 1 : 0);
    out.labels.push_back(std::move(is_it));
  }
  return out;
}

/// 0 where one of them does not vary.
double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const auto n = static_cast<double>(a.size());
  double mean_a = 0, mean_b = 0, aa = 0, bb = 0, ab = 0;
  for (std::size_t i = 0; i < a.size(); ++i) mean_a += a[i] / n, mean_b += b[i] / n;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double da = a[i] - mean_a, db = b[i] - mean_b;
    aa += da * da, bb += db * db, ab += da * db;
  }
  return aa > 0 && bb > 0 ? std::fabs(ab) / std::sqrt(aa * bb) : 0;
}

double strongest(const std::vector<double>& values, const std::vector<std::vector<double>>& labels) {
  double out = 0;
  for (const std::vector<double>& label : labels) out = std::max(out, correlation(values, label));
  return out;
}

bool is_there(const FetchSource& source, std::int64_t table_row) {
  const std::int32_t key = source.of_row[static_cast<std::size_t>(table_row)];
  return key >= 0 && source.positions[static_cast<std::size_t>(key)] >= 0;
}

}  // namespace

std::vector<Leak> presence_leaks(const FetchedRows& fetched, const Dataset& train) {
  const Sample sample = sample_of(train);
  std::vector<Leak> out;
  if (sample.table_rows.size() < kFewestRows) return out;
  for (std::size_t s = 0; s < fetched.sources().size(); ++s) {
    std::vector<double> mask;
    for (const std::int64_t row : sample.table_rows) mask.push_back(is_there(fetched.sources()[s], row) ? 1 : 0);
    const double found = strongest(mask, sample.labels);
    if (found > kPresenceBound)
      out.push_back({static_cast<std::int64_t>(s), -1, found, static_cast<std::int64_t>(sample.table_rows.size())});
  }
  return out;
}

std::vector<Leak> vector_leaks(const FetchedRows& fetched, const Dataset& train) {
  const Sample sample = sample_of(train);
  const auto columns = static_cast<std::size_t>(fetched.columns()), sources = fetched.sources().size(), width = columns / sources;
  std::vector<float> vectors(sample.table_rows.size() * columns);
  fetched.gather(sample.table_rows, vectors.data());
  std::vector<Leak> out;
  for (std::size_t s = 0; s < sources; ++s) {
    std::vector<std::size_t> there;
    for (std::size_t r = 0; r < sample.table_rows.size(); ++r)
      if (is_there(fetched.sources()[s], sample.table_rows[r])) there.push_back(r);
    if (there.size() < kFewestRows) continue;
    std::vector<std::vector<double>> labels;
    for (const std::vector<double>& label : sample.labels) {
      std::vector<double>& here = labels.emplace_back();
      for (const std::size_t r : there) here.push_back(label[r]);
    }
    Leak most{.source = static_cast<std::int64_t>(s), .rows = static_cast<std::int64_t>(there.size())};
    for (std::size_t j = 0; j < width; ++j) {
      std::vector<double> component;
      for (const std::size_t r : there) component.push_back(static_cast<double>(vectors[r * columns + s * width + j]));
      if (const double found = strongest(component, labels); found > most.correlation)
        most.correlation = found, most.component = static_cast<std::int64_t>(j);
    }
    if (most.correlation > kVectorBound) out.push_back(most);
  }
  return out;
}

std::string leak_text(const Leak& leak, const std::string& task, const std::string& peer, const std::string& kind, std::int64_t folds) {
  if (leak.component < 0)
    return fmt::format(
        "LEAK? whether {} has a row of a {} tells {} its label: correlation {:.2f} over {} training rows, above {:.2f}. Where its rows are "
        "there because of what is to be predicted, the two must not meet: take the kind out of one, or give collab.time",
        peer, kind, task, leak.correlation, leak.rows, kPresenceBound);
  return fmt::format(
      "LEAK? what {} says about {}s tells {} its label: correlation {:.2f} of component {} over {} training rows, above {:.2f}. If {} "
      "learns a label of the same meaning, or one that follows from it, {}",
      peer, kind, task, leak.correlation, leak.component, leak.rows, kVectorBound, peer,
      folds > 0 ? fmt::format("keep the two apart: it publishes out of fold (task.{}.folds = {}), so its columns say it", peer, folds)
                : fmt::format("let it publish out of fold, task.{}.folds = 5, or keep the two apart", peer));
}

}  // namespace chorale
