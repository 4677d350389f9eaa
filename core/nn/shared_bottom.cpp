// shared_bottom: all tasks read one network. Source: Caruana, "Multitask Learning", Machine Learning 1997.
#include <chorale/core/nn/multi_task.hpp>

namespace chorale {

namespace {

class SharedBottom final : public MultiTask {
 public:
  SharedBottom(const MultiTaskOptions& o, std::int64_t in, const Registry& registry)
      : MultiTask(o), bottom_(make_experts(o.expert_layers, 1, in, registry)) {
    add_child("bottom", *bottom_[0]);
    make_towers(expert_width(bottom_, in), registry);
  }
  bool is_shared(std::string_view parameter) const override { return parameter.starts_with("bottom."); }
  std::string name() const override { return "shared_bottom"; }

 private:
  std::vector<Variable> represent(const Variable& x, const Pass& pass) override {
    return std::vector<Variable>(tasks().size(), bottom_[0]->forward(x, pass));
  }
  ExpertList bottom_;  // the one that there is
};

}  // namespace

void register_shared_bottom(Registry& registry) {
  registry.of<MultiTaskEntry>().add(
      "shared_bottom",
      {"one network that all tasks share", [](const MultiTaskOptions& o, std::int64_t in, const Registry& r) -> std::unique_ptr<MultiTask> {
         return std::make_unique<SharedBottom>(o, in, r);
       }});
}

}  // namespace chorale
