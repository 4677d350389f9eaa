// train.init_from = FILE.safetensors: weights of another program, PyTorch's say, under the names that this model has for them.
#pragma once
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <chorale/core/base/dtype.hpp>
#include <chorale/core/io/safetensors_file.hpp>

namespace chorale {

/// train.init_map: names there to names here, as "features.*=0.*"; the first rule that means a name decides.
class NameMap {
 public:
  /// Throws UsageError for a word that is no FROM=TO, or that has more than one * a side, or on one side only.
  explicit NameMap(const std::vector<std::string>& words);
  /// The name itself where no rule means it.
  std::string operator()(const std::string& name) const;
  /// Throws UsageError with the names there are where a rule means none of them.
  void require_use(const std::vector<std::string>& names) const;

 private:
  std::vector<std::pair<std::string, std::string>> rules_;
};

/// Read-only once made. Holds the file.
class WeightFile {
 public:
  static bool is_meant(std::string_view path) { return path.ends_with(".safetensors"); }
  /// Throws IoError and CheckpointError as SafetensorsFile, UsageError as NameMap and where two tensors get one name.
  WeightFile(const std::filesystem::path& path, const NameMap& map, DType dtype);
  /// Under their names here. Whole numbers (PyTorch's num_batches_tracked), f32 and f64 are of the model's type; others are as they are.
  const std::vector<NamedTensor>& tensors() const { return tensors_; }

 private:
  SafetensorsFile file_;
  std::vector<std::vector<std::byte>> converted_;
  std::vector<NamedTensor> tensors_;
};

}  // namespace chorale
