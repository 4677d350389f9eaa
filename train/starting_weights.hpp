// Transfer of weights: a new model starts with those of a trained one, by name and shape. The first layer goes by the names of features:
// its columns belong to columns and categories of a table, whatever their number and order.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <chorale/core/data/pipeline.hpp>
#include <chorale/core/io/named_tensor.hpp>
#include <chorale/core/nn/flat_params.hpp>

namespace chorale {

/// What a trained run offers. The tensors' memory outlives whoever reads it.
struct WeightSource {
  std::string where;  // what messages call it
  std::vector<NamedTensor> tensors;
  Pipeline pipeline;
};

/// What became of one parameter of the new model, or of one tensor of the source that the new model has no place for.
struct TransferLine {
  enum class Outcome : std::uint8_t { loaded, mapped, not_loaded, unused } outcome = Outcome::loaded;
  std::string name, why;  // why: empty where loaded as it was
};

/// Read-only once made; the same on all ranks.
class StartingWeights {
 public:
  /// further_features: of the new model's, behind those of the pipeline; the source knows none of them. only: patterns of ParameterNames,
  /// over the new model's names; empty: all. Throws UsageError with the names of both sides where nothing can be loaded, and for a pattern
  /// that means nothing.
  StartingWeights(const Module& model, DType dtype, const Pipeline& pipeline, WeightSource source, const std::vector<std::string>& only,
                  std::int64_t further_features = 0);
  /// Over what was drawn: features that the source does not know keep that.
  void write(const FlatParams& params) const;
  const std::vector<TransferLine>& lines() const { return lines_; }
  std::int64_t loaded() const { return static_cast<std::int64_t>(copies_.size()); }
  /// Words for the log: what was loaded, what was not and why; what the two tables encode otherwise.
  std::string text() const;
  /// Known features that both tables have, encoded with another mean, scale or border.
  const std::vector<std::string>& encoded_otherwise() const { return encoded_otherwise_; }
  const std::string& where() const { return source_.where; }

 private:
  struct Copy {
    NamedTensor from;
    std::vector<std::int64_t>
        columns;  // by column of the new weight: that of the source, -1: it keeps what was drawn; empty: all as they are
  };
  void compare_features(const Pipeline& pipeline, std::int64_t further);
  std::string plan(const std::string& name, const Shape& shape, DType dtype, bool reads_features);

  WeightSource source_;
  std::vector<std::int64_t> columns_;  // of features, as Copy's
  std::vector<std::string> unknown_, encoded_otherwise_;
  std::vector<Copy> copies_;
  std::vector<TransferLine> lines_;
};

}  // namespace chorale
