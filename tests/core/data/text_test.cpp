// Text as data: tokens, windows, parts, and what is refused.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <set>
#include <thread>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/pipeline.hpp>
#include <chorale/core/data/text_dataset.hpp>
#include <chorale/core/data/tokeniser.hpp>
#include <chorale/tests/train/folder.hpp>
#include <chorale/train/data/reader.hpp>

using namespace chorale;

namespace {

template <class F>
std::string refusal(const F& use) {
  try {
    use();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::shared_ptr<TextDataset> counting(std::int64_t tokens, std::int64_t context) {
  auto numbers = std::make_shared<std::vector<std::int32_t>>(static_cast<std::size_t>(tokens));
  std::iota(numbers->begin(), numbers->end(), 0);
  return std::make_shared<TextDataset>(*numbers, context, numbers);
}

std::vector<std::int32_t> drawn(const TextDataset& data, int field, std::vector<std::int64_t> rows, Draw draw) {
  std::vector<std::int32_t> out(rows.size() * static_cast<std::size_t>(data.fields()[0].row_shape[0]));
  data.gather_for_training(field, rows, draw, out.data());
  return out;
}

DataParts read(DataOptions data, Communicator& comm, const std::string& loss = "cross_entropy") {
  Registry registry;
  register_all(registry);
  SilentLog log;
  data.format = "text";
  TrainOptions train;
  train.loss = loss;
  return read_data({data, train, comm, log, registry});
}

}  // namespace

TEST_CASE("characters are numbered in the order of code points, with one number behind them for all others") {
  const Tokeniser t = Tokeniser::of_characters(
      "b\xC3\xA9"
      "a\n\xE2\x82\xAC"
      "b",
      1, "file");
  CHECK(t.characters() == std::vector<std::string>{"\n", "a", "b", "\xC3\xA9", "\xE2\x82\xAC"});
  CHECK(t.size() == 6);
  CHECK(t.encode("ab\xC3\xA9z", "text") == std::vector<std::int32_t>{1, 2, 3, 5});
  CHECK(t.text(3) == "\xC3\xA9");
  CHECK(t.text(t.other()) == "\xEF\xBF\xBD");
  CHECK(t.names().back() == "(other)");
  CHECK(Tokeniser::of_characters("aab", 0.67, "file").characters() == std::vector<std::string>{"a"});
}

TEST_CASE("bytes are their own numbers") {
  const Tokeniser t;
  CHECK(t.size() == 256);
  CHECK(t.encode(std::string("\xFF\0a", 3), "text") == std::vector<std::int32_t>{255, 0, 97});
  CHECK(t.text(255) == "\xFF");
  CHECK(t.other() == -1);
}

TEST_CASE("what is no UTF-8 is refused with its place and the remedy") {
  for (const std::string bad : {"ab\xFFz", "ab\xC3", "ab\xC3(", "ab\xED\xA0\x80", "ab\xC0\x80", "ab\xF4\x90\x80\x80"}) {
    CAPTURE(bad);
    const std::string error = refusal([&] { Tokeniser::of_characters(bad, 1, "poem.txt"); });
    CHECK(error.find("poem.txt: byte 2") == 0);
    CHECK(error.find("data.tokens = byte") != std::string::npos);
  }
}

TEST_CASE("windows do not overlap, and each target is the next token") {
  const auto data = counting(22, 5);  // 21 targets: four windows, the last token of all is left out
  REQUIRE(data->rows() == 4);
  std::vector<std::int32_t> tokens(10), targets(10);
  data->gather(0, std::vector<std::int64_t>{3, 0}, tokens.data());
  data->gather(1, std::vector<std::int64_t>{3, 0}, targets.data());
  CHECK(tokens == std::vector<std::int32_t>{15, 16, 17, 18, 19, 0, 1, 2, 3, 4});
  CHECK(targets == std::vector<std::int32_t>{16, 17, 18, 19, 20, 1, 2, 3, 4, 5});
  CHECK(counting(6, 5)->rows() == 1);
  CHECK(counting(0, 5)->rows() == 0);
  CHECK(refusal([] { counting(5, 5); }).find("lower data.context") != std::string::npos);
}

TEST_CASE("in training a window's place is drawn by position in the global batch, whatever share of it is asked for") {
  const auto data = counting(1000, 10);
  std::vector<std::int64_t> rows(99);
  std::iota(rows.begin(), rows.end(), 0);
  const auto whole = drawn(*data, 0, rows, {5, 40});
  CHECK(whole == drawn(*data, 0, rows, {5, 40}));
  CHECK(whole != drawn(*data, 0, rows, {6, 40}));
  const auto part = drawn(*data, 0, {rows.begin() + 30, rows.begin() + 60}, {5, 70});
  CHECK(part == std::vector<std::int32_t>(whole.begin() + 300, whole.begin() + 600));
  const auto targets = drawn(*data, 1, rows, {5, 40});
  std::set<std::int32_t> later;
  for (std::size_t i = 0; i < whole.size(); ++i) CHECK(targets[i] == whole[i] + 1);
  for (std::size_t r = 0; r < 98; ++r) later.insert(whole[r * 10] - static_cast<std::int32_t>(r * 10));
  CHECK(later.size() == 10);  // each place up to context - 1 later
  CHECK(*later.begin() == 0);
}

TEST_CASE("a text is cut by position, on all ranks alike, and its vocabulary is that of the training part") {
  const Folder folder;
  std::filesystem::create_directories(folder.path);
  std::string text;
  for (int i = 0; i < 100; ++i) text += "ab\xC3\xA9 ";
  std::ofstream(folder.path / "t.txt") << text << "zzzzzzzzzz";  // 410 characters
  DataOptions data;
  data.file = {(folder.path / "t.txt").string()};
  data.context = 8;
  auto comms = make_thread_communicators(2);
  std::vector<DataParts> parts(2);
  std::thread other([&] { parts[1] = read(data, *comms[1]); });
  parts[0] = read(data, *comms[0]);
  other.join();
  const Pipeline& p = parts[0].pipeline;
  CHECK(parts[0].identity == parts[1].identity);
  CHECK(p.to_json() == parts[1].pipeline.to_json());
  CHECK(p.tokens.characters == std::vector<std::string>{" ", "a", "b", "\xC3\xA9"});
  CHECK(p.row_shape() == Shape{8});
  CHECK(p.split == "order 0.8 0.1 0.1");
  CHECK(parts[0].train->rows() == (328 - 1) / 8);
  CHECK(parts[0].validation->rows() == 5);
  CHECK(parts[0].test->rows() == 5);
  std::vector<std::int32_t> last(8);
  parts[1].test->gather(1, std::vector<std::int64_t>{4}, last.data());
  CHECK(last == std::vector<std::int32_t>(8, 4));  // z, which training has not seen
  const Pipeline again = Pipeline::from_json(p.to_json());
  CHECK(again.to_json() == p.to_json());
  CHECK(again.tokens.tokeniser().size() == 5);
}

TEST_CASE("what does not fit text is refused with the remedy") {
  const Folder folder;
  std::filesystem::create_directories(folder.path);
  std::ofstream(folder.path / "t.txt") << "to be or not to be";
  std::ofstream(folder.path / "empty.txt");
  auto comm = make_self_communicator();
  DataOptions data;
  data.file = {(folder.path / "t.txt").string()};
  CHECK(refusal([&] { read(data, *comm); }).find("lower data.context") != std::string::npos);
  data.context = 1;
  CHECK(refusal([&] { read(data, *comm, "mse"); }).find("use cross_entropy") != std::string::npos);
  data.split = {"random", "0.8", "0.2"};
  CHECK(refusal([&] { read(data, *comm); }).find("use order") != std::string::npos);
  data.split = {"order", "0.5", "0.5"};
  CHECK(read(data, *comm).validation->rows() == 0);
  data.target = "x";
  CHECK(refusal([&] { read(data, *comm); }).find("does nothing") != std::string::npos);
  data.target = "", data.file = {(folder.path / "empty.txt").string()};
  CHECK(refusal([&] { read(data, *comm); }).find("is empty") != std::string::npos);
}
