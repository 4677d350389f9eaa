// A small fuzzer for readers of untrusted bytes: first a corpus with known answers, then mutations of it for as long as is asked.
// One program a reader; each of them defines answer_to and words. Where the reader is compiled with -fsanitize-coverage=trace-pc
// (cmake/fuzz.cmake: builds with the address sanitizer), inputs that reach new places join the pool that is mutated.
#pragma once
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace chorale::fuzz {

/// What the reader makes of an input: "accepted", or "refused: " and the text of its error. Anything thrown from here is a finding.
std::string answer_to(std::string_view input);

/// Words of the format, which mutations put in.
std::span<const std::string_view> words();

/// Something that must hold for every input does not.
struct Broken : std::logic_error {
  using std::logic_error::logic_error;
};

inline void require(bool holds, const std::string& what) {
  if (!holds) throw Broken(what);
}

/// Runs `read`; an `Expected` error is an answer, any other goes on.
template <class Expected, class F>
std::string answer_of(F&& read) {
  try {
    read();
    return "accepted";
  } catch (const Expected& error) {
    return std::string("refused: ") + error.what();
  }
}

}  // namespace chorale::fuzz
