#include <catch2/catch.hpp>

#include <zlib.h>

#include "csv_fixture.hpp"

using namespace chorale;

namespace {

std::string packed(const std::string& text) {
  std::string out(compressBound(static_cast<uLong>(text.size())) + 64, '\0');
  z_stream z{};
  REQUIRE(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  z.next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<unsigned char*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&z, Z_FINISH) == Z_STREAM_END);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

std::string table_text() {
  std::string text = "a,b\n";
  for (int i = 0; i < 200000; ++i) text += std::to_string(i) + ",w" + std::to_string(i % 10) + "\n";
  return text;
}

}  // namespace

TEST_CASE("a packed file reads as the plain one does, whatever its name") {
  const TemporaryFolder folder;
  const std::string text = table_text();
  const WholeTable plain = read_whole(options_for(folder.write("a.csv", text)));
  const WholeTable once = read_whole(options_for(folder.write("b.csv", packed(text))), 100000, 2);
  CHECK(once.cells == plain.cells);
  const std::size_t half = text.size() / 2;  // cat a.gz b.gz, and the padding of a tape
  const WholeTable twice =
      read_whole(options_for(folder.write("c.gz", packed(text.substr(0, half)) + packed(text.substr(half)) + std::string(512, '\0'))));
  CHECK(twice.cells == plain.cells);
}

TEST_CASE("a damaged or cut packed file is bad data with its path") {
  const TemporaryFolder folder;
  const std::string good = packed(table_text());
  const std::string cut = folder.write("cut.gz", good.substr(0, good.size() / 2));
  CHECK(data_error(options_for(cut)).starts_with(cut + ": the gzip stream is cut short after "));
  const std::string no_end = folder.write("end.gz", good.substr(0, good.size() - 3));
  CHECK(data_error(options_for(no_end)).starts_with(no_end + ": the gzip stream is cut short after "));
  std::string flipped = good;
  flipped[good.size() / 2] = static_cast<char>(flipped[good.size() / 2] ^ 0x10);
  const std::string damaged = folder.write("damaged.gz", flipped);
  CHECK(data_error(options_for(damaged)).starts_with(damaged + ": the gzip stream is damaged"));
  CHECK(data_error(options_for(folder.write("empty.gz", packed("")))).find("the file is empty") != std::string::npos);
}

TEST_CASE("the unpacked file has no name, and another descriptor of it reads the same") {
  const TemporaryFolder folder, spill;
  const DataOptions options = options_for(folder.write("a.gz", packed(table_text())));
  CsvSource first(options, {.spill_directory = spill.path()});
  CHECK(std::filesystem::is_empty(spill.path()));
  std::vector<Source> taken;
  taken.emplace_back(first.sources().front().descriptor(), options.file.front());
  CsvSource second(std::move(taken), options);
  CHECK(second.sources().front().bytes() == first.sources().front().bytes());
  CHECK(second.scan(0).state() == first.scan(0).state());
  CHECK_THROWS_AS(CsvSource(options, {.spill_directory = spill.path() + "/absent"}), IoError);
}
