#include <chorale/core/data/augment.hpp>

#include <algorithm>
#include <charconv>
#include <cstring>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/excerpt.hpp>

namespace chorale {

namespace {

/// Left and right exchanged, of one image in two as it is drawn.
class Flip final : public ImageChange {
 public:
  void apply(const StoredImage& image, RandomStream& random, std::span<std::byte>) const override {
    if (random.below(2) == 0) return;
    for (std::int64_t y = 0; y < image.height; ++y)
      for (std::int64_t left = 0, right = image.width - 1; left < right; ++left, --right)
        std::swap_ranges(image.at(y, left), image.at(y, left) + image.pixel_bytes, image.at(y, right));
  }
};

/// Moved by up to `padding` pixels each way: a cut of the image's size out of the padded image.
class Crop final : public ImageChange {
 public:
  explicit Crop(std::int64_t padding) : padding_(padding) {}
  void apply(const StoredImage& image, RandomStream& random, std::span<std::byte> scratch) const override {
    const auto drawn = [&] { return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(2 * padding_ + 1))) - padding_; };
    const std::int64_t down = drawn(), right = drawn();
    std::memcpy(scratch.data(), image.pixels, image.bytes());
    std::memset(image.pixels, 0, image.bytes());
    const StoredImage from{scratch.data(), image.height, image.width, image.pixel_bytes};
    const std::int64_t columns = image.width - std::abs(right);
    if (columns <= 0) return;
    for (std::int64_t y = std::max<std::int64_t>(0, down); y < image.height + std::min<std::int64_t>(0, down); ++y)
      std::memcpy(image.at(y, std::max<std::int64_t>(0, right)), from.at(y - down, std::max<std::int64_t>(0, -right)),
                  static_cast<std::size_t>(columns) * image.pixel_bytes);
  }

 private:
  std::int64_t padding_;
};

/// A square around a pixel of the image emptied. Source: DeVries & Taylor, "Improved regularization of convolutional neural networks with
/// cutout", 2017.
class CutOut final : public ImageChange {
 public:
  explicit CutOut(std::int64_t size) : size_(size) {}
  void apply(const StoredImage& image, RandomStream& random, std::span<std::byte>) const override {
    const std::int64_t top = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(image.height))) - size_ / 2;
    const std::int64_t first = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(image.width))) - size_ / 2;
    const std::int64_t left = std::max<std::int64_t>(0, first), right = std::min(image.width, first + size_);
    for (std::int64_t y = std::max<std::int64_t>(0, top); y < std::min(image.height, top + size_); ++y)
      std::memset(image.at(y, left), 0, static_cast<std::size_t>(right - left) * image.pixel_bytes);
  }

 private:
  std::int64_t size_;
};

struct Word {
  std::string name;
  std::int64_t size = 0;  // 0: none was given
};

Word parse_word(const std::string& text) {
  const std::size_t bracket = text.find('(');
  Word out{.name = text.substr(0, bracket)};
  if (bracket == std::string::npos) return out;
  const char *begin = text.data() + bracket + 1, *end = text.data() + text.size();
  const auto [last, error] = std::from_chars(begin, end, out.size);
  if (error != std::errc() || last + 1 != end || *last != ')' || out.size < 1)
    throw UsageError("data.augment: '" + excerpt(text) + "' is refused: expected WORD or WORD(PIXELS), as flip crop(4)");
  return out;
}

}  // namespace

Augmentation::Augmentation(const std::vector<std::string>& words, const Shape& row_shape, const Registry& registry)
    : row_shape_(row_shape) {
  if (words.empty()) return;
  if (row_shape.rank() != 3)
    throw UsageError("data.augment changes images [H, W, C], rows are " + row_shape.text() + "; say data.shape, as 28x28x1");
  for (const std::string& text : words) {
    const Word word = parse_word(text);
    const AugmentEntry& entry = registry.of<AugmentEntry>().at(word.name, "data.augment");
    if (entry.takes_size != (word.size > 0))
      throw UsageError("data.augment: " + word.name +
                       (entry.takes_size ? " needs a size in pixels, as " + word.name + "(4)" : " takes no size"));
    if (word.size > std::min(row_shape[0], row_shape[1]))
      throw UsageError("data.augment: '" + text + "' is larger than the images, " + row_shape.text());
    changes_.push_back(entry.make(word.size));
  }
}

void Augmentation::apply(std::byte* rows, std::size_t count, DType dtype, const Draw& draw) const {
  if (changes_.empty()) return;
  StoredImage image{rows, row_shape_[0], row_shape_[1], static_cast<std::size_t>(row_shape_[2]) * size_bytes(dtype)};
  std::vector<std::byte> scratch(image.bytes());
  for (std::size_t i = 0; i < count; ++i, image.pixels += image.bytes()) {
    RandomStream random(mix(draw.key, static_cast<std::uint64_t>(draw.first_position) + i));
    for (const auto& change : changes_) change->apply(image, random, scratch);
  }
}

void register_augment(Registry& registry) {
  auto& words = registry.of<AugmentEntry>();
  words.add("flip", {.help = "flip: left and right exchanged, of one image in two",
                     .takes_size = false,
                     .make = [](std::int64_t) -> std::unique_ptr<ImageChange> { return std::make_unique<Flip>(); }});
  words.add("crop", {.help = "crop(P): moved by up to P pixels each way, 0 coming in",
                     .takes_size = true,
                     .make = [](std::int64_t size) -> std::unique_ptr<ImageChange> { return std::make_unique<Crop>(size); }});
  words.add("cutout", {.help = "cutout(S): a square of S pixels a side around a pixel of the image becomes 0",
                       .takes_size = true,
                       .make = [](std::int64_t size) -> std::unique_ptr<ImageChange> { return std::make_unique<CutOut>(size); }});
}

}  // namespace chorale
