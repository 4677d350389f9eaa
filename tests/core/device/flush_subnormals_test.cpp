#include <catch2/catch.hpp>

#include <thread>

#include <chorale/core/device/cpu/flush_subnormals.hpp>

using chorale::FlushSubnormals;

namespace {

/// A product in the range of subnormal numbers, and one with a factor from there.
struct Products {
  float becomes, takes;
};

Products products() {
  volatile float small = 1e-30f, factor = 1e-10f, subnormal = 1e-40f, large = 1e10f;
  return {small * factor, subnormal * large};
}

}  // namespace

TEST_CASE("subnormal numbers are zeros in a thread and in those that it starts, as long as is asked for") {
  CHECK(products().becomes > 0);
  CHECK(products().takes > 0);
  {
    const FlushSubnormals flush;
    const Products here = products();
    Products there{1, 1};
    std::thread([&] { there = products(); }).join();
    CHECK(here.becomes == 0);
    CHECK(here.takes == 0);
    CHECK(there.becomes == 0);
    CHECK(there.takes == 0);
  }
  CHECK(products().becomes > 0);
}
