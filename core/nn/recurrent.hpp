// Recurrent layers over [B, T, C], and what takes the last time of them.
#pragma once
#include <chorale/core/autograd/recurrent_ops.hpp>
#include <chorale/core/nn/module.hpp>

namespace chorale {

/// x [B, T, in] to the states [B, T, hidden]. Parameters as torch.nn.LSTM's and GRU's: "weight_ih_l0" [G hidden, in], "weight_hh_l0"
/// [G hidden, hidden], "bias_ih_l0" and "bias_hh_l0" [G hidden], which start as PyTorch's do, whatever model.init says of others.
class RecurrentLayer final : public Layer {
 public:
  enum class Kind : std::uint8_t { lstm, gru };
  RecurrentLayer(Kind kind, std::int64_t in, std::int64_t hidden);
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override;
  Shape output_shape(const Shape& in) const override;
  std::string name() const override;

 private:
  Kind kind_;
  std::int64_t in_, hidden_;
  Parameter &w_ih_, &w_hh_, &b_ih_, &b_hh_;
};

/// x [B, T, C] to [B, C] at the last time.
class LastTime final : public Layer {
 public:
  using Layer::forward;
  Variable forward(const Variable& x, const Pass&) override { return last_time(x); }
  Shape output_shape(const Shape& in) const override;
  std::string name() const override { return "last"; }
};

}  // namespace chorale
