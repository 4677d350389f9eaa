#include <chorale/launcher/collab/trial_data.hpp>

#include <set>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/core/io/content_hash.hpp>
#include <chorale/core/io/manifest.hpp>
#include <chorale/launcher/collab/study_metric.hpp>
#include <chorale/launcher/init_from.hpp>
#include <chorale/launcher/trained_run.hpp>

namespace chorale {

std::vector<std::uint64_t> TrialTask::test_entities() const {
  std::vector<std::uint64_t> out;
  for (const std::int64_t row : data.test->row_numbers()) {
    const auto number = static_cast<std::size_t>(row);
    const EntityId id = data.entities[0][number];
    out.push_back(id != kNoEntity ? id : mix(0x6E6F6E65u, number));
  }
  return out;
}

TrialData::TrialData(const CollabRecipe& recipe, Log& log) : recipe_(recipe) {
  ContentHash hash;
  const auto add = [&](const std::string& text) { hash.add(std::as_bytes(std::span(text))); };
  add(recipe.resolved());
  const auto self = make_self_communicator();
  for (std::size_t t = 0; t < recipe.tasks.size(); ++t) {
    const Settings& s = recipe.tasks[t]->settings;
    TaskInfo info{.name = recipe.sections[t]->name,
                  .role = parse_role(recipe.sections[t]->role),
                  .kinds = {},
                  .ranks = 1,
                  .weight = recipe.sections[t]->weight,
                  .folds = recipe.sections[t]->folds};
    check_init(s.train);
    if (WeightFile::is_meant(s.train.init_from))
      add(tensors_hash(SafetensorsFile(s.train.init_from).tensors()));
    else if (!s.train.init_from.empty())
      add(manifest_text(find_checkpoint(s.train.init_from, log).manifest()));
    const EntityRequest request = recipe.request(t);
    for (const EntityColumn& entity : request.columns) info.kinds.push_back(entity.kind);
    infos_.push_back(std::move(info));
    const std::string metric = s.train.metrics.empty() ? "loss" : s.train.metrics[0];
    check_study_metric(metric);
    tasks_.push_back(std::make_unique<TrialTask>(
        TrialTask{.data = prepare_data(s.data, s.train, *self, log, recipe.tasks[t]->registry, request), .metric = metric}));
    add(tasks_.back()->data.identity());
    if (tasks_.back()->data.test->rows() == 0)
      throw UsageError("task " + infos_[t].name + " has no test rows, which a study is about; give collab.split three shares");
  }
  identity_ = hash.text();
  find_disjoint_rows();
}

void TrialData::find_disjoint_rows() {
  for (std::size_t t = 0; t < size(); ++t) {
    std::set<EntityId> tested;
    for (std::size_t other = 0; other < size(); ++other) {
      if (other == t || !infos_[other].listens()) continue;
      for (const std::vector<EntityId>& ids : tasks_[other]->data.entities)
        for (const std::int64_t row : tasks_[other]->data.test->row_numbers()) tested.insert(ids[static_cast<std::size_t>(row)]);
    }
    tested.erase(kNoEntity);
    for (const std::int64_t row : tasks_[t]->data.train->row_numbers()) {
      bool meets = false;
      for (const std::vector<EntityId>& ids : tasks_[t]->data.entities)
        meets = meets || tested.contains(ids[static_cast<std::size_t>(row)]);
      if (!meets) tasks_[t]->disjoint_rows.push_back(row);
    }
  }
}

}  // namespace chorale
