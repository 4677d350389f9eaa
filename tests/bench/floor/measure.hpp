// Words of the bench programs and what they print: one JSON object.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace chorale::bench {

/// --name VALUE pairs, then the widths of the layers.
struct BenchWords {
  std::map<std::string, std::string> flags;
  std::vector<int> widths;
  BenchWords(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
      const std::string word = argv[i];
      if (word.rfind("--", 0) != 0)
        widths.push_back(std::stoi(word));
      else if (i + 1 < argc)
        flags[word.substr(2)] = argv[++i];
    }
    if (widths.size() < 2) throw std::invalid_argument("the widths of the layers are missing, for example 784 512 512 10");
  }
  std::string text(const std::string& name, const std::string& otherwise) const {
    const auto found = flags.find(name);
    return found == flags.end() ? otherwise : found->second;
  }
  int number(const std::string& name, int otherwise) const { return std::stoi(text(name, std::to_string(otherwise))); }
};

/// Times of steps after the first few, which touch memory for the first time.
class StepTimes {
 public:
  using Clock = std::chrono::steady_clock;
  explicit StepTimes(int steps) : skipped_(std::min(5, steps / 4)) {}
  void add(Clock::time_point from, Clock::time_point to) {
    if (seen_++ >= skipped_) ms_.push_back(std::chrono::duration<double, std::milli>(to - from).count());
  }
  double quantile(double q) {
    std::sort(ms_.begin(), ms_.end());
    return ms_.empty() ? 0 : ms_[static_cast<std::size_t>(q * static_cast<double>(ms_.size() - 1))];
  }

 private:
  int skipped_, seen_ = 0;
  std::vector<double> ms_;
};

}  // namespace chorale::bench
