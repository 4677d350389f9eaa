// oneDNN's convolutions, made once for each set of extents. Weights lie in the arena as PyTorch stores them and are brought into the order
// that the primitive wants at each use, which is little beside the convolution.
#include <chorale/core/device/cpu/convolution.hpp>

#include <dnnl.hpp>

#include <array>
#include <map>
#include <string>
#include <unordered_map>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {

using dnnl::memory;
using ConvKey = std::array<std::int64_t, 17>;  // the extents, and whether there is a bias or the gradient is added
using Arguments = std::unordered_map<int, memory>;

ConvKey conv_key(const ConvExtents& e, bool flag) {
  return {e.images,   e.height,   e.width, e.in,    e.out_height, e.out_width,  e.out,    e.kernel_h, e.kernel_w,
          e.stride_h, e.stride_w, e.pad_h, e.pad_w, e.dilation_h, e.dilation_w, e.groups, flag};
}

struct Descriptors {
  explicit Descriptors(const ConvExtents& e)
      : x({e.images, e.in, e.height, e.width}, memory::data_type::f32, memory::format_tag::nhwc),
        y({e.images, e.out, e.out_height, e.out_width}, memory::data_type::f32, memory::format_tag::nhwc),
        plain_w(weights(e, e.groups > 1 ? memory::format_tag::goihw : memory::format_tag::oihw)),
        w(weights(e, memory::format_tag::any)),
        bias({e.out}, memory::data_type::f32, memory::format_tag::x),
        strides{e.stride_h, e.stride_w},
        dilations{e.dilation_h - 1, e.dilation_w - 1},
        pads{e.pad_h, e.pad_w} {}

  static memory::desc weights(const ConvExtents& e, memory::format_tag tag) {
    if (e.groups > 1) return {{e.groups, e.out / e.groups, e.in / e.groups, e.kernel_h, e.kernel_w}, memory::data_type::f32, tag};
    return {{e.out, e.in, e.kernel_h, e.kernel_w}, memory::data_type::f32, tag};
  }
  memory::desc x, y, plain_w, w, bias;
  memory::dims strides, dilations, pads;
};

constexpr auto kDirect = dnnl::algorithm::convolution_direct;

dnnl::convolution_forward::primitive_desc forward_of(const Descriptors& d, bool has_bias, const dnnl::engine& engine) {
  const auto kind = dnnl::prop_kind::forward_training;
  if (has_bias) return {{kind, kDirect, d.x, d.w, d.bias, d.y, d.strides, d.dilations, d.pads, d.pads}, engine};
  return {{kind, kDirect, d.x, d.w, d.y, d.strides, d.dilations, d.pads, d.pads}, engine};
}

void point(memory& m, const float* data) { m.set_data_handle(const_cast<float*>(data)); }

/// A primitive, its tensors in the caller's memory, and its weights in its own order.
struct Made {
  dnnl::primitive primitive;
  dnnl::reorder reorder;
  Arguments arguments;
  memory plain_w, w;  // one where the order is the same
  bool is_reordered = false;

  void own_weights(const memory::desc& wanted, const Descriptors& d, const dnnl::engine& engine) {
    plain_w = memory(d.plain_w, engine, nullptr);
    is_reordered = wanted != d.plain_w;
    w = is_reordered ? memory(wanted, engine) : plain_w;
  }
};

}  // namespace

struct CpuConvolution::Primitives {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::map<ConvKey, Made> forward, data, weights, weights_and_bias;

  Made& forward_at(const Convolution<float>& p) {
    const auto [it, is_new] = forward.try_emplace(conv_key(p.e, p.bias != nullptr));
    Made& m = it->second;
    if (!is_new) return m;
    const Descriptors d(p.e);
    const auto what = forward_of(d, p.bias != nullptr, engine);
    m.primitive = dnnl::convolution_forward(what);
    m.own_weights(what.weights_desc(), d, engine);
    if (m.is_reordered) m.reorder = dnnl::reorder(m.plain_w, m.w);
    m.arguments = {{DNNL_ARG_SRC, memory(d.x, engine, nullptr)}, {DNNL_ARG_WEIGHTS, m.w}, {DNNL_ARG_DST, memory(d.y, engine, nullptr)}};
    if (p.bias) m.arguments.emplace(DNNL_ARG_BIAS, memory(d.bias, engine, nullptr));
    return m;
  }

  Made& data_at(const ConvolutionDataGradient<float>& p) {
    const auto [it, is_new] = data.try_emplace(conv_key(p.e, false));
    Made& m = it->second;
    if (!is_new) return m;
    const Descriptors d(p.e);
    const dnnl::convolution_backward_data::primitive_desc what({kDirect, d.x, d.w, d.y, d.strides, d.dilations, d.pads, d.pads}, engine,
                                                               forward_of(d, false, engine));
    m.primitive = dnnl::convolution_backward_data(what);
    m.own_weights(what.weights_desc(), d, engine);
    if (m.is_reordered) m.reorder = dnnl::reorder(m.plain_w, m.w);
    m.arguments = {
        {DNNL_ARG_DIFF_DST, memory(d.y, engine, nullptr)}, {DNNL_ARG_WEIGHTS, m.w}, {DNNL_ARG_DIFF_SRC, memory(d.x, engine, nullptr)}};
    return m;
  }

  Made& weights_at(const ConvolutionWeightGradient<float>& p) {
    auto& made = p.db ? weights_and_bias : weights;
    const auto [it, is_new] = made.try_emplace(conv_key(p.e, p.accumulate));
    Made& m = it->second;
    if (!is_new) return m;
    const Descriptors d(p.e);
    const auto what = weights_of(d, p.db != nullptr);
    m.primitive = dnnl::convolution_backward_weights(what);
    m.own_weights(what.diff_weights_desc(), d, engine);
    if (p.accumulate && !m.is_reordered) m.is_reordered = true, m.w = memory(what.diff_weights_desc(), engine);
    if (m.is_reordered) {
      dnnl::primitive_attr attributes;
      if (p.accumulate) {
        dnnl::post_ops after;
        after.append_sum(1.0f);
        attributes.set_post_ops(after);
      }
      m.reorder = dnnl::reorder(dnnl::reorder::primitive_desc(m.w, m.plain_w, attributes));
    }
    m.arguments = {
        {DNNL_ARG_SRC, memory(d.x, engine, nullptr)}, {DNNL_ARG_DIFF_DST, memory(d.y, engine, nullptr)}, {DNNL_ARG_DIFF_WEIGHTS, m.w}};
    if (p.db) m.arguments.emplace(DNNL_ARG_DIFF_BIAS, p.accumulate ? memory(d.bias, engine) : memory(d.bias, engine, nullptr));
    return m;
  }

  dnnl::convolution_backward_weights::primitive_desc weights_of(const Descriptors& d, bool has_bias) const {
    const auto hint = forward_of(d, has_bias, engine);
    if (has_bias) return {{kDirect, d.x, d.w, d.bias, d.y, d.strides, d.dilations, d.pads, d.pads}, engine, hint};
    return {{kDirect, d.x, d.w, d.y, d.strides, d.dilations, d.pads, d.pads}, engine, hint};
  }
};

CpuConvolution::CpuConvolution() : primitives_(std::make_unique<Primitives>()) {}
CpuConvolution::~CpuConvolution() = default;

void CpuConvolution::run(const Convolution<float>& p) {
  Made& m = primitives_->forward_at(p);
  point(m.plain_w, p.w);
  point(m.arguments.at(DNNL_ARG_SRC), p.x);
  point(m.arguments.at(DNNL_ARG_DST), p.y);
  if (p.bias) point(m.arguments.at(DNNL_ARG_BIAS), p.bias);
  if (m.is_reordered) m.reorder.execute(primitives_->stream, m.plain_w, m.w);
  m.primitive.execute(primitives_->stream, m.arguments);
}

void CpuConvolution::run(const ConvolutionDataGradient<float>& p) {
  Made& m = primitives_->data_at(p);
  point(m.plain_w, p.w);
  point(m.arguments.at(DNNL_ARG_DIFF_DST), p.dy);
  point(m.arguments.at(DNNL_ARG_DIFF_SRC), p.dx);
  if (m.is_reordered) m.reorder.execute(primitives_->stream, m.plain_w, m.w);
  m.primitive.execute(primitives_->stream, m.arguments);
}

void CpuConvolution::run(const ConvolutionWeightGradient<float>& p) {
  Made& m = primitives_->weights_at(p);
  point(m.plain_w, p.dw);
  point(m.arguments.at(DNNL_ARG_SRC), p.x);
  point(m.arguments.at(DNNL_ARG_DIFF_DST), p.dy);
  if (p.db && !p.accumulate) point(m.arguments.at(DNNL_ARG_DIFF_BIAS), p.db);
  m.primitive.execute(primitives_->stream, m.arguments);
  if (m.is_reordered) m.reorder.execute(primitives_->stream, m.w, m.plain_w);
  if (!p.db || !p.accumulate) return;
  const float* sums = static_cast<const float*>(m.arguments.at(DNNL_ARG_DIFF_BIAS).get_data_handle());
  for (std::int64_t c = 0; c < p.e.out; ++c) p.db[c] += sums[c];
}

}  // namespace chorale
