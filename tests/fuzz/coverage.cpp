#include "coverage.hpp"

#include <array>
#include <bit>
#include <cstdint>

namespace {

constexpr std::size_t kPlaces = 1 << 16;
std::array<std::uint8_t, kPlaces> hits;   // of this input
std::array<std::uint8_t, kPlaces> known;  // bits: hit 1, 2, 3 to 4, 5 to 8 ... times by an input before
std::uintptr_t last_place = 0;

}  // namespace

// The compiler calls this in each basic block of a file that is built with -fsanitize-coverage=trace-pc. Pairs, so that the way counts.
// Source of the scheme: M. Zalewski, technical whitepaper of american fuzzy lop.
extern "C" void __sanitizer_cov_trace_pc() {
  const auto place = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  const std::uintptr_t mixed = (place ^ (place >> 13)) * 0x9e3779b1u;
  std::uint8_t& count = hits[(mixed ^ last_place) % kPlaces];
  if (count < 255) ++count;
  last_place = mixed >> 1;
}

namespace chorale::fuzz {

void forget_places() {
  hits.fill(0);
  last_place = 0;
}

bool has_new_places() {
  bool found = false;
  for (std::size_t i = 0; i < kPlaces; ++i) {
    if (hits[i] == 0) continue;
    const auto bucket = static_cast<std::uint8_t>(1u << (std::bit_width(static_cast<unsigned>(hits[i] - 1u))) % 8);
    found = found || (known[i] & bucket) == 0;
    known[i] = static_cast<std::uint8_t>(known[i] | bucket);
  }
  return found;
}

std::size_t places_seen() {
  std::size_t n = 0;
  for (const std::uint8_t bits : known) n += bits != 0;
  return n;
}

}  // namespace chorale::fuzz
