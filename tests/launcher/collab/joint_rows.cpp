// Rows of several tasks in one table: which rows and features they share, whose labels stand where, what cannot be joined.
#include <catch2/catch.hpp>

#include <cmath>

#include <chorale/launcher/collab/joint_rows.hpp>
#include <chorale/launcher/collab/joint_trial.hpp>

using namespace chorale;

namespace {

/// A table of given rows with one feature each and the label `label + row`.
struct Made {
  Made(std::string name, std::vector<float> x, float label, std::vector<EntityId> entity, std::vector<std::int64_t> train,
       std::vector<std::int64_t> test)
      : features(std::move(x)), ids(std::move(entity)), train_rows(std::move(train)), test_rows(std::move(test)) {
    for (std::size_t r = 0; r < features.size(); ++r) labels.push_back(label + static_cast<float>(r));
    task.name = std::move(name), task.kinds = {"person"}, task.entities = {ids};
    task.matrix = {.rows = static_cast<std::int64_t>(features.size()), .features = 1, .x = features.data(), .target = labels.data()};
    task.rows = {train_rows, {}, test_rows};
  }
  Made(const Made&) = delete;
  std::vector<float> features, labels;
  std::vector<EntityId> ids;
  std::vector<std::int64_t> train_rows, test_rows;
  JointTask task;
};

std::vector<float> field(const MatrixDataset& rows, const std::string& name) {
  for (std::size_t f = 0; f < rows.fields().size(); ++f) {
    if (rows.fields()[f].name != name) continue;
    std::vector<std::int64_t> all;
    for (std::int64_t r = 0; r < rows.rows(); ++r) all.push_back(r);
    std::vector<float> out(static_cast<std::size_t>(rows.rows() * rows.fields()[f].row_shape.elements()));
    rows.gather(static_cast<int>(f), all, out.data());
    return out;
  }
  return {};
}

}  // namespace

TEST_CASE("tasks over the same rows share them, equal features stand there once, labels keep to their part") {
  const std::vector<EntityId> ids = {11, 12, 13, 14};
  Made a("a", {1, 2, 3, 4}, 10, ids, {0, 1}, {3}), b("b", {1, 2, 3, 4}, 20, ids, {1, 2}, {3, 0}), c("c", {5, 6, 7, 8}, 30, ids, {2}, {0});
  const JointRows joint = join_rows({a.task, b.task, c.task});
  CHECK(joint.features == 2);
  CHECK(joint.tables == std::vector<std::vector<std::size_t>>{{0, 1, 2}});
  const MatrixDataset& train = *joint.parts[0];
  CHECK(train.rows() == 3);  // 0, 1, 2
  CHECK(field(train, "x") == std::vector<float>{1, 5, 2, 6, 3, 7});
  const std::vector<float> of_a = field(train, "target.a"), of_b = field(train, "target.b");
  CHECK((of_a[0] == 10 && of_a[1] == 11 && std::isnan(of_a[2])));
  CHECK((std::isnan(of_b[0]) && of_b[1] == 21 && of_b[2] == 22));
  const MatrixDataset& test = *joint.parts[2];  // rows 0 and 3
  CHECK(joint.test_rows == std::vector<std::vector<std::int64_t>>{{1}, {1, 0}, {0}});
  CHECK((std::isnan(field(test, "target.a")[0]) && field(test, "target.a")[1] == 13));
}

TEST_CASE("other tables come below, with the mean of the rows about the entity and whether there is one") {
  Made a("a", {1, 2}, 10, {7, 8}, {0, 1}, {1}), visits("visits", {4, 6, 100}, 20, {7, 7, 9}, {0, 1, 2}, {2});
  const JointRows joint = join_rows({a.task, visits.task});
  CHECK(joint.features == 4);
  CHECK(joint.tables.size() == 2);
  CHECK(field(*joint.parts[0], "x") == std::vector<float>{1, 1, 5,   1,  //
                                                          2, 1, 0,   0,  // 8 has no visit
                                                          1, 1, 4,   1,  //
                                                          1, 1, 6,   1,  //
                                                          0, 0, 100, 1});
  const std::vector<float> labels = field(*joint.parts[0], "target.visits");
  CHECK((std::isnan(labels[0]) && labels[2] == 20 && labels[4] == 22));
}

TEST_CASE("what cannot be joined is told, and so is what has nothing to share") {
  Made a("a", {1, 2}, 10, {7, 8}, {0, 1}, {1}), b("b", {1, 2, 3}, 20, {7, 8, 9}, {0, 1}, {1});
  CHECK(why_not_joint({a.task, b.task}).empty());
  b.task.kinds = {"parcel"};
  CHECK_THAT(why_not_joint({a.task, b.task}), Catch::Contains("no kind of entity in common"));
  b.task.kinds = {"person"}, b.task.matrix.weight = b.labels.data();
  CHECK_THAT(why_not_joint({a.task, b.task}), Catch::Contains("task b weighs its rows"));
  b.task.matrix.weight = nullptr, b.task.matrix.x = nullptr;
  CHECK_THAT(why_not_joint({a.task, b.task}), Catch::Contains("raise data.memory"));
  CHECK(hidden_layers("linear(64) relu linear(1)") == "linear(64) relu");
  CHECK(hidden_layers("linear(1)").empty());
  CHECK(hidden_layers("linear(4) relu").empty());
  CHECK(hidden_layers("relu").empty());
}
