// Model, loss and optimiser of a recipe.
#pragma once
#include <memory>

#include <chorale/core/base/registry.hpp>
#include <chorale/core/data/pipeline.hpp>
#include <chorale/core/loss/loss.hpp>
#include <chorale/core/nn/multi_task.hpp>
#include <chorale/core/nn/sequential.hpp>
#include <chorale/core/optim/optimizer.hpp>
#include <chorale/train/settings.hpp>

namespace chorale {

/// Of layers one after the other for one target, be they given one by one or by the name of a model, or of several tasks for several.
struct AnyModel {
  std::unique_ptr<Module> module;
  Sequential* layers = nullptr;     // the module, where it is one, or its own layers
  MultiTask* multi_task = nullptr;  // the same
};

struct ModelParts {
  AnyModel model;
  std::unique_ptr<Objective> loss;
  std::unique_ptr<Optimizer> optimizer;
};

/// Of a recipe with one target.
struct LayerParts {
  std::unique_ptr<Sequential> model;
  std::unique_ptr<Loss> loss;
  std::unique_ptr<Optimizer> optimizer;
};

/// Throws UsageError for a kind that does not fit the number of targets, and for keys that the kind has no use for.
AnyModel build_model(const ModelOptions& options, const TrainOptions& train, const Pipeline& pipeline, const Registry& registry);

/// Results a row, by target.
std::vector<std::int64_t> outputs_of(const AnyModel& model, const Pipeline& pipeline);

/// Also tries the names of metrics and the form of early stopping, so that all are refused before a run directory is made. Throws
/// UsageError that names the key.
ModelParts build_parts(const Settings& settings, const Pipeline& pipeline, const Registry& registry);
/// The same for whoever needs one target and its layers. Throws UsageError for another recipe.
LayerParts build_layer_parts(const Settings& settings, const Pipeline& pipeline, const Registry& registry);

}  // namespace chorale
