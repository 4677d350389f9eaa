// The end of a process as somebody else than its parent sees it.
#include <catch2/catch.hpp>

#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>

#include <chorale/core/base/process_end.hpp>
#include <chorale/core/base/process_stat.hpp>

using namespace chorale;

namespace {

pid_t sleeper() {
  const pid_t child = ::fork();
  if (child == 0)
    for (;;) ::pause();
  return child;
}

std::optional<int> soon(ProcessEnd& end) {
  for (int i = 0; i < 2000 && !end.status(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return end.status();
}

/// Linux 6.15 and later keep the end of a process that was waited for.
bool keeps_ends() {
  utsname name{};
  int major = 0, minor = 0;
  return ::uname(&name) == 0 && std::sscanf(name.release, "%d.%d", &major, &minor) == 2 && (major > 6 || (major == 6 && minor >= 15));
}

}  // namespace

TEST_CASE("a process that lives has no end, and one that was killed has its signal") {
  const pid_t child = sleeper();
  ProcessEnd end(child);
  CHECK_FALSE(end.status());
  ::kill(child, SIGKILL);
  const auto zombie = soon(end);
  REQUIRE(zombie);
  CHECK(WIFSIGNALED(*zombie));
  CHECK(WTERMSIG(*zombie) == SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK(end.status() == zombie);
}

TEST_CASE("the end of a process that its parent has waited for is known where the kernel keeps it") {
  const pid_t child = ::fork();
  if (child == 0) {
    ::usleep(20000);
    ::_exit(7);
  }
  ProcessEnd end(child);
  ::waitpid(child, nullptr, 0);
  const auto status = end.status();
  if (!keeps_ends()) {
    CHECK_FALSE(status);
    return;
  }
  REQUIRE(status);
  CHECK(WEXITSTATUS(*status) == 7);
}

TEST_CASE("no process, no end; what is moved goes on watching") {
  CHECK_FALSE(ProcessEnd(0).status());
  const pid_t child = sleeper();
  ProcessEnd first(child), second(0);
  second = std::move(first);
  ::kill(child, SIGUSR1);  // for SIGTERM the test's framework has a handler
  const auto status = soon(second);
  REQUIRE(status);
  CHECK(WTERMSIG(*status) == SIGUSR1);
  ::waitpid(child, nullptr, 0);
  CHECK_FALSE(ProcessEnd(child).status());
}

// An istreambuf_iterator threw where the process was waited for between open and read, and ended the supervisor of a run.
TEST_CASE("a process may end while it is looked at") {
  CHECK(process_stat(::getpid()).find(')') != std::string::npos);
  for (int i = 0; i < 300; ++i) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    std::thread waits([&] { ::waitpid(child, nullptr, 0); });
    std::string line = "?";
    while (!line.empty()) line = process_stat(child);
    waits.join();
  }
  CHECK(process_stat(4194305).empty());
}
