// A generic table for binary classification: columns f0, f1, ... and the label y.
#pragma once
#include <cstdint>
#include <filesystem>

namespace chorale {

/// Writes `rows` rows of `features` standard normal columns and y, drawn from a probability over the first few columns
/// (a linear part, a product, a square); all further columns are noise. Equal arguments give equal bytes.
/// Throws UsageError for sizes below 1 or a file that exists, IoError when writing fails; the file appears whole or not at all.
void generate_features(std::int64_t rows, std::int64_t features, std::uint64_t seed, const std::filesystem::path& out);

}  // namespace chorale
