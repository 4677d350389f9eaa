// What rank 0 says on the terminal.
#include <catch2/catch.hpp>

#include <unistd.h>

#include <cstdio>
#include <string>

#include <chorale/launcher/session.hpp>

using namespace chorale;

namespace {

/// What is written to stderr meanwhile.
template <class F>
std::string heard(F f) {
  std::FILE* file = std::tmpfile();
  std::fflush(stderr);
  const int before = ::dup(STDERR_FILENO);
  ::dup2(::fileno(file), STDERR_FILENO);
  f();
  std::fflush(stderr);
  ::dup2(before, STDERR_FILENO);
  ::close(before);
  std::string out;
  std::rewind(file);
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) out += static_cast<char>(c);
  std::fclose(file);
  return out;
}

}  // namespace

TEST_CASE("equal warnings are one line, and at the end one more with their number") {
  const std::string said = heard([] {
    ConsoleLog log(0);
    for (int i = 0; i < 12; ++i) log.warning("the link is slow"), log.info("a line");
    log.warning("once");
  });
  CHECK(said ==
        "chorale: warning: the link is slow\nchorale: a line\nchorale: warning: once\nchorale: warning: said 12 times: the link is slow\n");
}

TEST_CASE("other ranks than 0 leave warnings to their files") {
  CHECK(heard([] {
          ConsoleLog log(1);
          log.warning("the link is slow"), log.warning("the link is slow");
        }) == "");
}
