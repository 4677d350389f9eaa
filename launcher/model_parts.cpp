#include <chorale/launcher/model_parts.hpp>

#include <functional>
#include <string_view>

#include <chorale/core/base/error.hpp>
#include <chorale/core/metrics/metric.hpp>
#include <chorale/core/nn/resnet.hpp>
#include <chorale/core/nn/sequence_model.hpp>
#include <chorale/train/early_stopping.hpp>
#include <chorale/train/evaluator.hpp>
#include <chorale/train/trainer.hpp>

namespace chorale {

namespace {

/// Names the key that a wrong value belongs to, where the message itself does not.
void of_key(const std::string& key, const std::function<void()>& use) {
  try {
    use();
  } catch (const UsageError& e) {
    if (std::string_view(e.what()).find(key) != std::string_view::npos) throw;
    throw UsageError(key + ": " + e.what());
  }
}

}  // namespace

namespace {

bool is_of_several(const std::string& kind, const Registry& registry) { return registry.of<MultiTaskEntry>().contains(kind); }

void refuse_idle(const ModelOptions& o, bool is_of_several) {
  const ModelOptions plain;
  const auto refuse = [&](const std::string& key, const std::string& remedy) {
    throw UsageError("model." + key + " does nothing with model.kind = " + o.kind + "; " + remedy);
  };
  const std::string several = "remove it, or use shared_bottom, mmoe or ple with several targets";
  const auto read_by = [&](const std::string& kinds, const std::vector<std::pair<std::string, bool>>& given) {
    for (const auto& [key, is_given] : given)
      if (is_given && o.kind != kinds) refuse(key, "remove it, or use " + kinds);
  };
  read_by("resnet", {{"widths", o.widths != plain.widths}, {"blocks", o.blocks != plain.blocks}});
  read_by("transformer", {{"depth", o.depth != plain.depth},
                          {"heads", o.heads != plain.heads},
                          {"width", o.width != plain.width},
                          {"feed_forward", o.feed_forward != plain.feed_forward},
                          {"dropout", o.dropout != plain.dropout},
                          {"norm", o.norm != plain.norm},
                          {"activation", o.activation != plain.activation},
                          {"positions", o.positions != plain.positions},
                          {"causal", o.causal != plain.causal},
                          {"tied", o.tied != plain.tied}});
  if (o.kind == "resnet" && !o.layers.empty()) refuse("layers", "write model.widths and model.blocks, or use layers");
  if (o.kind == "transformer" && !o.layers.empty())
    refuse("layers", "remove it, or use model.kind = layers with embedding and transformer_block among them");
  if (is_of_several) {
    if (!o.layers.empty()) refuse("layers", "write model.expert_layers and model.tower_layers");
  } else {
    if (!o.expert_layers.empty()) refuse("expert_layers", several);
    if (!o.tower_layers.empty()) refuse("tower_layers", several);
  }
  if (o.experts != plain.experts && o.kind != "mmoe" && o.kind != "ple") refuse("experts", "remove it, or use mmoe or ple");
  if (o.task_experts != plain.task_experts && o.kind != "ple") refuse("task_experts", "remove it, or use ple");
  if (o.levels != plain.levels && o.kind != "ple") refuse("levels", "remove it, or use ple");
}

std::int64_t outputs_of(const FittedTarget& target) {
  return target.kind == TargetKind::classes ? static_cast<std::int64_t>(target.classes.size()) : 1;
}

void check_scores(const TrainOptions& train, const std::vector<LossTask>& tasks, const std::vector<std::int64_t>& outputs,
                  const Registry& registry) {
  const auto check = [&](const std::vector<std::string>& words) {
    const std::vector<std::vector<std::string>> names = metrics_by_task(words, tasks, registry);
    for (std::size_t t = 0; t < tasks.size(); ++t) make_metrics(names[t], outputs[t], metric_task(tasks[t].loss->task()), registry);
  };
  of_key("train.metrics", [&] { check(train.metrics); });
  of_key("train.early_stop", [&] {
    if (const EarlyStopping early(train.early_stop, registry); early.active()) check({early.metric()});
  });
}

}  // namespace

namespace {

std::int64_t results_a_row(const Sequential& layers, const Pipeline& pipeline) {
  const Shape out = layers.output_shape(pipeline.row_shape());
  return pipeline.tokens.is_there() ? out[-1] : out.elements();
}

/// Of layers that read tokens.
void check_places(const Sequential& layers, const Pipeline& pipeline) {
  if (!pipeline.tokens.is_there()) return;
  const Shape out = layers.output_shape(pipeline.row_shape());
  if (out.rank() != 2 || out[0] != pipeline.tokens.context)
    throw UsageError("model.layers gives " + out.text() + " for a row of " + std::to_string(pipeline.tokens.context) +
                     " tokens, expected logits for each, [" + std::to_string(pipeline.tokens.context) + ", " +
                     std::to_string(outputs_of(pipeline.targets.at(0))) + "]");
}

std::unique_ptr<Sequential> build_sequence_model(const ModelOptions& o, const Pipeline& pipeline, const Registry& registry) {
  if (!pipeline.tokens.is_there()) throw UsageError("model.kind = " + o.kind + " reads tokens; use data.format = text, or another kind");
  return registry.of<SequenceModelEntry>()
      .at(o.kind, "model.kind")
      .make({.tokens = pipeline.tokens.tokeniser().size(),
             .context = pipeline.tokens.context,
             .outputs = outputs_of(pipeline.targets.at(0)),
             .depth = o.depth,
             .heads = o.heads,
             .width = o.width,
             .feed_forward = o.feed_forward,
             .dropout = o.dropout,
             .norm = o.norm,
             .activation = o.activation,
             .positions = o.positions,
             .is_causal = o.causal,
             .is_tied = o.tied});
}

/// One number a class; others are found out by the loss and the scores.
void check_classes(const Sequential& layers, const Pipeline& pipeline) {
  const FittedTarget& target = pipeline.targets.at(0);
  const std::int64_t outputs = results_a_row(layers, pipeline);
  if (target.kind == TargetKind::classes && outputs != outputs_of(target))
    throw UsageError("model.layers gives " + std::to_string(outputs) + " numbers, the target has " + std::to_string(outputs_of(target)) +
                     (pipeline.tokens.is_there() ? " tokens" : " classes") + "; end it with linear(" + std::to_string(outputs_of(target)) +
                     ")");
}

/// A model of one target.
std::unique_ptr<Sequential> build_single(const ModelOptions& o, const Pipeline& pipeline, const Registry& registry) {
  if (o.kind == "layers") return build_layers(o.layers, pipeline.row_shape(), registry);
  if (o.kind != "resnet") return build_sequence_model(o, pipeline, registry);
  const ResNetOptions resnet = {.widths = parse_widths(o.widths), .blocks = o.blocks};
  return build_layers(resnet_layers(resnet, pipeline.row_shape(), outputs_of(pipeline.targets[0])), pipeline.row_shape(), registry);
}

}  // namespace

AnyModel build_model(const ModelOptions& o, const TrainOptions& train, const Pipeline& pipeline, const Registry& registry) {
  refuse_idle(o, is_of_several(o.kind, registry));
  AnyModel out;
  if (!is_of_several(o.kind, registry)) {
    if (pipeline.targets.size() != 1)
      throw UsageError("data.target has " + std::to_string(pipeline.targets.size()) + " targets, which model.kind = " + o.kind +
                       " cannot learn together; use shared_bottom, mmoe or ple");
    std::unique_ptr<Sequential> layers = build_single(o, pipeline, registry);
    check_places(*layers, pipeline);
    check_classes(*layers, pipeline);
    out.layers = layers.get();
    out.module = std::move(layers);
    return out;
  }
  MultiTaskOptions m{.tasks = {},
                     .expert_layers = o.expert_layers,
                     .tower_layers = o.tower_layers,
                     .experts = o.experts,
                     .task_experts = o.task_experts,
                     .levels = o.levels,
                     .learns_weights = learns_task_weights(train)};
  for (const FittedTarget& target : pipeline.targets) m.tasks.push_back({target.name, outputs_of(target)});
  std::unique_ptr<MultiTask> model = registry.of<MultiTaskEntry>().at(o.kind, "model.kind").make(m, pipeline.features(), registry);
  out.multi_task = model.get();
  out.module = std::move(model);
  return out;
}

std::vector<std::int64_t> outputs_of(const AnyModel& model, const Pipeline& pipeline) {
  if (model.layers) return {results_a_row(*model.layers, pipeline)};
  std::vector<std::int64_t> out;
  for (const FittedTarget& target : pipeline.targets) out.push_back(outputs_of(target));
  return out;
}

ModelParts build_parts(const Settings& s, const Pipeline& pipeline, const Registry& registry) {
  ModelParts out;
  of_key(s.model.kind == "layers" ? "model.layers" : "model.kind", [&] { out.model = build_model(s.model, s.train, pipeline, registry); });
  out.loss = make_objective(s.train, pipeline.targets, registry);
  out.optimizer = make_optimizer(s.optimizer, registry);
  check_scores(s.train, out.loss->tasks(), outputs_of(out.model, pipeline), registry);
  return out;
}

LayerParts build_layer_parts(const Settings& s, const Pipeline& pipeline, const Registry& registry) {
  if (s.model.kind != "layers" || pipeline.targets.size() != 1)
    throw UsageError("a task that shares has one target and model.kind = layers; for several targets in one process use chorale train");
  refuse_idle(s.model, false);
  LayerParts out;
  of_key("model.layers", [&] {
    out.model = build_layers(s.model.layers, pipeline.row_shape(), registry);
    check_classes(*out.model, pipeline);
  });
  out.loss = make_target_loss(s.train, pipeline.targets, 0, registry);
  out.optimizer = make_optimizer(s.optimizer, registry);
  check_scores(s.train, out.loss->tasks(), {out.model->output_shape(pipeline.row_shape()).elements()}, registry);
  return out;
}

}  // namespace chorale
