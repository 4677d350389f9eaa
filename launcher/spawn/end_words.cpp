#include <chorale/launcher/spawn/end_words.hpp>

#include <algorithm>
#include <cstdio>

#include <chorale/launcher/printable.hpp>

namespace chorale {

namespace {
std::string in_own_words(const RankEnd& mine) { return "rank " + std::to_string(mine.rank) + ": " + mine.cause; }
}  // namespace

std::string words_of_first(const RankEnd& mine, const std::optional<ToldVerdict>& told, std::span<const RankEnd> ends) {
  if (mine.kind == CauseKind::own || !told) return in_own_words(mine);
  const bool says_it_itself = std::any_of(ends.begin(), ends.end(), [&](const RankEnd& e) {
    return e.rank == told->rank && e.rank != mine.rank && e.kind == CauseKind::own && !e.cause.empty() && e.cause != told->cause;
  });
  return says_it_itself ? "" : told->cause;
}

std::string words_of_other(const RankEnd& mine, const std::optional<ToldVerdict>& told) {
  if (!told) return in_own_words(mine);
  if (mine.kind != CauseKind::own) return "";
  const bool is_said = told->cause == mine.cause || (told->rank != mine.rank && told->cause.ends_with(mine.cause));
  return is_said ? "" : in_own_words(mine);
}

std::string in_place_of_first(int rank, const std::string& cause) {
  return "rank " + std::to_string(rank) + ": the verdict in place of rank 0: " + cause;
}

std::string words_of_recorded(const std::optional<Verdict>& verdict) {
  return verdict ? "the verdict of another rank: " + verdict->cause : "";
}

void print_end(const std::string& words) {
  if (!words.empty()) std::fprintf(stderr, "chorale: %s\n", printable(words).c_str());
}

}  // namespace chorale
