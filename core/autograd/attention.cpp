#include <cmath>

#include <chorale/core/autograd/sequence_ops.hpp>

namespace chorale {

namespace {

AttentionExtents extents_of(const Variable& qkv, const AttentionOptions& options) {
  const Shape& s = qkv.shape();
  if (s.rank() != 3 || options.heads < 1 || s[2] < 1 || s[2] % (3 * options.heads))
    throw ShapeError("[attention] expected queries, keys and values [B, T, 3 C] with C a multiple of " + std::to_string(options.heads) +
                     " heads, got " + s.text());
  const std::int64_t head = s[2] / 3 / options.heads;
  return {.batch = s[0],
          .time = s[1],
          .heads = options.heads,
          .head = head,
          .is_causal = options.is_causal,
          .scale = 1 / std::sqrt(static_cast<double>(head))};
}

}  // namespace

Variable attention(const Variable& qkv, const AttentionOptions& options) {
  const AttentionExtents e = extents_of(qkv, options);
  Device& device = qkv.value().device();
  const DType dtype = qkv.dtype();
  Tensor y = Tensor::empty(device, {e.batch, e.time, e.heads * e.head}, dtype);
  Tensor log_sums = Tensor::empty(device, {e.batch, e.heads, e.time}, dtype);
  with_float_type(dtype, [&]<class T>() {
    const Tensor scratch = Tensor::empty(device, {attention_scratch(e)}, dtype);
    device.typed<T>().attention(
        {.e = e, .qkv = qkv.value().data<T>(), .y = y.data<T>(), .log_sums = log_sums.data<T>(), .scratch = scratch.data<T>()});
  });
  Node* node = qkv.node().get();
  return make_result(y, {qkv.node()}, [node, e, y, log_sums, qkv = qkv.value()](Tensor dy) {
    Tensor dqkv = Tensor::empty(dy.device(), qkv.shape(), dy.dtype());
    with_float_type(dy.dtype(), [&]<class T>() {
      const Tensor scratch = Tensor::empty(dy.device(), {attention_scratch(e)}, dy.dtype());
      dy.device().typed<T>().attention_gradient({.e = e,
                                                 .qkv = qkv.data<T>(),
                                                 .y = y.data<T>(),
                                                 .log_sums = log_sums.data<T>(),
                                                 .dy = dy.data<T>(),
                                                 .dqkv = dqkv.data<T>(),
                                                 .scratch = scratch.data<T>()});
    });
    node->adopt(std::move(dqkv));
  });
}

}  // namespace chorale
