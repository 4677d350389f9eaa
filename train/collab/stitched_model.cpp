#include <chorale/train/collab/stitched_model.hpp>

#include <algorithm>
#include <cstring>

#include <chorale/core/base/error.hpp>
#include <chorale/train/collab/stitch.hpp>

namespace chorale {

struct StitchedModel::Alphas final : Module {
  Alphas(std::int64_t tasks, const StitchPlan& plan, std::int64_t width)
      : own(add_parameter("own", plan.channels ? Shape({width}) : Shape({1}), {})),
        others(add_parameter("others", plan.channels ? Shape({tasks - 1, width}) : Shape({tasks - 1}), {})) {}
  Values forward(const Values&, const Pass&) override { return {}; }
  std::string name() const override { return "alphas"; }
  Parameter &own, &others;
};

StitchedModel::StitchedModel(std::unique_ptr<Sequential> own, const Shape& in, const StitchPlan& plan, int number, std::vector<Peer> peers)
    : own_(std::move(own)), number_(number), peers_(std::move(peers)) {
  for (const Peer& peer : peers_) behind_.push_back(static_cast<std::size_t>(stitched_layer(*peer.layers, plan.layer)));
  const auto mine = static_cast<std::size_t>(stitched_layer(*own_, plan.layer));
  behind_.insert(behind_.begin() + number_, mine);
  Shape shape = in;
  for (std::size_t i = 0; i <= mine; ++i) shape = own_->layers()[i]->output_shape(shape);
  alphas_ = std::make_unique<Alphas>(static_cast<std::int64_t>(peers_.size()) + 1, plan, shape.elements());
  each_ = plan.channels ? shape.elements() : 1;
  for (const auto& [name, layer] : own_->children()) add_child(name, *layer);
  add_child("stitch", *alphas_);
}

StitchedModel::~StitchedModel() = default;

Values StitchedModel::forward(const Values& in, const Pass& pass) {
  const auto me = static_cast<std::size_t>(number_);
  const Tensor own = own_->forward_through(in.at("x"), 0, behind_[me] + 1, pass).value();
  Tensor mixed = Tensor::zeros(pass.device, own.shape(), own.dtype());
  for (std::size_t u = 0; u <= peers_.size(); ++u) {
    const Peer* peer = u == me ? nullptr : &peers_[u - (u > me)];
    const Tensor h = peer ? peer->layers->forward_through(in.at("x." + peer->task), 0, behind_[u] + 1, pass).value() : own;
    if (h.shape() != own.shape())
      throw ShapeError("[stitch] expected " + own.shape().text() + " of task " + peer->task + ", got " + h.shape().text());
    with_float_type(own.dtype(), [&]<class T>() {
      const T* alpha =
          u == me ? alphas_->own.value().data<T>() : alphas_->others.value().data<T>() + static_cast<std::int64_t>(u - (u > me)) * each_;
      const std::int64_t width = own.row_elements();
      const T* has = peer ? in.at("has." + peer->task).value().data<T>() : nullptr;
      for (std::int64_t row = 0; row < own.rows(); ++row)
        if (!has || has[row] != 0) add_weighted(mixed.data<T>() + row * width, h.data<T>() + row * width, alpha, width, each_);
    });
  }
  return {{"y", own_->forward_through(Variable(mixed), behind_[me] + 1, own_->layers().size(), pass)}};
}

StitchedRows::StitchedRows(std::shared_ptr<const Dataset> own, std::vector<Peer> peers)
    : own_(std::move(own)), peers_(std::move(peers)), fields_(own_->fields()) {
  for (const Peer& peer : peers_) {
    const std::vector<Field>& theirs = peer.rows->fields();
    const auto x = std::find_if(theirs.begin(), theirs.end(), [](const Field& f) { return f.name == "x"; });
    if (x == theirs.end()) throw UsageError("rows of task " + peer.task + " have no \"x\" to be stitched");
    x_.push_back(static_cast<int>(x - theirs.begin()));
    fields_.push_back({"x." + peer.task, x->dtype, x->row_shape});
    fields_.push_back({"has." + peer.task, DType::f32, {1}});
  }
}

void StitchedRows::gather(int field, std::span<const std::int64_t> rows, void* out) const {
  const int own = static_cast<int>(own_->fields().size());
  if (field < own) return own_->gather(field, rows, out);
  const Peer& peer = peers_[static_cast<std::size_t>(field - own) / 2];
  if ((field - own) % 2 == 1) {
    auto* has = static_cast<float*>(out);
    for (const std::int64_t row : rows) *has++ = peer.of_row[static_cast<std::size_t>(row)] >= 0 ? 1.0f : 0.0f;
    return;
  }
  const Field& f = fields_[static_cast<std::size_t>(field)];
  const std::size_t bytes = static_cast<std::size_t>(f.row_shape.elements()) * size_bytes(f.dtype);
  auto* to = static_cast<std::byte*>(out);
  for (const std::int64_t row : rows) {
    const std::int64_t theirs = peer.of_row[static_cast<std::size_t>(row)];
    if (theirs < 0)
      std::memset(to, 0, bytes);
    else
      peer.rows->gather(x_[static_cast<std::size_t>(field - own) / 2], std::span(&theirs, 1), to);
    to += bytes;
  }
}

}  // namespace chorale
