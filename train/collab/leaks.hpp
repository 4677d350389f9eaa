// Does what a task hears say its label? By being there at all: an order is there because a visit ended in a purchase. Or by its numbers: a
// peer that learns the same label publishes it. Looked for in training rows, by correlation; what is found is a warning, for a person to
// judge.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <chorale/core/data/dataset.hpp>
#include <chorale/train/collab/fetched_rows.hpp>

namespace chorale {

/// |Pearson's correlation| above which is warned. A bit that says whether a row is there has no business with the label; a vector has, and
/// 0.9 is more than a good guess.
inline constexpr double kPresenceBound = 0.3, kVectorBound = 0.9;
/// Training rows that are looked at, at most, evenly from all of them.
inline constexpr std::int64_t kLeakRows = 65536;

struct Leak {
  std::int64_t source = 0;      // of the fetched rows
  std::int64_t component = -1;  // of the vector; -1: that there is one
  double correlation = 0;       // 0 to 1; of several classes that with the class that it tells best from the others
  std::int64_t rows = 0;        // that it was seen in
};

/// Of each source the presence, where it is above its bound. train: without "shared", with "target".
std::vector<Leak> presence_leaks(const FetchedRows& fetched, const Dataset& train);
/// Of each source the component that tells most, where it is above its bound; of rows that have a vector. Of the rows in use.
std::vector<Leak> vector_leaks(const FetchedRows& fetched, const Dataset& train);

/// "what returns says about customers ...", with the number and the remedy. folds: TaskInfo::folds of the peer.
std::string leak_text(const Leak& leak, const std::string& task, const std::string& peer, const std::string& kind, std::int64_t folds);

}  // namespace chorale
