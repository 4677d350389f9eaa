// The classical answer to several tasks: their rows in one table, for one model in one process. A row has the labels of the tasks that it
// is a row of, and the others are missing.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/data/matrix_dataset.hpp>
#include <chorale/train/collab/entity.hpp>

namespace chorale {

/// One task's table as it was encoded for its own model.
struct JointTask {
  std::string name;
  FeatureMatrix matrix;
  std::vector<std::string> kinds;                     // of entities
  std::vector<std::vector<EntityId>> entities;        // by kind, by row
  std::vector<std::int32_t> periods = {};             // by row; empty: without time
  std::array<std::span<const std::int64_t>, 3> rows;  // of the training, validation and test part
};

/// The three parts of the joint table, with fields "x" and "target.NAME" of each task, and where each task's test rows lie in the last.
struct JointRows {
  std::array<std::shared_ptr<const MatrixDataset>, 3> parts;
  std::vector<std::vector<std::int64_t>> test_rows;  // by task, in the order of its own test part: rows of parts[2]
  std::int64_t features = 0;
  std::vector<std::vector<std::size_t>> tables;  // that stand one below the other: the tasks of each
};

/// Why these tasks cannot be joined; empty: they can.
std::string why_not_joint(const std::vector<JointTask>& tasks);

/// Tasks whose tables have the same entities row by row share their rows, and equal features stand there once. The rows of other tables
/// come below; their features are the mean of the rows about the row's entity, as pool_features has it, with a column that says whether
/// there is any.
JointRows join_rows(const std::vector<JointTask>& tasks);

}  // namespace chorale
