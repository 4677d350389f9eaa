// Tasks whose layers read each other, on ranks of their own, against one model in one process that holds them all.
#include <catch2/catch.hpp>

#include <functional>
#include <thread>

#include <chorale/core/base/error.hpp>
#include <chorale/core/loss/loss.hpp>
#include <chorale/core/nn/flat_params.hpp>
#include <chorale/tests/contracts/differences.hpp>
#include <chorale/train/collab/lanes.hpp>
#include <chorale/train/collab/stitch.hpp>

using namespace chorale;

namespace {

constexpr std::int64_t kRows = 7, kFeatures = 3;
constexpr std::size_t kTasks = 3;

/// Parameters of a module in memory of its own.
struct Bound {
  Bound(Module& module, Device& device, std::uint64_t seed) : params(module, device, DType::f64) {
    values = Tensor::zeros(device, {params.elements()}, DType::f64);
    gradients = Tensor::zeros(device, {params.trainable_elements()}, DType::f64);
    params.bind(values.buffer());
    params.initialise(seed, "torch");
    params.bind_gradients(gradients.buffer(), false);
  }
  std::vector<double> gradient_of(const std::string& name) const {
    for (const FlatParams::Entry& e : params.entries())
      if (e.name == name) return {gradients.data<double>() + e.first, gradients.data<double>() + e.first + e.count};
    return {};
  }
  FlatParams params;
  Tensor values, gradients;
};

std::unique_ptr<Sequential> layers(const Registry& registry) {
  return build_layers("linear(5) tanh linear(4) tanh linear(1)", {kFeatures}, registry);
}

Tensor rows_of(Device& device, std::size_t task, Share share) {
  const Tensor all = random_tensor(device, {kRows, kFeatures}, DType::f64, 100 + task);
  return all.slice(share.first, share.count);
}

/// y [B, 1] summed with fixed coefficients and squared: a scalar that all of y matters for.
Variable loss_of(const Variable& y, std::size_t task, std::int64_t first) {
  Tensor c = random_tensor(y.value().device(), {kRows, 1}, DType::f64, 200 + task).slice(first, y.shape()[0]);
  return sum(square(y - Variable(c)));
}

/// All towers in one process, of the ops of this library alone.
struct Monolith {
  Monolith(Registry& registry, Device& device, std::int64_t behind, bool channels)
      : device_(device), behind_(static_cast<std::size_t>(behind)), each_(channels ? (behind < 2 ? 5 : 4) : 1) {
    for (std::size_t t = 0; t < kTasks; ++t) {
      towers.push_back(layers(registry));
      bound.push_back(std::make_unique<Bound>(*towers[t], device, 7 + t));
    }
    for (std::size_t i = 0; i < kTasks * kTasks; ++i) {
      alpha.push_back(std::make_unique<Leaf>(Tensor::zeros(device, {1, each_}, DType::f64)));
      std::fill_n(alpha.back()->value.data<double>(), each_, i % (kTasks + 1) == 0 ? 0.9 : 0.1 / (kTasks - 1));
    }
  }
  Variable total(bool trains) {
    const Pass pass{.device = device_, .training = trains};
    std::vector<Variable> h;
    for (std::size_t t = 0; t < kTasks; ++t) h.push_back(towers[t]->forward_through(rows_of(device_, t, {0, kRows}), 0, behind_ + 1, pass));
    const std::int64_t width = h[0].shape()[1];
    const auto ones = [&](const Shape& shape) {
      Tensor t = Tensor::empty(device_, shape, DType::f64);
      std::fill_n(t.data<double>(), t.elements(), 1.0);
      return Variable(t);
    };
    Variable loss;
    for (std::size_t t = 0; t < kTasks; ++t) {
      Variable mixed;
      for (std::size_t u = 0; u < kTasks; ++u) {
        const Leaf& a = *alpha[t * kTasks + u];
        const Variable by_row = matmul(ones({kRows, 1}), trains ? a.variable() : Variable(a.value));
        const Variable spread = each_ > 1 ? by_row : matmul(by_row, ones({1, width}));
        mixed = mixed.value().defined() ? mixed + spread * h[u] : spread * h[u];
      }
      const Variable one = loss_of(towers[t]->forward_through(mixed, behind_ + 1, towers[t]->layers().size(), pass), t, 0);
      loss = loss.value().defined() ? loss + one : one;
    }
    return loss;
  }
  double value() { return *total(false).value().data<double>(); }

  std::vector<std::unique_ptr<Sequential>> towers;
  std::vector<std::unique_ptr<Bound>> bound;
  std::vector<std::unique_ptr<Leaf>> alpha;

 private:
  Device& device_;
  std::size_t behind_;
  std::int64_t each_;  // alphas of a pair of tasks
};

using Gradients = std::vector<std::map<std::string, std::vector<double>>>;  // by task, by parameter

/// Each task on `ranks` ranks, each with its share of the rows; gradients summed over the ranks of a task.
Gradients stitched_gradients(std::int64_t ranks, std::int64_t behind, bool channels, double* loss = nullptr) {
  const std::vector<std::int64_t> of_tasks(kTasks, ranks);
  auto world = make_thread_communicators(static_cast<int>(kTasks) * static_cast<int>(ranks));
  Gradients out(kTasks);
  std::vector<std::string> errors(world.size());
  std::mutex mutex;
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < world.size(); ++r)
    threads.emplace_back([&, r] {
      try {
        const auto task = r / static_cast<std::size_t>(ranks);
        const auto comm = world[r]->split(static_cast<int>(task), 0, "task");
        Lanes lanes(*world[r], *comm, static_cast<int>(task), of_tasks, "stitch");
        Registry registry;
        register_all(registry);
        const auto device = make_cpu_device();
        const auto model = layers(registry);
        add_stitch(*model, {kFeatures}, behind, std::move(lanes), static_cast<int>(task), channels);
        Bound bound(*model, *device, 7 + task);
        const Share share = share_of(kRows, comm->rank(), ranks);
        const Variable y = model->forward(rows_of(*device, task, share), {.device = *device, .training = true});
        const Variable mine = loss_of(y, task, share.first);
        backward(mine);
        const std::lock_guard lock(mutex);
        if (loss) *loss += *mine.value().data<double>();
        for (const FlatParams::Entry& e : bound.params.entries()) {
          std::vector<double>& sum = out[task][e.name];
          const std::vector<double> part = bound.gradient_of(e.name);
          sum.resize(part.size());
          for (std::size_t i = 0; i < part.size(); ++i) sum[i] += part[i];
        }
      } catch (const std::exception& e) {
        errors[r] = e.what();
        world[r]->abort(e.what());
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& error : errors) CHECK(error.empty());
  return out;
}

}  // namespace

TEST_CASE("stitched tasks have the gradients of one model that holds them all, whatever their ranks") {
  const std::int64_t behind = GENERATE(1, 2, 3);
  const bool channels = GENERATE(false, true);
  Registry registry;
  register_all(registry);
  const auto device = make_cpu_device();
  Monolith whole(registry, *device, behind, channels);
  backward(whole.total(true));
  for (const std::int64_t ranks : {1, 2, 3}) {
    double loss = 0;
    Gradients got = stitched_gradients(ranks, behind, channels, &loss);
    CHECK(loss == Approx(whole.value()).epsilon(1e-12));
    for (std::size_t t = 0; t < kTasks; ++t) {
      for (const FlatParams::Entry& e : whole.bound[t]->params.entries())
        CHECK(relative_error(got[t][e.name], whole.bound[t]->gradient_of(e.name)) < 1e-12);
      std::vector<double> own, others;
      for (std::size_t u = 0; u < kTasks; ++u) {
        const Tensor& gradient = whole.alpha[t * kTasks + u]->node->memory();
        std::vector<double>& to = u == t ? own : others;
        to.insert(to.end(), gradient.data<double>(), gradient.data<double>() + gradient.elements());
      }
      CHECK(relative_error(got[t]["stitch.own"], own) < 1e-12);
      CHECK(relative_error(got[t]["stitch.others"], others) < 1e-12);
    }
  }
}

TEST_CASE("gradients that cross tasks are slopes") {
  Registry registry;
  register_all(registry);
  const auto device = make_cpu_device();
  Monolith whole(registry, *device, 1, false);
  Gradients got = stitched_gradients(2, 1, false);
  for (std::size_t t = 0; t < kTasks; ++t) {
    for (const FlatParams::Entry& e : whole.bound[t]->params.entries()) {
      const Tensor values = Tensor::view(*device, {e.count}, DType::f64, whole.bound[t]->values.data<double>() + e.first);
      CHECK(relative_error(got[t][e.name], slopes(values, [&] { return whole.value(); })) < 1e-7);
    }
    for (std::size_t u = 0, other = 0; u < kTasks; ++u) {
      const double slope = slopes(whole.alpha[t * kTasks + u]->value, [&] { return whole.value(); })[0];
      CHECK((u == t ? got[t]["stitch.own"][0] : got[t]["stitch.others"][other++]) == Approx(slope).epsilon(1e-6));
    }
  }
  // And the crossing matters: without the other tasks' losses a tower has other gradients.
  CHECK(relative_error(got[0]["0.weight"], got[1]["0.weight"]) > 0.1);
}

TEST_CASE("a stitch lies behind a layer with parameters and before the head") {
  Registry registry;
  register_all(registry);
  const auto world = make_thread_communicators(1);
  const auto refusal = [&](const std::string& text, std::int64_t behind, const Shape& in) -> std::string {
    try {
      const auto task = world[0]->split(0, 0, "");
      add_stitch(*build_layers(text, in, registry), in, behind, Lanes(*world[0], *task, 0, std::vector<std::int64_t>{1}, "stitch"), 0);
    } catch (const UsageError& e) {
      return e.what();
    }
    return "";
  };
  CHECK(last_before_head(*layers(registry)) == 3);
  CHECK(refusal("linear(5) tanh linear(1)", 1, {4}).empty());
  CHECK_THAT(refusal("linear(5) tanh linear(1)", 2, {4}), Catch::Contains("behind at most layer 1"));
  CHECK_THAT(refusal("relu linear(5) tanh linear(1)", 0, {4}), Catch::Contains("behind a layer with parameters"));
  CHECK_THAT(refusal("linear(1)", 0, {4}), Catch::Contains("this model has no two"));
}
