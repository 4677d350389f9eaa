#include <chorale/core/nn/flat_params.hpp>

#include <set>

namespace chorale {

FlatParams::FlatParams(Module& model, Device& device, DType dtype) : device_(device), dtype_(dtype) {
  model.set_path();
  const std::vector<Module::Named> all = model.parameters();
  const std::int64_t align = static_cast<std::int64_t>(64 / size_bytes(dtype));
  std::set<std::string> names;
  for (const Segment segment : {Segment::trainable, Segment::frozen, Segment::buffer}) {
    first_buffer_ = elements_;
    for (auto it = all.rbegin(); it != all.rend(); ++it) {
      if (it->parameter->segment() != segment) continue;
      if (!names.insert(it->name).second)
        throw UsageError("two parameters are named '" + it->name + "'; give their modules different names");
      const std::int64_t n = it->parameter->shape().elements();
      entries_.push_back({it->name, it->parameter, elements_, n});
      elements_ += (n + align - 1) / align * align;
      count_ += segment == Segment::buffer ? 0 : n;
    }
    if (segment == Segment::trainable) trainable_ = elements_;
  }
}

void FlatParams::bind(Buffer values) {
  if (values.elements < elements_ || values.dtype != dtype_)
    throw InternalError("the arena needs " + std::to_string(elements_) + " elements, got " + std::to_string(values.elements));
  values_ = values.part(0, elements_);
  for (const Entry& e : entries_)
    e.parameter->bind(Tensor::view(device_, e.parameter->shape(), dtype_, values_.part(e.first, e.count).data));
}

void FlatParams::bind_gradients(Buffer gradients, bool accumulate) {
  for (const Entry& e : entries_) {
    if (e.parameter->segment() != Segment::trainable) break;
    e.parameter->leaf().bind(Tensor::view(device_, e.parameter->shape(), dtype_, gradients.part(e.first, e.count).data), accumulate);
  }
}

void FlatParams::finish_gradients() {
  for (const Entry& e : entries_) {
    if (e.parameter->segment() != Segment::trainable) break;
    LeafNode& leaf = e.parameter->leaf();
    if (!leaf.written()) device_.clear(leaf.memory().raw(), leaf.memory().bytes());
  }
}

void FlatParams::stage_in(Buffer memory) {
  for (const Entry& e : entries_)
    if (e.parameter->segment() == Segment::buffer)
      e.parameter->stage_in(Tensor::view(device_, e.parameter->shape(), dtype_, memory.part(e.first - first_buffer_, e.count).data));
}

void FlatParams::on_gradient_ready(const std::function<void(std::size_t)>& hook) {
  for (std::size_t i = 0; i < entries_.size(); ++i)
    entries_[i].parameter->leaf().on_ready(hook ? std::function<void()>([hook, i] { hook(i); }) : std::function<void()>());
}

void FlatParams::write(Buffer values) { device_.copy(values_.data, values.data, values_.bytes()); }

std::string FlatParams::name_at(std::int64_t i) const {
  for (const Entry& e : entries_)
    if (i >= e.first && i < e.first + e.count) return e.name;
  return "gap";
}

}  // namespace chorale
