#include <chorale/core/data/generated_features.hpp>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <unistd.h>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>

namespace chorale {
namespace {

void append_row(std::string& text, std::vector<double>& x, RandomStream& draw) {
  double logit = 0;
  char cell[32];
  for (std::size_t j = 0; j < x.size(); ++j) {
    x[j] = draw.normal();
    if (j < 10) logit += (j % 2 ? -0.6 : 0.6) * x[j];
    text.append(cell, static_cast<std::size_t>(std::snprintf(cell, sizeof cell, "%.4f,", x[j])));
  }
  if (x.size() > 3) logit += 1.2 * x[0] * x[1] + 0.8 * (x[2] * x[2] - 1);
  text += draw.uniform() < 1 / (1 + std::exp(-logit)) ? "1\n" : "0\n";
}

}  // namespace

void generate_features(std::int64_t rows, std::int64_t features, std::uint64_t seed, const std::filesystem::path& out) {
  if (rows < 1 || features < 1)
    throw UsageError("[data features] rows and features must be at least 1, got " + std::to_string(rows) + " and " +
                     std::to_string(features));
  if (std::filesystem::exists(out)) throw UsageError("[data features] " + out.string() + " exists; remove it or name another with --out");
  const std::string partial = out.string() + ".tmp." + std::to_string(::getpid());
  std::ofstream file(partial, std::ios::binary);
  std::string text;
  for (std::int64_t j = 0; j < features; ++j) text += "f" + std::to_string(j) + ",";
  text += "y\n";
  RandomStream draw(mix(seed, 5));
  std::vector<double> x(static_cast<std::size_t>(features));
  for (std::int64_t i = 0; i < rows; ++i) {
    append_row(text, x, draw);
    file << text;
    text.clear();
  }
  file.close();
  std::error_code failure;
  if (file) std::filesystem::rename(partial, out, failure);
  if (file && !failure) return;
  std::error_code ignored;
  std::filesystem::remove(partial, ignored);
  throw IoError("[data features] cannot write " + out.string() + "; free space or choose another file with --out");
}

}  // namespace chorale
