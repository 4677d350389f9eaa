#include <chorale/launcher/model_parts.hpp>

#include <functional>
#include <string_view>

#include <chorale/core/base/error.hpp>
#include <chorale/core/metrics/metric.hpp>
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

ModelParts build_parts(const Settings& s, const Pipeline& pipeline, const Registry& registry) {
  ModelParts out;
  of_key("model.layers", [&] { out.model = build_layers(s.model.layers, {pipeline.features()}, registry); });
  out.loss = make_loss(s.train, pipeline.class_rows, registry);
  out.optimizer = make_optimizer(s.optimizer, registry);
  const std::int64_t outputs = out.model->output_shape({pipeline.features()}).elements();
  of_key("train.metrics", [&] { make_metrics(s.train.metrics, outputs, metric_task(out.loss->task()), registry); });
  of_key("train.early_stop", [&] { EarlyStopping(s.train.early_stop, registry); });
  return out;
}

}  // namespace chorale
