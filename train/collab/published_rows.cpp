#include <chorale/train/collab/published_rows.hpp>

#include <algorithm>

#include <chorale/core/base/error.hpp>
#include <chorale/train/collab/store_table.hpp>

namespace chorale {

namespace {

std::vector<Publisher> publishers_in(const SafetensorsFile& file) {
  std::vector<Publisher> out;
  for (const NamedTensor& t : file.tensors()) {
    if (!t.name.ends_with(".rows")) continue;
    Publisher publisher{.task = t.name.substr(0, t.name.size() - 5), .ids = {}};
    const NamedTensor* ids = file.find(publisher.task + ".ids");
    if (!ids || ids->dtype != DType::i64 || t.shape.rank() != 2 || ids->shape != Shape({t.shape[0]}))
      throw CheckpointError(file.path().string() + ": does not say whose rows those of " + publisher.task +
                            " are; it was written by an older program, resume the collaboration with this one");
    if (file.find(publisher.task + ".periods"))
      publisher.periods = values_of<std::int32_t>(file, publisher.task + ".periods", ids->shape.elements());
    const auto* first = static_cast<const EntityId*>(ids->data);
    publisher.ids.assign(first, first + ids->shape.elements());
    out.push_back(std::move(publisher));
  }
  if (out.empty()) throw CheckpointError(file.path().string() + ": holds no rows of any task");
  return out;
}

std::int64_t width_in(const SafetensorsFile& file) {
  for (const NamedTensor& t : file.tensors())
    if (t.name.ends_with(".rows")) return t.shape[1];
  return 0;
}

std::string state_text(const SafetensorsFile& file) {
  const auto it = file.metadata().find("state");
  if (it == file.metadata().end()) throw CheckpointError(file.path().string() + " says no state");
  return it->second;
}

}  // namespace

PublishedRows::PublishedRows(const SafetensorsFile& file, StoreOptions options, bool is_final) : comm_(make_self_communicator()) {
  std::vector<Publisher> publishers = publishers_in(file);
  options.width = width_in(file);
  store_ = std::make_unique<ReplicatedStore>(*comm_, std::move(publishers), options);
  store_->restore(file, state_text(file));
  if (is_final) store_->complete();
  state_ = store_->state();
}

int PublishedRows::number_of(const std::string& task) const {
  const std::vector<std::string>& all = store_->tasks();
  const auto it = std::find(all.begin(), all.end(), task);
  return it == all.end() ? -1 : static_cast<int>(it - all.begin());
}

std::vector<std::string> PublishedRows::tasks() const { return store_->tasks(); }

std::int64_t PublishedRows::entities(const std::string& task) const {
  return static_cast<std::int64_t>(store_->publisher(number_of(task)).ids.size());
}

std::string PublishedRows::hash(const std::vector<std::string>& tasks) const {
  std::vector<NamedTensor> of;
  for (const NamedTensor& t : state_)
    for (const std::string& task : tasks)
      if (t.name.starts_with(task + ".") && !t.name.ends_with(".posted")) of.push_back(t);
  return tensors_hash(of);
}

bool PublishedRows::has_time() const { return !store_->publisher(0).periods.empty(); }

bool PublishedRows::fetch(const std::string& task, EntityId entity, float* out, std::int32_t period) const {
  const int p = number_of(task);
  if (p < 0) {
    std::fill_n(out, width(), 0.0f);
    return false;
  }
  return store_->fetch(p, entity == kNoEntity ? -1 : position_before(store_->publisher(p).keys(), entity, period), out);
}

}  // namespace chorale
