#include <chorale/launcher/verdict.hpp>

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {

bool was_killed_by(const RankEnd& end, int signal) { return end.status && WIFSIGNALED(*end.status) && WTERMSIG(*end.status) == signal; }

int precedence(const RankEnd& end) {
  if (end.kind == CauseKind::follows) return 3;
  if (was_asked_to_end(end)) return 3;
  if (end.cause.empty() || end.kind == CauseKind::unheard) return 1;
  // Ranks that have compared something say the same of one of them, and that one of itself: mpirun kills others when the first of them
  // leaves.
  return end.kind == CauseKind::own || (end.kind == CauseKind::peer && end.culprit == end.rank) ? 0 : 2;
}

constexpr int kAwaited = 4;
/// Others had waited in vain until the deadline, for this rank or before it died: its death is what came of their leaving.
bool was_awaited_in_vain(const RankEnd& end, std::span<const RankEnd> all) {
  return end.cause.empty() && std::any_of(all.begin(), all.end(), [&](const RankEnd& other) {
           return other.kind == CauseKind::late && !other.cause.empty() && (other.culprit == end.rank || &other < &end);
         });
}

/// "rank 3 (node b, process 4711)"
std::string place(const RankEnd& end) {
  if (end.host.empty()) return fmt::format("rank {}", end.rank);
  return fmt::format("rank {} (node {}, process {})", end.rank, end.host, end.process);
}

/// A peer on its node has read its page after its end; what it said itself is of up to half a second before.
std::string where_last(const RankEnd& end, std::span<const RankEnd> all) {
  const auto seen = std::find_if(all.begin(), all.end(),
                                 [&](const RankEnd& e) { return e.culprit == end.rank && e.rank != end.rank && !e.culprit_where.empty(); });
  return seen == all.end() ? end.where : seen->culprit_where;
}

std::string end_of_silent_rank(const RankEnd& end, const std::string& where) {
  std::string how = "it left without a word";
  const bool was_killed = end.status && WIFSIGNALED(*end.status);
  if (end.status) how = was_killed ? text_of_status(*end.status) : text_of_status(*end.status) + ", without a word";
  if (end.memory_kills > 0)
    how += fmt::format(", its memory cgroup counted {}; give it more memory or fewer ranks a node",
                       end.memory_kills == 1 ? "an oom_kill" : fmt::format("{} oom_kills", end.memory_kills));
  else if (was_killed_by(end, SIGKILL))
    how += ", cause unknown";
  if (end.host.empty()) how += ", before it had a connection";
  if (!where.empty()) how += ", last seen in " + where;
  return fmt::format("{} has ended: {}", place(end), how);
}

/// Who says the same of that rank and is another one: a rank that wakes up finds itself named, in a place where it no longer is.
const RankEnd& seen_of_culprit(const RankEnd& end, std::span<const RankEnd> all) {
  const auto found = std::find_if(
      all.begin(), all.end(), [&](const RankEnd& e) { return e.cause == end.cause && e.culprit == end.culprit && e.rank != e.culprit; });
  return found == all.end() ? end : *found;
}

std::string words_of(const RankEnd& end, std::span<const RankEnd> all) {
  if (end.kind == CauseKind::unheard) return end.cause;
  const auto says_the_same = [&](const RankEnd& other) { return other.cause == end.cause; };
  if (std::count_if(all.begin(), all.end(), says_the_same) > 1) return end.cause;
  return end.host.empty() ? fmt::format("rank {}: {}", end.rank, end.cause)
                          : fmt::format("rank {} (node {}): {}", end.rank, end.host, end.cause);
}

}  // namespace

bool was_asked_to_end(const RankEnd& end) { return end.cause.empty() && was_killed_by(end, SIGTERM); }

std::optional<Verdict> verdict_of(std::span<const RankEnd> ends) {
  const auto order = [&](const RankEnd& end) { return was_awaited_in_vain(end, ends) ? kAwaited : precedence(end); };
  const auto first = std::min_element(ends.begin(), ends.end(), [&](const RankEnd& a, const RankEnd& b) { return order(a) < order(b); });
  if (first == ends.end()) return std::nullopt;
  const std::string where = first->cause.empty() ? where_last(*first, ends) : first->where;
  Verdict out = {.code = first->code.value_or(static_cast<int>(ExitCode::comm)), .rank = first->rank, .where = where};
  out.cause = first->cause.empty() ? end_of_silent_rank(*first, where) : words_of(*first, ends);
  if (first->culprit >= 0) out.rank = first->culprit, out.where = seen_of_culprit(*first, ends).culprit_where;
  for (const RankEnd& end : ends) out.step = std::max(out.step, end.step);
  return out;
}

std::string name_of_signal(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name ? std::string("SIG") + name : "signal " + std::to_string(signal);
}

std::string text_of_status(int status) {
  return WIFSIGNALED(status) ? name_of_signal(WTERMSIG(status)) : "code " + std::to_string(WEXITSTATUS(status));
}

}  // namespace chorale
