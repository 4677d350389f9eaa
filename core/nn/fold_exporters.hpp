// Publishing out of fold: entities fall into folds, and the vector of an entity is made by a model that no label of its fold has trained
// (cross-fitting; Chernozhukov et al., Econometrics Journal 2018). For each kind of entity and each fold there is a model of its own, which
// starts with the same numbers as the task's: their vectors stay comparable.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <chorale/core/nn/fused_model.hpp>

namespace chorale {

struct FoldOptions {
  std::int64_t kinds = 1, folds = 5;
  std::int64_t width = 8;        // as FusionOptions
  bool exports_features = true;  // the same
};

/// Trains beside a FusedModel. Reads "x" [B, ...] and "folds" [B, kinds], the fold of the row's entity of each kind, -1 where it has none.
/// Gives for each kind k and fold f "fold_y.k.f" and "fold_entity_y.k.f" [B, C], which are 0, and without a gradient, in rows of the fold;
/// and "fold_entity" [B, kinds * width]: by kind the vector of the model that has not seen the row's fold. Without "folds", nothing: such
/// rows train no exporter.
class FoldExporters final : public Module {
 public:
  /// own: makes the task's layers, once for each model. in: shape of a row of "x". Throws UsageError as FusedModel does.
  FoldExporters(const std::function<std::unique_ptr<Sequential>()>& own, const Shape& in, const FoldOptions& options);
  Values forward(const Values& in, const Pass& pass) override;
  /// "fold_entity" alone, without a graph. folds: [B, kinds].
  Tensor entity(const Variable& x, const Tensor& folds, const Pass& pass);
  std::string name() const override { return "fold exporters"; }
  const FoldOptions& options() const { return options_; }
  /// "fold_y.0.3".
  static std::string result(const std::string& what, std::int64_t kind, std::int64_t fold);

 private:
  FusedModel& model(std::int64_t kind, std::int64_t fold) { return *models_[static_cast<std::size_t>(kind * options_.folds + fold)]; }
  FoldOptions options_;
  std::vector<std::unique_ptr<FusedModel>> models_;  // by kind, by fold
};

}  // namespace chorale
