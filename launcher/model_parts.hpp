// Model, loss and optimiser of a recipe.
#pragma once
#include <memory>

#include <chorale/core/base/registry.hpp>
#include <chorale/core/data/pipeline.hpp>
#include <chorale/core/loss/loss.hpp>
#include <chorale/core/nn/sequential.hpp>
#include <chorale/core/optim/optimizer.hpp>
#include <chorale/train/settings.hpp>

namespace chorale {

struct ModelParts {
  std::unique_ptr<Sequential> model;
  std::unique_ptr<Loss> loss;
  std::unique_ptr<Optimizer> optimizer;
};

/// Also tries the names of metrics and the form of early stopping, so that all are refused before a run directory is made. Throws
/// UsageError that names the key.
ModelParts build_parts(const Settings& settings, const Pipeline& pipeline, const Registry& registry);

}  // namespace chorale
