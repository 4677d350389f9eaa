// What `chorale bench step` measures: a network, its batch and how ranks share it. `chorale scale` takes the same options.
#pragma once
#include <cstdint>
#include <string>

#include <chorale/core/base/option.hpp>

namespace chorale {

struct BenchStep {
  std::string preset;
  std::string layers = "linear(128) relu linear(64) relu linear(1)", loss = "binary_cross_entropy", optimizer = "adam";
  std::int64_t input = 100, batch = 32, batch_per_rank = 0, steps = 2000, virtual_workers = 0, threads = 1, rows = 0, tokens = 0;
  std::string dtype = "f32", isa = "auto", exchange = "auto", wire = "f32", overlap = "auto";
  std::int64_t local_steps = 8;
};

void describe(OptionTable& table, BenchStep& step);

/// Fills in what the preset says and no flag has said. Call it after the flags were read into `table`, which is bound to `step`.
void apply_preset(const OptionTable& table, BenchStep& step);

}  // namespace chorale
