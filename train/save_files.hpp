// The files of a checkpoint as they will be, and the memory behind them that training goes on to overwrite.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <chorale/core/base/buffer.hpp>
#include <chorale/core/io/safetensors_image.hpp>

namespace chorale {

struct SaveFile {
  std::string name;
  SafetensorsImage image;
};
using SaveFiles = std::vector<SaveFile>;

/// Elements of a memory that one rank owns, borders being those of blocks: they lie on its node, and nowhere else.
struct Held {
  std::int64_t first = 0, count = 0;
  int rank = 0;
};

/// In the arena's layout, so that its blocks are those that owners update.
struct LiveMemory {
  Buffer memory;
  bool is_private;              // every rank has its own; else the ranks of a node share one
  std::vector<Held> held = {};  // ascending, together all of it; empty: every node has all
};

}  // namespace chorale
