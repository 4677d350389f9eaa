#include <catch2/catch.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/file.hpp>

using namespace chorale;
namespace fs = std::filesystem;

TEST_CASE("an atomic write follows a link and keeps it") {
  fs::remove("linked.txt");
  fs::remove("target.txt");
  write_file_atomically("target.txt", "old");
  fs::create_symlink("target.txt", "linked.txt");
  write_file_atomically("linked.txt", "new");
  CHECK(fs::is_symlink("linked.txt"));
  CHECK(read_text("target.txt") == "new");
}

TEST_CASE("a device is written to, never replaced by a file") {
  write_file_atomically("/dev/null", "gone");
  CHECK(fs::is_character_file("/dev/null"));
  CHECK_THROWS_AS(write_file_atomically("/dev/full", "no room"), IoError);
  CHECK(fs::is_character_file("/dev/full"));
}

TEST_CASE("a folder is refused as a file to write") {
  fs::create_directory("a_folder");
  CHECK_THROWS_WITH(write_file_atomically("a_folder", "x"), Catch::Contains("a_folder"));
  CHECK(fs::is_directory("a_folder"));
}
