// data.representations: what tasks of a finished collaboration have published of each row's entity, as features of an ordinary model. A
// model is bound to the version of the rows that it was trained with.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/base/log.hpp>
#include <chorale/core/data/added_features.hpp>
#include <chorale/core/data/pipeline.hpp>
#include <chorale/train/collab/published_rows.hpp>

namespace chorale {

/// "RUN : KIND : COLUMN", or "RUN : KIND" where each row of the table is an entity. Empty text: nothing. Throws UsageError.
PublishedFeatures parse_representations(const std::string& text);
/// The same text with RUN made absolute.
std::string absolute_representations(const std::string& text, const std::string& base);

class Representations final : public AddedFeatures {
 public:
  /// For training. Collective; errors are equal on all ranks: UsageError where there is no such run or task, CheckpointError for damage.
  /// tasks: whose rows; empty: of all that publish.
  static std::shared_ptr<Representations> open(const std::string& text, const std::vector<std::string>& tasks, Communicator& comm,
                                               Log& log);
  /// For a model that was trained with `pinned`. Throws CheckpointError, with both versions, where the run is gone or holds other rows;
  /// missing = zeros: instead all are zeros, after a warning.
  static std::shared_ptr<Representations> open_pinned(const PublishedFeatures& pinned, const std::string& missing, Log& log);

  const PublishedFeatures& features() const { return features_; }
  /// By row of the table. Before fill().
  void set_entities(std::vector<std::uint64_t> entities) { entities_ = std::move(entities); }
  /// False: all are zeros.
  bool is_there() const { return rows_ != nullptr; }
  /// "buys has published of 3969 of 4000 rows' persons, ...".
  std::string coverage() const;
  /// Rows of whose entities no task has published.
  std::int64_t unseen() const;
  std::int64_t width() const override { return features_.count(); }
  /// Task after task: the vector, then 1, or zeros and 0 where there is none.
  void fill(std::int64_t row, float* out) const override;

 private:
  explicit Representations(PublishedFeatures features) : features_(std::move(features)) {}
  void read(const std::string& folder);
  PublishedFeatures features_;
  std::unique_ptr<PublishedRows> rows_;  // null: all are zeros
  std::vector<std::uint64_t> entities_;
};

}  // namespace chorale
