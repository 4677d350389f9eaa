// Random changes of training images. What is drawn is a function of (seed, step, position in the global batch) alone, so bits depend
// neither on the ranks nor on who loads an image.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/base/random.hpp>
#include <chorale/core/base/registry.hpp>
#include <chorale/core/base/shape.hpp>
#include <chorale/core/data/dataset.hpp>

namespace chorale {

/// A stored image, [height, width] pixels of all channels together, in place.
struct StoredImage {
  std::byte* pixels;
  std::int64_t height, width;
  std::size_t pixel_bytes;
  std::byte* at(std::int64_t y, std::int64_t x) const { return pixels + static_cast<std::size_t>(y * width + x) * pixel_bytes; }
  std::size_t bytes() const { return static_cast<std::size_t>(height * width) * pixel_bytes; }
};

/// One kind of change. Read-only; any thread.
class ImageChange {
 public:
  virtual ~ImageChange() = default;
  /// scratch: as large as the image. Empty pixels are the stored number 0.
  virtual void apply(const StoredImage& image, RandomStream& random, std::span<std::byte> scratch) const = 0;
};

/// In the Registry under the word of data.augment.
struct AugmentEntry {
  std::string help;
  bool takes_size;  // written WORD(SIZE), in pixels
  std::unique_ptr<ImageChange> (*make)(std::int64_t size);
};

/// All changes of data.augment, in their order. Read-only; any thread.
class Augmentation {
 public:
  /// words: "flip", "crop(4)". row_shape: [H, W, C]. Throws UsageError for a word that is unknown or has no sensible size, or rows that are
  /// no images.
  Augmentation(const std::vector<std::string>& words, const Shape& row_shape, const Registry& registry);
  bool is_empty() const { return changes_.empty(); }
  /// rows: packed images of `dtype`, row i having the position draw.first_position + i.
  void apply(std::byte* rows, std::size_t count, DType dtype, const Draw& draw) const;

 private:
  std::vector<std::unique_ptr<ImageChange>> changes_;
  Shape row_shape_;
};

}  // namespace chorale
