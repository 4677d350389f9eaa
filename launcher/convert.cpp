#include <chorale/launcher/convert.hpp>

#include <unistd.h>

#include <filesystem>
#include <memory>
#include <vector>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/core/io/manifest.hpp>
#include <chorale/core/io/safetensors_image.hpp>
#include <chorale/train/exchange/narrow.hpp>

namespace chorale {

namespace {

double element(const NamedTensor& t, std::int64_t i) {
  switch (t.dtype) {
    case DType::f32:
      return static_cast<double>(static_cast<const float*>(t.data)[i]);
    case DType::f64:
      return static_cast<const double*>(t.data)[i];
    case DType::bf16:
      return static_cast<double>(from_bf16(static_cast<const std::uint16_t*>(t.data)[i]));
    default:
      throw CheckpointError("tensor '" + t.name + "' has type " + std::string(name(t.dtype)) +
                            ", which is not converted; use --dtype same");
  }
}

void put(void* to, DType type, std::int64_t i, double value) {
  if (type == DType::f64)
    static_cast<double*>(to)[i] = value;
  else if (type == DType::f32)
    static_cast<float*>(to)[i] = static_cast<float>(value);
  else
    static_cast<std::uint16_t*>(to)[i] = to_bf16(static_cast<float>(value));
}

}  // namespace

Converted convert_checkpoint(const Checkpoint& checkpoint, const ConvertOrder& order) {
  // A device would be replaced by the file that is renamed to it: /dev/null would be gone for the whole machine.
  if (std::filesystem::exists(order.out) && !std::filesystem::is_regular_file(order.out))
    throw UsageError("--out " + order.out + ": is a folder, a device or a pipe; name a file");
  if (std::error_code ignored; std::filesystem::exists(std::filesystem::absolute(order.out).parent_path() / kManifestName, ignored))
    throw UsageError("--out " + order.out + ": lies in a checkpoint, which it would damage; name a file elsewhere");
  const SafetensorsFile last = checkpoint.tensors("model.safetensors"), state = checkpoint.tensors("state.safetensors");
  Converted done;
  std::vector<NamedTensor> tensors;
  std::vector<std::unique_ptr<std::byte[]>> memory;
  for (NamedTensor tensor : last.tensors()) {
    const NamedTensor* best = order.best ? state.find("best." + tensor.name) : nullptr;
    if (order.best && !best) best = state.find("ema." + tensor.name);  // what is evaluated where no best weights are kept
    if (best) tensor.data = best->data, done.best = true;
    const DType type = order.dtype == "same" ? tensor.dtype : parse_dtype(order.dtype);
    if (type != tensor.dtype) {
      const std::int64_t n = tensor.shape.elements();
      memory.push_back(std::make_unique<std::byte[]>(static_cast<std::size_t>(n) * size_bytes(type)));
      for (std::int64_t i = 0; i < n; ++i) put(memory.back().get(), type, i, element(tensor, i));
      tensor.dtype = type, tensor.data = memory.back().get();
    }
    tensors.push_back(tensor);
  }
  done.tensors = tensors.size();
  const std::filesystem::path draft = order.out + ".tmp." + std::to_string(::getpid());
  try {
    SafetensorsImage(tensors, {{"format", "pt"}}).write(draft);
    rename_and_sync(draft, order.out);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(draft, ignored);
    throw;
  }
  return done;
}

}  // namespace chorale
