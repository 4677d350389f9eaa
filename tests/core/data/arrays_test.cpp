// Arrays as data: labels, scaling, random changes of images, fields of other types than floats.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/array_dataset.hpp>
#include <chorale/core/data/array_labels.hpp>
#include <chorale/core/data/array_scale.hpp>
#include <chorale/core/data/data_options.hpp>
#include <chorale/core/data/extents.hpp>
#include <chorale/core/io/idx.hpp>
#include <chorale/train/data/reader.hpp>

using namespace chorale;
using namespace std::string_literals;

namespace {

using Pixels = std::vector<std::uint8_t>;

ArrayView labels_of(const std::string& bytes) { return view_idx(bytes, "labels"); }

const std::string kLabels = "\0\0\x08\1\0\0\0\4\7\1\7\3"s;  // u8 [4]

template <class F>
std::string refusal(const F& use) {
  try {
    use();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

/// An image whose pixels are 1, 2, 3, ...
Pixels counted(std::size_t size) {
  Pixels out(size);
  std::iota(out.begin(), out.end(), std::uint8_t{1});
  return out;
}

struct Changed {
  Registry registry;
  Changed() { register_all(registry); }
  /// `count` images of this shape after the words, as the sample at `position` of step `key`.
  Pixels operator()(const std::vector<std::string>& words, const Shape& shape, std::size_t count, Draw draw) {
    Pixels images;
    for (std::size_t i = 0; i < count; ++i) {
      const Pixels one = counted(static_cast<std::size_t>(shape.elements()));
      images.insert(images.end(), one.begin(), one.end());
    }
    Augmentation(words, shape, registry).apply(reinterpret_cast<std::byte*>(images.data()), count, DType::u8, draw);
    return images;
  }
};

}  // namespace

TEST_CASE("labels of an array are numbered by the classes that occur, in the order of numbers") {
  ArrayLabels labels(labels_of(kLabels), TargetKind::classes);
  CHECK(labels.classes() == std::vector<std::string>{"1", "3", "7"});
  labels.number({"1", "3", "7"});
  CHECK(std::vector<std::int32_t>(labels.numbers().begin(), labels.numbers().end()) == std::vector<std::int32_t>{2, 0, 2, 1});
  const auto keys = labels.keys();
  CHECK(keys[0] == keys[2]);
  CHECK(keys[0] != keys[1]);
  const ArrayLabels values(labels_of(kLabels), TargetKind::value);
  CHECK(std::vector<double>(values.values().begin(), values.values().end()) == std::vector<double>{7, 1, 7, 3});
  CHECK(!values.are_classes());
}

TEST_CASE("a label that cannot be is named with file, row and offset") {
  ArrayLabels labels(labels_of(kLabels), TargetKind::classes);
  CHECK_THAT(refusal([&] { labels.number({"1", "7"}); }), Catch::StartsWith("labels: row 3, at byte 11, has class 3"));
  const std::string halves = "\0\0\x0d\1\0\0\0\2\x3f\x80\0\0\x3f\x00\0\0"s;  // 1, 0.5
  CHECK_THAT(refusal([&] { ArrayLabels(labels_of(halves), TargetKind::classes); }),
             Catch::StartsWith("labels: row 1, at byte 12, holds 0.5") && Catch::Contains("train.loss = mse"));
  const std::string nan = "\0\0\x0d\1\0\0\0\2\x3f\x80\0\0\x7f\xc0\0\0"s;
  CHECK_THAT(refusal([&] { ArrayLabels(labels_of(nan), TargetKind::value); }), Catch::StartsWith("labels: row 1, at byte 12, holds NaN"));
}

TEST_CASE("scaling by the training rows does not depend on how they are shared out, and has the textbook's values") {
  const Pixels bytes = {10, 0, 20, 0, 60, 0, 250, 3};  // two places a row
  ArrayScale whole(2), left(2), right(2);
  whole.add(std::span(bytes));
  left.add(std::span(bytes).first(2)), right.add(std::span(bytes).subspan(2));
  right.merge(left.state());
  const auto a = whole.fit("standardise", true), b = right.fit("standardise", true);
  CHECK(a.shift == b.shift);
  CHECK(a.factor == b.factor);
  CHECK(a.shift[0] == 85);
  CHECK(a.factor[0] == Approx(1 / std::sqrt((75 * 75 + 65 * 65 + 25 * 25 + 165 * 165) / 4.0)).epsilon(1e-15));
  CHECK(whole.fit("minmax", true).factor == std::vector<double>{1.0 / 255});
  CHECK(whole.fit("none", true).factor.empty());
  CHECK_THAT(refusal([&] { whole.fit("robust", true); }), Catch::Contains("standardise, minmax or none"));

  const std::vector<double> numbers(bytes.begin(), bytes.end());
  ArrayScale some(2), others(2);
  others.add(std::span(numbers).first(6)), some.add(std::span(numbers).subspan(6));
  some.merge(others.state());
  CHECK(some.fit("standardise", false).shift == a.shift);
  CHECK(some.fit("standardise", false).factor[1] == Approx(a.factor[1]).epsilon(1e-15));
  CHECK(some.fit("minmax", false).shift == std::vector<double>{10, 0});
  CHECK(some.fit("minmax", false).factor == std::vector<double>{1.0 / 240, 1.0 / 3});
  ArrayScale constant(1);
  constant.add(std::span<const double>(std::vector<double>{4, 4}));
  CHECK(constant.fit("standardise", false).factor == std::vector<double>{1});
}

TEST_CASE("what is drawn for an image follows from the step and its position in the batch, whoever loads it") {
  Changed changed;
  const Shape shape{6, 6, 2};
  std::vector<std::string> words;  // all that are registered
  for (const std::string& name : changed.registry.of<AugmentEntry>().names())
    words.push_back(name + (changed.registry.of<AugmentEntry>().at(name, "").takes_size ? "(2)" : ""));
  REQUIRE(words.size() >= 3);
  for (const std::string& word : words) CHECK(changed({word}, shape, 40, {.key = 5}) != changed({}, shape, 40, {.key = 5}));
  const Pixels all = changed(words, shape, 20, {.key = 5, .first_position = 40});
  const Pixels last = changed(words, shape, 7, {.key = 5, .first_position = 53});
  CHECK(std::equal(last.begin(), last.end(), all.begin() + 13 * 72));
  CHECK(changed(words, shape, 20, {.key = 6, .first_position = 40}) != all);
}

TEST_CASE("a flip mirrors every other image, with its channels in their order") {
  Changed changed;
  const Pixels all = changed({"flip"}, {1, 2, 2}, 400, {.key = 1});
  const Pixels plain = {1, 2, 3, 4}, mirrored = {3, 4, 1, 2};
  int flipped = 0;
  for (auto at = all.begin(); at != all.end(); at += 4) {
    const bool is_mirrored = std::equal(mirrored.begin(), mirrored.end(), at);
    CHECK((is_mirrored || std::equal(plain.begin(), plain.end(), at)));
    flipped += is_mirrored;
  }
  CHECK(flipped > 150);  // of 400; 200 are expected, 5 standard deviations are 50
  CHECK(flipped < 250);
}

TEST_CASE("a crop moves the image by at most its padding each way and brings zeros in") {
  Changed changed;
  const Pixels all = changed({"crop(1)"}, {3, 3, 1}, 300, {.key = 2});
  std::vector<int> seen(9);
  for (std::size_t i = 0; i < 300; ++i) {
    bool found = false;
    for (int down = -1; down <= 1; ++down)
      for (int right = -1; right <= 1; ++right) {
        bool fits = true;
        for (int y = 0; y < 3; ++y)
          for (int x = 0; x < 3; ++x) {
            const bool inside = y - down >= 0 && y - down < 3 && x - right >= 0 && x - right < 3;
            const int expected = inside ? (y - down) * 3 + (x - right) + 1 : 0;
            fits = fits && all[i * 9 + static_cast<std::size_t>(y * 3 + x)] == expected;
          }
        if (fits) ++seen[static_cast<std::size_t>((down + 1) * 3 + right + 1)];
        found = found || fits;
      }
    CHECK(found);
  }
  CHECK(std::count(seen.begin(), seen.end(), 0) == 0);
}

TEST_CASE("a cut-out empties one square, which may reach over the border") {
  Changed changed;
  const Pixels all = changed({"cutout(2)"}, {4, 4, 1}, 200, {.key = 3});
  std::vector<int> sizes(5);
  for (std::size_t i = 0; i < 200; ++i) ++sizes[static_cast<std::size_t>(std::count(all.begin() + i * 16, all.begin() + (i + 1) * 16, 0))];
  CHECK(sizes[0] + sizes[3] == 0);
  CHECK(sizes[1] > 0);  // at the corner
  CHECK(sizes[2] > 0);
  CHECK(sizes[4] > 0);
}

TEST_CASE("words of data.augment and extents that mean nothing are refused with what is allowed") {
  Changed changed;
  const auto words = [&](const std::string& word, const Shape& shape) {
    return refusal([&] { Augmentation({word}, shape, changed.registry); });
  };
  CHECK_THAT(words("flop", {4, 4, 1}), Catch::Contains("did you mean 'flip'"));
  CHECK_THAT(words("crop", {4, 4, 1}), Catch::Contains("needs a size in pixels"));
  CHECK_THAT(words("flip(2)", {4, 4, 1}), Catch::Contains("takes no size"));
  CHECK_THAT(words("crop(5)", {4, 4, 1}), Catch::Contains("larger than the images"));
  CHECK_THAT(words("crop(2", {4, 4, 1}), Catch::Contains("WORD(PIXELS)"));
  CHECK_THAT(words("flip", {16}), Catch::Contains("data.shape"));
  CHECK(parse_extents("28x28x1") == Shape{28, 28, 1});
  CHECK(parse_extents("").rank() == 0);
  for (const char* text : {"28x", "x28", "0x3", "-1", "2x2x2x2x2x2", "3 x 3", "9999999999x9999999999"})
    CHECK_THROWS_AS(parse_extents(text), UsageError);
}

TEST_CASE("fields of an array data set have types and shapes of their own, and training sees changed images alone") {
  Changed changed;
  const auto augmentation = std::make_shared<const Augmentation>(std::vector<std::string>{"cutout(2)"}, Shape{2, 2, 1}, changed.registry);
  const Pixels images = counted(12);
  const std::vector<std::int32_t> tokens = {1, 2, 3, 4, 5, 6};
  const ArrayDataset data({{{.name = "x", .dtype = DType::u8, .row_shape = {2, 2, 1}}, reinterpret_cast<const std::byte*>(images.data())},
                           {{.name = "tokens", .dtype = DType::i32, .row_shape = {2}, .use = Field::Use::index},
                            reinterpret_cast<const std::byte*>(tokens.data())}},
                          {2, 0}, nullptr, augmentation);
  CHECK(data.rows() == 2);
  CHECK(data.row_id(0) == 2);
  const std::vector<std::int64_t> rows = {1, 0};
  std::vector<std::int32_t> ids(4);
  data.gather(1, rows, ids.data());
  CHECK(ids == std::vector<std::int32_t>{1, 2, 5, 6});
  Pixels plain(8), drawn(8);
  data.gather(0, rows, plain.data());
  CHECK(plain == Pixels{1, 2, 3, 4, 9, 10, 11, 12});
  data.gather_for_training(0, rows, {.key = 1}, drawn.data());
  CHECK(std::count(drawn.begin(), drawn.end(), 0) >= 2);
}

TEST_CASE("a key that a format has no use for is refused, with those that it takes") {
  DataOptions data;
  data.separator = ";";
  const std::vector<std::string_view> taken = {"file", "labels"};
  CHECK_THAT(refusal([&] { check_taken(data, "idx", taken); }),
             Catch::Contains("data.separator does nothing with data.format = idx") && Catch::Contains("file labels"));
  data.separator = "auto", data.labels = "y";
  CHECK_NOTHROW(check_taken(data, "idx", taken));
}

TEST_CASE("a pipeline of arrays survives the way through its file, and a damaged one is refused") {
  Pipeline p;
  p.array = {.row_shape = {4, 4, 3}, .stored = DType::u8, .shift = {1, 2, 3.5}, .factor = {0.1, 0.2, 1.0 / 3}};
  p.targets.push_back({.name = "label", .kind = TargetKind::classes, .classes = {"2", "5"}, .class_rows = {7, 8}});
  p.split = "validation 0.1, test in a file of its own", p.training_rows = 15;
  const std::string text = p.to_json();
  const Pipeline back = Pipeline::from_json(text);
  CHECK(back.to_json() == text);
  CHECK(back.row_shape() == Shape{4, 4, 3});
  CHECK(back.features() == 48);
  CHECK(back.array.stored == DType::u8);
  CHECK(back.array.factor == p.array.factor);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string other = text;
    const std::size_t at = other.find(from);
    REQUIRE(at != std::string::npos);
    return other.replace(at, from.size(), to);
  };
  CHECK_THROWS_AS(Pipeline::from_json(with("\"u8\"", "\"u9\"")), CheckpointError);
  CHECK_THROWS_AS(Pipeline::from_json(with("3.5", "3.5, 4")), CheckpointError);
  CHECK_THROWS_AS(Pipeline::from_json(with("\"row_shape\": [", "\"row_shape\": [0,")), CheckpointError);
}

TEST_CASE("every reader takes keys that there are, and every key of [data] is some reader's") {
  Changed all;
  DataOptions data;
  OptionTable table;
  describe(table, data);
  std::set<std::string> left;
  for (const Option& option : table.all()) left.insert(option.key);
  left.erase("data.format");
  for (const std::string& name : all.registry.of<ReaderEntry>().names()) {
    CAPTURE(name);
    const ReaderEntry& entry = all.registry.of<ReaderEntry>().at(name, "");
    CHECK_NOTHROW(check_taken(data, name, entry.keys));
    for (const std::string_view key : entry.keys) {
      CHECK(table.find("data." + std::string(key)) != nullptr);
      left.erase("data." + std::string(key));
    }
  }
  CAPTURE(left);
  CHECK(left.empty());
}
