#include <catch2/catch.hpp>

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/private_folder.hpp>
#include <chorale/core/io/text_lines.hpp>

using namespace chorale;

namespace {
std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> out;
  TextLines lines(path);
  for (std::string line; lines.next(line);) out.push_back(line);
  return out;
}
}  // namespace

TEST_CASE("lines are whole across blocks, the last one has no end, and a line without measure is passed over") {
  const PrivateFolder folder;
  const std::string path = folder.path() + "/lines";
  const std::string longer(100'000, 'x'), endless(17 << 20, 'y');
  std::ofstream(path) << "a\n\n" << longer << "\n" << endless << "\nb";
  CHECK(lines_of(path) == std::vector<std::string>{"a", "", longer, "b"});
  std::ofstream(path) << "a\n" << endless;
  CHECK(lines_of(path) == std::vector<std::string>{"a"});
  CHECK(lines_of(folder.path() + "/none").empty());
}

TEST_CASE("what is no regular file is refused at once: no pipe is waited for") {
  const PrivateFolder folder;
  const std::string pipe = folder.path() + "/pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_THROWS_WITH(read_text(pipe), Catch::Contains("pipe") && Catch::Contains("no regular file"));
  CHECK_THROWS_AS(File::open_read(folder.path()), IoError);
  CHECK_THROWS_AS(File::open_read("/dev/zero"), IoError);
  CHECK(lines_of(pipe).empty());
  CHECK(lines_of(folder.path()).empty());
  CHECK(lines_of("/dev/zero").empty());
}
