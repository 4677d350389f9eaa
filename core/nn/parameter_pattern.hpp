// Which parameters a word of a recipe means: "0.weight", "*.bias", "encoder", "head".
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace chorale {

/// The names of a model's parameters, and who answers to a pattern. A pattern is a glob over names; one that names a layer means all of its
/// parameters: "0" is "0.*". Of a Sequential, and of a fused model's own layers, the last layer with parameters is "head" too, and the ones
/// before it are "encoder.0", "encoder.2" and so on: "encoder" means all of them. Read-only once made; any thread.
class ParameterNames {
 public:
  explicit ParameterNames(std::vector<std::string> names);
  const std::vector<std::string>& names() const { return names_; }
  bool is_meant(std::string_view pattern, std::string_view name) const;
  bool is_meant(const std::vector<std::string>& patterns, std::string_view name) const;
  /// Throws UsageError with all names where the pattern means none of them. key: "train.freeze".
  void require(const std::string& key, const std::string& pattern) const;
  /// "head.weight" of "3.weight"; empty: it has no other name.
  std::string alias(std::string_view name) const;
  /// "0.weight (encoder.0.weight), 3.weight (head.weight)".
  std::string text() const;

 private:
  std::vector<std::string> names_;
  long head_ = -1;  // number of that layer; -1: layers are not numbered
};

}  // namespace chorale
