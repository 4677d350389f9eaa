// What a task changes of layers that it has in common with others: W = W_shared * W_task, W_task being of rank one, r s^T. A vector s
// before a layer and a vector r behind it make that: r (W (s x) + b). Source: Wen, Tran & Ba, BatchEnsemble, ICLR 2020.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include <chorale/core/nn/sequential.hpp>

namespace chorale {

/// y [B, width] = x [B, width] times "scale" [1, width], which starts at 1.
class TaskScale final : public Layer {
 public:
  explicit TaskScale(std::int64_t width) : scale_(add_parameter("scale", {1, width}, {.role = Init::Role::ones})) {}
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override;
  std::string name() const override { return "task_scale(" + std::to_string(scale_.shape()[1]) + ")"; }

 private:
  Parameter& scale_;
};

/// Around each fully connected layer before the last with parameters whose weight the patterns mean (empty: all): "task_in_NAME" and
/// "task_out_NAME". The layers keep their names and random numbers. in: shape of a row of "x". Throws UsageError where there is none.
void add_task_scales(Sequential& layers, const Shape& in, const std::vector<std::string>& patterns);

/// Of such a layer: it is the task's own, whatever patterns mean.
bool is_task_scale(std::string_view parameter);

}  // namespace chorale
