// ple: levels of shared experts and of each task's own (customised gate control). A task's gate mixes its own experts and the shared ones;
// but for the last level a shared gate mixes all of them for the next level's shared experts.
// Source: Tang, Liu, Zhao, Gong, "Progressive Layered Extraction (PLE)", RecSys 2020.
#include <charconv>

#include <chorale/core/nn/multi_task.hpp>

namespace chorale {

namespace {

/// "x.NAME" of each task and the shared "x" to the same names; the last level gives no "x".
class Level final : public Module {
 public:
  Level(const MultiTaskOptions& o, std::int64_t in, bool is_last, const Registry& registry)
      : tasks_(o.tasks), shared_(make_experts(o.expert_layers, o.experts, in, registry)), width_(expert_width(shared_, in)) {
    for (std::size_t e = 0; e < shared_.size(); ++e) add_child("shared." + std::to_string(e), *shared_[e]);
    for (const TaskOutput& task : tasks_) {
      const ExpertList& mine = own_.emplace_back(make_experts(o.expert_layers, o.task_experts, in, registry));
      for (std::size_t e = 0; e < mine.size(); ++e) add_child("experts." + task.name + "." + std::to_string(e), *mine[e]);
    }
    for (const TaskOutput& task : tasks_)
      add_child("gates." + task.name, *gates_.emplace_back(std::make_unique<Linear>(in, o.task_experts + o.experts, false)));
    if (is_last) return;
    shared_gate_ = std::make_unique<Linear>(in, static_cast<std::int64_t>(tasks_.size()) * o.task_experts + o.experts, false);
    add_child("shared_gate", *shared_gate_);
  }
  Values forward(const Values& in, const Pass& pass) override {
    const std::vector<Variable> shared = run_experts(shared_, in.at("x"), pass);
    std::vector<Variable> all;  // the tasks' in their order, then the shared ones
    Values out;
    for (std::size_t t = 0; t < tasks_.size(); ++t) {
      const std::string name = "x." + tasks_[t].name;
      std::vector<Variable> mine = run_experts(own_[t], in.at(name), pass);
      all.insert(all.end(), mine.begin(), mine.end());
      mine.insert(mine.end(), shared.begin(), shared.end());
      out.set(name, gated(*gates_[t], in.at(name), mine, pass));
    }
    if (!shared_gate_) return out;
    all.insert(all.end(), shared.begin(), shared.end());
    out.set("x", gated(*shared_gate_, in.at("x"), all, pass));
    return out;
  }
  std::int64_t width() const { return width_; }
  std::string name() const override { return "level"; }

 private:
  std::vector<TaskOutput> tasks_;
  ExpertList shared_;
  std::int64_t width_;
  std::vector<ExpertList> own_;                 // by task
  std::vector<std::unique_ptr<Linear>> gates_;  // by task
  std::unique_ptr<Linear> shared_gate_;         // null: the last level
};

class Ple final : public MultiTask {
 public:
  Ple(const MultiTaskOptions& o, std::int64_t in, const Registry& registry) : MultiTask(o) {
    for (std::int64_t l = 0; l < o.levels; ++l) {
      levels_.push_back(std::make_unique<Level>(o, l == 0 ? in : levels_.back()->width(), l + 1 == o.levels, registry));
      add_child("levels." + std::to_string(l), *levels_.back());
    }
    make_towers(levels_.back()->width(), registry);
  }
  /// A task's own expert reaches the other tasks by the shared gate of its level, its gate by that of the next.
  bool is_shared(std::string_view parameter) const override {
    constexpr std::string_view kLevels = "levels.";
    if (!parameter.starts_with(kLevels)) return false;
    std::int64_t level = 0;
    const char* begin = parameter.data() + kLevels.size();
    const auto [end, error] = std::from_chars(begin, parameter.data() + parameter.size(), level);
    const std::string_view rest = parameter.substr(static_cast<std::size_t>(end - parameter.data()) + 1);
    const std::int64_t last = options().levels - 1;
    if (rest.starts_with("experts.")) return level < last;
    if (rest.starts_with("gates.")) return level + 1 < last;
    return error == std::errc();
  }
  std::string name() const override {
    return "ple(levels=" + std::to_string(options().levels) + ", experts=" + std::to_string(options().experts) +
           ", task_experts=" + std::to_string(options().task_experts) + ")";
  }

 private:
  std::vector<Variable> represent(const Variable& x, const Pass& pass) override {
    Values h{{"x", x}};
    for (const TaskOutput& task : tasks()) h.set("x." + task.name, x);
    for (const auto& level : levels_) h = level->forward(h, pass);
    std::vector<Variable> out;
    for (const TaskOutput& task : tasks()) out.push_back(h.at("x." + task.name));
    return out;
  }
  std::vector<std::unique_ptr<Level>> levels_;
};

}  // namespace

void register_ple(Registry& registry) {
  registry.of<MultiTaskEntry>().add("ple",
                                    {"levels of shared experts and of each task's own",
                                     [](const MultiTaskOptions& o, std::int64_t in, const Registry& r) -> std::unique_ptr<MultiTask> {
                                       return std::make_unique<Ple>(o, in, r);
                                     }});
}

}  // namespace chorale
