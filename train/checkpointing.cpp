#include <chorale/train/checkpointing.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include <chorale/comm/rank_watch.hpp>
#include <chorale/train/shared_verification.hpp>

namespace chorale {

namespace {

std::string exact(double value) {  // JSON has neither NaN nor all bits
  char text[48];
  std::snprintf(text, sizeof text, "%a", value);
  return text;
}

double number(const nlohmann::json& text) { return std::strtod(text.get_ref<const std::string&>().c_str(), nullptr); }

/// The part of a tensor of the file that lies in this writer's part of `values`.
void copy_part(Buffer values, Writers writers, const NamedTensor& wanted, const NamedTensor& found) {
  const Share part = share_of(values.elements, writers.place, writers.count);
  const Buffer mine = values.part(part.first, part.count);
  const auto *first = mine.as<const std::byte>(), *last = first + mine.bytes();
  const auto* begin = static_cast<const std::byte*>(wanted.data);
  const std::byte *from = std::max(first, begin), *to = std::min(last, begin + wanted.bytes());
  if (from < to)
    std::memcpy(const_cast<std::byte*>(from), static_cast<const std::byte*>(found.data) + (from - begin),
                static_cast<std::size_t>(to - from));
}

}  // namespace

std::vector<NamedTensor> named_parameters(const FlatParams& params, Buffer values, const std::string& prefix) {
  std::vector<NamedTensor> out;
  for (const FlatParams::Entry& e : params.entries())
    out.push_back({prefix + e.name, params.dtype(), e.parameter->shape(), values.part(e.first, e.count).data});
  return out;
}

Checkpointing::Checkpointing(Parts parts) : parts_(std::move(parts)), saves_(parts_.save) {}

std::vector<NamedTensor> Checkpointing::tensors_of_state(std::size_t state) const {
  std::vector<NamedTensor> out;
  for (const FlatParams::Entry& e : parts_.params.entries())
    if (e.parameter->segment() == Segment::trainable)
      out.push_back({parts_.optimizer.state_names()[state] + "." + e.name, parts_.params.dtype(), e.parameter->shape(),
                     parts_.optimizer.state()[state].part(e.first, e.count).data});
  return out;
}

std::vector<NamedTensor> Checkpointing::optimizer_tensors() const {
  std::vector<NamedTensor> out;
  for (std::size_t s = 0; s < parts_.optimizer.state().size(); ++s)
    if (static_cast<std::ptrdiff_t>(s) != parts_.optimizer.average())
      for (NamedTensor& tensor : tensors_of_state(s)) out.push_back(std::move(tensor));
  for (const OwnTensor& own : parts_.optimizer.own_tensors())
    out.push_back({own.name, parts_.params.dtype(), own.shape, parts_.optimizer.own_state().part(own.first, own.shape.elements()).data});
  return out;
}

std::vector<NamedTensor> Checkpointing::average_tensors() const {
  const std::ptrdiff_t average = parts_.optimizer.average();
  return average < 0 ? std::vector<NamedTensor>() : tensors_of_state(static_cast<std::size_t>(average));
}

void Checkpointing::read_state(const std::vector<NamedTensor>& wanted, const SafetensorsFile& file, Writers writers) const {
  for (const NamedTensor& t : wanted) {
    const NamedTensor& found = file.at(t.name);
    if (found.shape != t.shape || found.dtype != t.dtype)
      throw CheckpointError(file.path().string() + ": optimiser state " + t.name + " has another shape or type");
    for (const Buffer& values : parts_.optimizer.state()) copy_part(values, writers, t, found);  // it lies in one of them
    copy_part(parts_.optimizer.own_state(), {}, t, found);
  }
}

std::string Checkpointing::fields(const RunPosition& position) const {
  nlohmann::json j;
  j["virtual_workers"] = position.virtual_workers;
  j["world_size"] = parts_.comm.size();
  j["identity"] = position.identity;
  j["exchange"] = position.exchange;
  j["evaluation_missed"] = position.evaluation_missed;
  j["on_nan"] = {{"lr_factor", exact(position.lr_factor)}, {"skipped_steps", position.skipped_steps}, {"rollbacks", position.rollbacks}};
  j["epoch_loss"] = {exact(position.epoch_loss), exact(position.epoch_weight)};
  j["early_stopping"] = {{"metric", parts_.early.metric()},
                         {"best", exact(parts_.early.best)},
                         {"best_step", parts_.early.best_step},
                         {"without_improvement", parts_.early.without_improvement()}};
  const RateSchedule::Plateau& p = position.plateau;
  j["schedule"] = {{"steps", position.schedule_steps},
                   {"level", exact(p.level)},
                   {"best", exact(p.best)},
                   {"best_step", p.best_step},
                   {"without_improvement", p.without_improvement}};
  if (!position.pinned.empty()) j["pinned"] = nlohmann::json::parse(position.pinned);
  return j.dump();
}

std::vector<NamedTensor> Checkpointing::carried_tensors(const Carried& carried) const {
  std::vector<NamedTensor> out;
  for (const FlatParams::Entry& e : parts_.params.entries())
    if (e.parameter->segment() == Segment::trainable)
      out.push_back({"exchange." + carried.name + "." + e.name, carried.values.dtype, e.parameter->shape(),
                     carried.values.part(e.first, e.count).data});
  return out;
}

SaveFiles Checkpointing::files(const std::vector<Carried>& carried, bool with_best) const {
  std::vector<NamedTensor> state = with_best ? named_parameters(parts_.params, parts_.best, "best.") : std::vector<NamedTensor>{};
  for (const Carried& each : carried)
    for (NamedTensor& tensor : carried_tensors(each)) state.push_back(std::move(tensor));
  for (NamedTensor& tensor : average_tensors()) state.push_back(std::move(tensor));
  SaveFiles out;
  out.push_back({"model.safetensors", SafetensorsImage(named_parameters(parts_.params, parts_.params.values()))});
  out.push_back({"optimizer.safetensors", SafetensorsImage(optimizer_tensors())});
  out.push_back({"state.safetensors", SafetensorsImage(state)});
  return out;
}

std::vector<LiveMemory> Checkpointing::live(const Kept& kept) const {
  std::vector<LiveMemory> out = {{parts_.params.values(), kept.is_private}};
  for (const Buffer& state : parts_.optimizer.state()) out.push_back({state, kept.is_private, kept.held});
  if (const Buffer own = parts_.optimizer.own_state(); own.elements > 0) out.push_back({own, true});
  for (const Carried& each : kept.carried) out.push_back({each.values, each.is_private, kept.held});
  if (parts_.best.elements > 0) out.push_back({parts_.best, false});
  return out;
}

bool Checkpointing::start(const RunPosition& position, const Kept& kept, const std::function<void()>& gather) {
  const bool has_best = parts_.best.elements > 0 && parts_.early.best_step > 0;
  return saves_.start({.step = position.step, .fields = fields(position), .score = position.score, .files = {}},
                      files(kept.carried, has_best), live(kept), gather);
}

void Checkpointing::read_into(Buffer values, Writers writers, const SafetensorsFile& file, const std::string& prefix) const {
  for (const NamedTensor& wanted : named_parameters(parts_.params, values, prefix)) {
    const NamedTensor& found = file.at(wanted.name);
    if (found.shape != wanted.shape || found.dtype != wanted.dtype)
      throw CheckpointError(file.path().string() + ": " + wanted.name + " is " + std::string(name(found.dtype)) + " " + found.shape.text() +
                            ", the model has " + std::string(name(wanted.dtype)) + " " + wanted.shape.text());
    copy_part(values, writers, wanted, found);
  }
}

std::optional<RunPosition> Checkpointing::restore(Log& log, Fillers fillers, const std::function<std::string(const RunPosition&)>& refuse) {
  restored_ = newest_valid_together(parts_.comm, parts_.save.folder, log);
  if (!restored_) return std::nullopt;
  const Checkpoint& checkpoint = *restored_;
  std::string refused;
  RunPosition position;
  const std::string trouble = first_complaint(
      parts_.comm, complaint_of([&] {
        const auto j = nlohmann::json::parse(checkpoint.manifest().fields);
        position.step = checkpoint.manifest().step;
        position.virtual_workers = j.at("virtual_workers");
        position.identity = j.at("identity").get<std::map<std::string, std::string>>();
        position.exchange = j.value("exchange", "");
        if (refuse) refused = refuse(position);
        if (!refused.empty()) return;
        position.evaluation_missed = j.at("evaluation_missed");
        position.epoch_loss = number(j.at("epoch_loss").at(0)), position.epoch_weight = number(j.at("epoch_loss").at(1));
        if (j.contains("on_nan")) {
          const auto& nan = j.at("on_nan");
          position.lr_factor = number(nan.at("lr_factor"));
          position.skipped_steps = nan.at("skipped_steps"), position.rollbacks = nan.at("rollbacks");
        }
        if (j.contains("schedule")) {
          const auto& schedule = j.at("schedule");
          position.schedule_steps = schedule.at("steps");
          position.plateau = {number(schedule.at("level")), number(schedule.at("best")), schedule.at("best_step"),
                              schedule.at("without_improvement")};
        }
        const auto& early = j.at("early_stopping");
        if (early.at("metric") == parts_.early.metric())  // another score starts anew
          parts_.early.restore(number(early.at("best")), early.at("best_step"), early.at("without_improvement"));
        const SafetensorsFile model = checkpoint.tensors("model.safetensors"), state = checkpoint.tensors("optimizer.safetensors");
        read_into(parts_.params.values(), fillers.values, model, "");
        parts_.comm.watch().at("restore:read");
        read_state(optimizer_tensors(), state, fillers.state);
        if (parts_.optimizer.average() >= 0) read_state(average_tensors(), checkpoint.tensors("state.safetensors"), fillers.state);
        if (parts_.best.elements > 0 && parts_.early.best_step > 0)
          read_into(parts_.best, of_node(), checkpoint.tensors("state.safetensors"), "best.");
      }),
      "checkpoint reading");
  if (!trouble.empty()) throw CheckpointError(trouble);
  if (!refused.empty()) throw UsageError(refused);
  return position;
}

void Checkpointing::read_carried(const Carried& carried, const NamedTensor& wanted, const SafetensorsFile& file, Log& log) const {
  const NamedTensor* found = file.find(wanted.name);
  if (!found) {
    if (parts_.comm.rank() == 0) log.warning("the checkpoint has no " + wanted.name + ": it starts at 0");
    return;
  }
  if (found->shape != wanted.shape || found->dtype != wanted.dtype)
    throw CheckpointError(restored_->folder().string() + ": " + wanted.name + " has another shape or type");
  copy_part(carried.values, carried.is_private ? Writers() : of_node(), wanted, *found);
}

void Checkpointing::say_dropped(const std::vector<Carried>& carried, const SafetensorsFile& file, Log& log) const {
  const auto is_wanted = [&](const std::string& name) {
    return std::any_of(carried.begin(), carried.end(), [&](const Carried& c) { return name.starts_with("exchange." + c.name + "."); });
  };
  for (const NamedTensor& tensor : file.tensors()) {
    if (!tensor.name.starts_with("exchange.") || is_wanted(tensor.name)) continue;
    log.warning("the checkpoint has " + tensor.name + " and more of an exchange that this run does not use: it is dropped");
    return;
  }
}

void Checkpointing::restore_carried(const std::vector<Carried>& carried, Log& log) {
  if (!restored_) return;
  const auto read = [&] {
    const SafetensorsFile file = restored_->tensors("state.safetensors");
    if (parts_.comm.rank() == 0) say_dropped(carried, file, log);
    for (const Carried& each : carried)
      for (const NamedTensor& wanted : carried_tensors(each)) read_carried(each, wanted, file, log);
  };
  const std::string trouble = first_complaint(parts_.comm, complaint_of(read), "checkpoint reading");
  if (!trouble.empty()) throw CheckpointError(trouble);
}

}  // namespace chorale
