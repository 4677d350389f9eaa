// The files of arrays: which they are, and their elements where they lie, the same on all ranks.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/data/data_options.hpp>
#include <chorale/core/data/source.hpp>
#include <chorale/core/io/stored_array.hpp>

namespace chorale {

using ViewArray = ArrayView (*)(std::string_view bytes, const std::string& path);

/// Rows and, where they were asked for, their labels.
struct LabelledArrays {
  ArrayView rows;                   // [N, ...], as stored
  std::optional<ArrayView> labels;  // [N]
  std::int64_t count() const { return rows.shape[0]; }
};

/// One thread a rank. Valid as long as the views are used.
class ArrayFiles {
 public:
  struct Wanted {
    bool labels = true;
    bool test = true;  // where the options name one
  };
  /// Collective; files are unpacked once a node. Throws UsageError for a key that is missing, DataError for files that are no such arrays
  /// or do not belong together; both name the remedy.
  ArrayFiles(const DataOptions& options, ViewArray view, Wanted wanted, Communicator& comm);
  const LabelledArrays& main() const { return main_; }
  const std::optional<LabelledArrays>& test() const { return test_; }
  /// Of all elements of all files: equal where the data are.
  std::string content() const;

 private:
  LabelledArrays labelled(std::size_t& next, ViewArray view, bool with_labels) const;
  std::vector<Source> sources_;
  LabelledArrays main_;
  std::optional<LabelledArrays> test_;
};

}  // namespace chorale
