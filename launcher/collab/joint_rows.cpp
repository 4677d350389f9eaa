#include <chorale/launcher/collab/joint_rows.hpp>

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

#include <chorale/core/tensor/tensor.hpp>
#include <chorale/launcher/collab/pooled_rows.hpp>

namespace chorale {

namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

/// Positions of the first kind of entity that two tasks have in common.
std::pair<std::size_t, std::size_t> common_kind(const JointTask& a, const JointTask& b) {
  for (std::size_t i = 0; i < a.kinds.size(); ++i)
    for (std::size_t j = 0; j < b.kinds.size(); ++j)
      if (a.kinds[i] == b.kinds[j]) return {i, j};
  return {kNone, kNone};
}

/// Tasks over the same rows.
struct Table {
  std::vector<std::size_t> tasks;
  std::int64_t first = 0;  // its first row in the joint table
};

std::vector<Table> tables_of(const std::vector<JointTask>& tasks) {
  std::vector<Table> out;
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const auto same = std::find_if(out.begin(), out.end(), [&](const Table& table) {
      const JointTask& first = tasks[table.tasks[0]];
      return first.kinds == tasks[t].kinds && first.entities == tasks[t].entities && first.periods == tasks[t].periods;
    });
    if (same != out.end()) {
      same->tasks.push_back(t);
      continue;
    }
    const std::int64_t first = out.empty() ? 0 : out.back().first + tasks[out.back().tasks[0]].matrix.rows;
    out.push_back({{t}, first});
  }
  return out;
}

/// Features that a task brings; those of several tasks over the same rows may be the same.
struct Block {
  std::size_t task = 0, table = 0;
  std::int64_t first = 0;  // its first column
};

template <class T>
class Joined {
 public:
  explicit Joined(const std::vector<JointTask>& tasks) : tasks_(tasks), tables_(tables_of(tasks)) {
    rows_ = tables_.back().first + tasks[tables_.back().tasks[0]].matrix.rows;
    for (std::size_t table = 0; table < tables_.size(); ++table)
      for (const std::size_t t : tables_[table].tasks) add_block(t, table);
    x_ = std::make_shared<std::vector<T>>(static_cast<std::size_t>(rows_ * features_));
    for (const Block& block : blocks_)
      for (std::size_t table = 0; table < tables_.size(); ++table) fill(block, table);
  }

  JointRows parts() {
    JointRows out;
    out.features = features_;
    for (const Table& table : tables_) out.tables.push_back(table.tasks);
    for (std::size_t part = 0; part < 3; ++part) {
      std::vector<std::int64_t> numbers;
      for (std::size_t t = 0; t < tasks_.size(); ++t)
        for (const std::int64_t row : tasks_[t].rows[part]) numbers.push_back(first_row(t) + row);
      std::sort(numbers.begin(), numbers.end());
      numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
      if (part == 2)
        for (std::size_t t = 0; t < tasks_.size(); ++t) {
          std::vector<std::int64_t>& mine = out.test_rows.emplace_back();
          for (const std::int64_t row : tasks_[t].rows[part])
            mine.push_back(std::lower_bound(numbers.begin(), numbers.end(), first_row(t) + row) - numbers.begin());
        }
      out.parts[part] = std::make_shared<MatrixDataset>(matrix_with_labels(part), std::move(numbers));
    }
    return out;
  }

 private:
  bool alone() const { return tables_.size() == 1; }
  std::int64_t first_row(std::size_t task) const {
    for (const Table& table : tables_)
      if (std::find(table.tasks.begin(), table.tasks.end(), task) != table.tasks.end()) return table.first;
    return 0;
  }

  void add_block(std::size_t task, std::size_t table) {
    const FeatureMatrix& mine = tasks_[task].matrix;
    const auto bytes = static_cast<std::size_t>(mine.rows * mine.features) * sizeof(T);
    for (const Block& other : blocks_) {
      const FeatureMatrix& theirs = tasks_[other.task].matrix;
      if (other.table == table && theirs.features == mine.features && std::memcmp(theirs.x, mine.x, bytes) == 0) return;
    }
    blocks_.push_back({task, table, features_});
    features_ += mine.features + (alone() ? 0 : 1);
  }

  void fill(const Block& block, std::size_t table) {
    const JointTask& from = tasks_[block.task];
    const JointTask& to = tasks_[tables_[table].tasks[0]];
    const auto width = static_cast<std::size_t>(from.matrix.features), columns = static_cast<std::size_t>(features_);
    T* out = x_->data() + static_cast<std::size_t>(tables_[table].first) * columns + static_cast<std::size_t>(block.first);
    if (table == block.table) {
      const T* x = static_cast<const T*>(from.matrix.x);
      for (std::size_t r = 0; r < static_cast<std::size_t>(from.matrix.rows); ++r) {
        std::copy_n(x + r * width, width, out + r * columns);
        if (!alone()) out[r * columns + width] = T(1);
      }
      return;
    }
    const auto [theirs, mine] = common_kind(from, to);
    const EntityIndex index = index_entities(from.entities[theirs], from.periods);
    const std::vector<double> means = entity_means({from.matrix, from.entities[theirs], from.periods}, index);
    const std::vector<std::int32_t> position = positions_before({to.entities[mine], to.periods}, index.keys());
    for (std::size_t r = 0; r < position.size(); ++r)
      for (std::size_t f = 0; position[r] >= 0 && f <= width; ++f)
        out[r * columns + f] = static_cast<T>(means[static_cast<std::size_t>(position[r]) * (width + 1) + f]);
  }

  /// The labels of a part alone: those of another part of one task are none for a row that two tasks share.
  FeatureMatrix matrix_with_labels(std::size_t part) const {
    const auto rows = static_cast<std::size_t>(rows_);
    const auto labels = std::make_shared<std::vector<T>>(rows * tasks_.size(), std::numeric_limits<T>::quiet_NaN());
    FeatureMatrix out{.rows = rows_, .features = features_, .x = x_->data(), .target = labels->data(), .dtype = dtype_of<T>};
    out.targets.clear();
    for (std::size_t t = 0; t < tasks_.size(); ++t) {
      out.targets.push_back("target." + tasks_[t].name);
      const T* from = static_cast<const T*>(tasks_[t].matrix.target);
      for (const std::int64_t row : tasks_[t].rows[part]) (*labels)[t * rows + static_cast<std::size_t>(first_row(t) + row)] = from[row];
    }
    struct Both {
      std::shared_ptr<std::vector<T>> x, labels;
    };
    out.owner = std::make_shared<Both>(Both{x_, labels});
    return out;
  }

  const std::vector<JointTask>& tasks_;
  std::vector<Table> tables_;
  std::vector<Block> blocks_;
  std::int64_t rows_ = 0, features_ = 0;
  std::shared_ptr<std::vector<T>> x_;
};

}  // namespace

std::string why_not_joint(const std::vector<JointTask>& tasks) {
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const FeatureMatrix& m = tasks[t].matrix;
    if (!m.x || !m.target) return "the feature matrix of task " + tasks[t].name + " lies in a file; raise data.memory";
    if (m.weight) return "task " + tasks[t].name + " weighs its rows, which a row of several tasks cannot do for each";
    if (m.dtype != tasks[0].matrix.dtype) return "tasks " + tasks[0].name + " and " + tasks[t].name + " have different element types";
    for (std::size_t other = 0; other < t; ++other)
      if (common_kind(tasks[t], tasks[other]).first == kNone)
        return "tasks " + tasks[other].name + " and " + tasks[t].name + " have no kind of entity in common, so nothing joins their tables";
  }
  return "";
}

JointRows join_rows(const std::vector<JointTask>& tasks) {
  return tasks[0].matrix.dtype == DType::f64 ? Joined<double>(tasks).parts() : Joined<float>(tasks).parts();
}

}  // namespace chorale
