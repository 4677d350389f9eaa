// The files of a checkpoint as they will be, and the memory behind them that training goes on to overwrite.
#pragma once
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

/// In the arena's layout, so that its blocks are those that owners update.
struct LiveMemory {
  Buffer memory;
  bool is_private;  // every rank has its own; else the ranks of a node share one
};

}  // namespace chorale
