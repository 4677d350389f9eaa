// Folders for temporary files go with their owner, however it ends, and nothing else goes with them.
#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include <chorale/core/base/private_folder.hpp>

namespace chorale {

namespace fs = std::filesystem;

namespace {
/// Of a process that has been killed meanwhile.
fs::path left_by_a_killed_one(const fs::path& where, const std::string& prefix) {
  int pipe[2];
  REQUIRE(::pipe(pipe) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const PrivateFolder folder(where, prefix);
    std::ofstream(folder.path() + "/file") << "x";
    (void)!::write(pipe[1], folder.path().data(), folder.path().size());
    for (;;) ::pause();
  }
  char text[512] = {};
  REQUIRE(::read(pipe[0], text, sizeof text - 1) > 0);
  ::close(pipe[0]), ::close(pipe[1]);
  CHECK(fs::exists(text));
  remove_abandoned_folders(where);
  CHECK(fs::exists(text));  // it lives
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  return text;
}

void make(const fs::path& folder, const std::string& file = {}) {
  fs::create_directory(folder);
  ::chmod(folder.c_str(), 0700);
  if (!file.empty()) std::ofstream(folder / file) << "x";
}
}  // namespace

TEST_CASE("a folder goes with its owner, and one whose owner was killed when the next is made", "[base]") {
  const PrivateFolder place;
  for (const std::string prefix : {"chorale-", "chorale-mpi-"}) {
    const fs::path left = left_by_a_killed_one(place.path(), prefix);
    CHECK(fs::exists(left));
    fs::path own;
    {
      const PrivateFolder next(place.path(), prefix);
      own = next.path();
      CHECK(fs::exists(own));
      CHECK_FALSE(fs::exists(left));
    }
    CHECK_FALSE(fs::exists(own));
  }
}

TEST_CASE("one that was killed before it had marked its folder leaves an empty one, which goes too", "[base]") {
  const PrivateFolder place;
  const fs::path where = place.path();
  make(where / "chorale-a1b2C3"), make(where / "chorale-mpi-a1b2C3");
  remove_abandoned_folders(where);
  CHECK_FALSE(fs::exists(where / "chorale-a1b2C3"));
  CHECK_FALSE(fs::exists(where / "chorale-mpi-a1b2C3"));
}

TEST_CASE("what only looks like such a folder stays", "[base]") {
  const PrivateFolder place, elsewhere;
  const fs::path where = place.path();
  make(where / "chorale-models", "weights");  // no mark
  make(where / "chorale-letter", "owner");    // a link in its place below
  make(where / "chorale-my-run", "owner");    // no name of ours
  make(where / "chorale-shared"), ::chmod((where / "chorale-shared").c_str(), 0755);
  fs::remove(where / "chorale-letter" / "owner");
  std::ofstream(where / "chorale-letter" / "text") << "x";
  fs::create_symlink("text", where / "chorale-letter" / "owner");
  std::ofstream(elsewhere.path() + "/kept") << "x";
  fs::create_symlink(elsewhere.path(), where / "chorale-linked");
  std::ofstream(where / "chorale-a_file") << "x";
  remove_abandoned_folders(where);
  for (const char* name :
       {"chorale-models/weights", "chorale-letter/text", "chorale-my-run/owner", "chorale-shared", "chorale-linked/kept", "chorale-a_file"})
    CHECK(fs::exists(where / name));
}

TEST_CASE("a folder that has gone can be made again under its name", "[base]") {
  const PrivateFolder place;
  PrivateFolder folder(place.path(), "chorale-mpi-");
  folder.remove();
  CHECK_FALSE(fs::exists(folder.path()));
  make(folder.path());  // another's by now
  folder.remove(), folder.make_again();
  CHECK(fs::is_empty(folder.path()));
  fs::remove(folder.path());
  folder.make_again();
  remove_abandoned_folders(place.path());
  CHECK(fs::exists(folder.path()));
}

}  // namespace chorale
