#include <chorale/core/nn/resnet.hpp>

#include <charconv>

#include <chorale/core/base/error.hpp>

namespace chorale {

std::vector<std::int64_t> parse_widths(const std::vector<std::string>& words) {
  std::vector<std::int64_t> out;
  for (const std::string& word : words) {
    std::int64_t width = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), width);
    if (error != std::errc() || end != word.data() + word.size() || width < 1 || width > 1 << 16)
      throw UsageError("model.widths: '" + word + "' is refused: expected channels of each stage from 1 to 65536, as in 16 32 64");
    out.push_back(width);
  }
  if (out.empty()) throw UsageError("model.widths is empty: expected channels of each stage, as in 16 32 64");
  return out;
}

namespace {

std::string convolution(std::int64_t out, std::int64_t kernel, std::int64_t stride) {
  std::string text = "conv2d(" + std::to_string(out) + ", " + std::to_string(kernel);
  if (stride != 1) text += ", stride=" + std::to_string(stride);
  if (kernel > 1) text += ", padding=" + std::to_string(kernel / 2);
  return text + ", bias=false) batch_norm";
}

std::string block(std::int64_t in, std::int64_t out, std::int64_t stride) {
  const std::string projection = stride != 1 || in != out ? " | " + convolution(out, 1, stride) : "";
  return " residual(" + convolution(out, 3, stride) + " relu " + convolution(out, 3, 1) + projection + ") relu";
}

}  // namespace

std::string resnet_layers(const ResNetOptions& options, const Shape& in, std::int64_t outputs) {
  if (in.rank() != 3)
    throw UsageError("model.kind = resnet reads images, and rows here are " + in.text() +
                     "; give images [H, W, C] (data.format = idx or npy), or write model.layers = reshape(HxWxC) ...");
  std::string text = convolution(options.widths.front(), 3, 1) + " relu";
  std::int64_t channels = options.widths.front();
  for (std::size_t stage = 0; stage < options.widths.size(); ++stage)
    for (std::int64_t b = 0; b < options.blocks; ++b) {
      text += block(channels, options.widths[stage], stage > 0 && b == 0 ? 2 : 1);
      channels = options.widths[stage];
    }
  return text + " adaptive_avg_pool2d(1) flatten linear(" + std::to_string(outputs) + ")";
}

}  // namespace chorale
