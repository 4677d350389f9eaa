// What a sweep over rank counts gives: throughput, efficiency and hidden communication, each with its spread over repeats.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <chorale/launcher/spread.hpp>

namespace chorale {

/// One run's summary.
struct ScaleRun {
  double step_ms = 0;  // the median step
  double exposed = 0;  // the share of communication that nothing hid: neither backward nor update ran
};

/// Over the repeats. The extremes are shown as they are: with five repeats a quantile would be one of them.
struct ScalePoint {
  int ranks = 1;
  std::int64_t batch = 0;  // samples of a step over all ranks
  Spread samples_per_second, step_ms, efficiency, exposed;
};

/// A sweep and how it was made.
struct Scaling {
  std::string mode, subject;  // weak or strong; the network or the recipe
  std::int64_t repeat = 0;
  int cores = 1;
  std::vector<ScalePoint> points;  // by ranks, the fewest first
};

/// runs[k][i]: repeat k at ranks[i]. The efficiency of a repeat compares its own runs, which lie close in time: samples/s at R ranks over
/// R / R0 times those at the fewest ranks R0. That holds for weak and strong scaling alike; only the batches differ.
std::vector<ScalePoint> scale_points(std::span<const int> ranks, std::span<const std::int64_t> batches,
                                     std::span<const std::vector<ScaleRun>> runs);

std::string scaling_table(const Scaling& scaling);
std::string scaling_json(const Scaling& scaling);
/// Draws `file` with gnuplot. Returns false when nothing was drawn.
bool draw_scaling(const std::filesystem::path& file, const Scaling& scaling);

}  // namespace chorale
