#include <catch2/catch.hpp>

#include <chorale/core/base/random.hpp>
#include <chorale/core/base/registry.hpp>

using namespace chorale;

TEST_CASE("philox gives the published known answers") {
  // Random123 kat_vectors, philox4x32 10 rounds
  CHECK(philox(0, 0, 0) == Philox4{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u});
  CHECK(philox(~0ull, ~0ull, ~0ull) == Philox4{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu});
  CHECK(philox(0x299f31d0a4093822ull, 0x85a308d3243f6a88ull, 0x0370734413198a2eull) ==
        Philox4{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u});
}

TEST_CASE("a stream continues where its position says") {
  RandomStream a(5), b(5, 3);
  for (int i = 0; i < 3; ++i) a.bits();
  for (int i = 0; i < 9; ++i) CHECK(a.bits() == b.bits());
}

TEST_CASE("the nearest name is found and a far word finds none") {
  CHECK(nearest_name("epoch", {"batch", "epochs", "loss"}) == "epochs");
  CHECK(nearest_name("zebra", {"batch", "epochs", "loss"}).empty());
}
