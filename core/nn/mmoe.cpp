// mmoe: E experts that all tasks share, one gate a task that mixes them by row.
// Source: Ma, Zhao, Yi, Chen, Hong, Chi, "Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts", KDD 2018.
#include <chorale/core/nn/multi_task.hpp>

namespace chorale {

namespace {

class Mmoe final : public MultiTask {
 public:
  Mmoe(const MultiTaskOptions& o, std::int64_t in, const Registry& registry)
      : MultiTask(o), experts_(make_experts(o.expert_layers, o.experts, in, registry)) {
    for (std::size_t e = 0; e < experts_.size(); ++e) add_child("experts." + std::to_string(e), *experts_[e]);
    for (const TaskOutput& task : o.tasks)
      add_child("gates." + task.name, *gates_.emplace_back(std::make_unique<Linear>(in, o.experts, false)));
    make_towers(expert_width(experts_, in), registry);
  }
  bool is_shared(std::string_view parameter) const override { return parameter.starts_with("experts."); }
  std::string name() const override { return "mmoe(experts=" + std::to_string(options().experts) + ")"; }

 private:
  std::vector<Variable> represent(const Variable& x, const Pass& pass) override {
    const std::vector<Variable> experts = run_experts(experts_, x, pass);
    std::vector<Variable> out;
    for (const auto& gate : gates_) out.push_back(gated(*gate, x, experts, pass));
    return out;
  }
  ExpertList experts_;
  std::vector<std::unique_ptr<Linear>> gates_;
};

}  // namespace

void register_mmoe(Registry& registry) {
  registry.of<MultiTaskEntry>().add("mmoe",
                                    {"shared experts, mixed by one gate a task",
                                     [](const MultiTaskOptions& o, std::int64_t in, const Registry& r) -> std::unique_ptr<MultiTask> {
                                       return std::make_unique<Mmoe>(o, in, r);
                                     }});
}

}  // namespace chorale
