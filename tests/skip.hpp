// A test that cannot run here says why: tests/run.sh finds the line, counts it and repeats the reason.
#pragma once

#include <catch2/catch.hpp>

#include <cstdio>
#include <string>

namespace chorale::tests {

inline void say_skipped(const std::string& reason) {
  std::printf("\nCHORALE_SKIP %s: %s\n", Catch::getResultCapture().getCurrentTestName().c_str(), reason.c_str());
  std::fflush(stdout);
}

}  // namespace chorale::tests

/// Ends the test case here. Only in the body of a TEST_CASE: it returns.
#define CHORALE_SKIP(reason)             \
  do {                                   \
    chorale::tests::say_skipped(reason); \
    SUCCEED("skipped");                  \
    return;                              \
  } while (false)
