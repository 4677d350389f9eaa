// A small checkpoint on disk, as two ranks write it, for tests that damage it.
#pragma once
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include <chorale/core/io/checkpoint_writer.hpp>
#include <chorale/core/io/safetensors_image.hpp>

namespace chorale {

struct CheckpointFolder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("chorale_ckpt_" + std::to_string(::getpid()));
  CheckpointFolder() { std::filesystem::remove_all(path); }
  ~CheckpointFolder() { std::filesystem::remove_all(path); }
};

/// Two tensors and a little text, different in each step. Of 1.2 MiB, so that both ranks write.
inline std::filesystem::path write_checkpoint(const CheckpointWriter::Setup& setup, const Retention& retention = {.last = 100}) {
  const std::int64_t n = 150'000;
  std::vector<float> weight(static_cast<std::size_t>(n)), bias(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < weight.size(); ++i) weight[i] = static_cast<float>(i) + static_cast<float>(setup.step), bias[i] = -weight[i];
  const SafetensorsImage image({{"0.weight", DType::f32, Shape{n}, weight.data()}, {"0.bias", DType::f32, Shape{n}, bias.data()}});
  CheckpointWriter writer(setup);
  writer.join();
  writer.reserve("model.safetensors", image.size());
  CheckpointFile file{"model.safetensors", image.size(), {}};
  for (const int rank : {0, 1}) {
    std::vector<std::byte> staged(CheckpointWriter::kPiece);
    const auto piece = [&](ByteRange range) {
      image.copy_range(range, staged.data());
      return std::span<const std::byte>(staged).first(range.size());
    };
    for (const std::string& hash : writer.write_part(file.name, file_share(image.size(), rank, 2), piece, {})) file.blocks.push_back(hash);
  }
  Manifest manifest{.files = {file, writer.write_text("recipe.ini", "step = " + std::to_string(setup.step))}};
  writer.commit(manifest);
  writer.prune(retention);
  return writer.folder();
}

}  // namespace chorale
