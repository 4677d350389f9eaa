#include <chorale/comm/lookout.hpp>

#include <algorithm>
#include <utility>

namespace chorale {

Lookout::Note& Lookout::near(int rank) {
  if (notes_.empty()) prepare();
  return notes_[static_cast<std::size_t>(rank - world_.presences.first)];
}

std::optional<LastSeen> Lookout::find(int rank) {
  if (!is_near(rank)) return find_far(rank);
  const NodePresence& there = world_.presences.all[rank - world_.presences.first];
  const Sighting seen = there.presence.read();
  const Clock::time_point now = Clock::now();
  Note& note = near(rank);
  if (note.changed == Clock::time_point{} || note.seen.beat != seen.beat) note.changed = now;
  note.seen = seen;
  return LastSeen{
      .seen = seen, .seconds_ago = std::chrono::duration<double>(now - note.changed).count(), .is_stopped = is_stopped(there.process)};
}

std::optional<LastSeen> Lookout::find_far(int rank) {
  constexpr auto kFresh = std::chrono::seconds(2);
  if (!world_.ask_far) return std::nullopt;
  const auto [at, is_new] = far_.try_emplace(rank);
  if (is_new || Clock::now() - at->second.asked > kFresh) at->second.seen = world_.ask_far(rank), at->second.asked = Clock::now();
  return at->second.seen;
}

int Lookout::cause(int missing) {
  constexpr int kMostHops = 64;  // ranks may wait for each other in a circle: then anyone of it will do
  int rank = missing;
  for (int hop = 0; hop < kMostHops; ++hop) {
    const auto there = find(rank);
    if (!there || there->seen.activity != Activity::communicating || there->is_stopped) return rank;
    const int next = there->seen.awaits;
    if (next < 0 || next == world_.rank || next == missing) return rank;
    rank = next;
  }
  return rank;
}

bool Lookout::gets_on(const std::vector<int>& missing) {
  bool moved = false;
  is_long_ = false;
  constexpr std::size_t kMost = 8;  // looked at; the others wait for the same in the end
  for (std::size_t i = 0; i < std::min(kMost, missing.size()); ++i) {
    const int rank = cause(missing[i]);
    const auto there = find(rank);
    if (!there) continue;
    const bool takes_long = chorale::is_long(there->seen.activity);
    is_long_ = is_long_ || takes_long;
    const std::optional<Sighting> before = std::exchange(is_near(rank) ? near(rank).judged : far_[rank].judged, there->seen);
    if (!before || before->beat == there->seen.beat) continue;
    const bool chunk = there->seen.activity == Activity::communicating && there->seen.is_same_place(*before);
    moved = moved || takes_long || chunk;
  }
  return moved;
}

std::string Lookout::named(int rank) const {
  std::string out = "rank " + std::to_string(rank);
  const auto at = static_cast<std::size_t>(rank);
  if (at < world_.node_names.size()) out += " (node " + world_.node_names[at] + ")";
  return out;
}

Lookout::Finding Lookout::look(const std::vector<int>& missing) {
  constexpr std::size_t kMost = 4;
  Finding out;
  for (std::size_t i = 0; i < std::min(kMost, missing.size()); ++i) {
    const int rank = missing[i], end = cause(rank);
    out.text += (i ? "; " : "") + named(rank);
    if (end != rank) out.text += ", which waits for " + named(end);
    const auto there = find(end);
    if (there) out.text += ", " + there->text();
    if (i == 0) out.cause = end, out.where = there ? there->seen.text() : "";
  }
  if (missing.size() > kMost) out.text += "; and " + std::to_string(missing.size() - kMost) + " more";
  return out;
}

std::string Lookout::where(int rank) {
  const auto there = find(rank);
  return there ? there->seen.text() : "";
}

}  // namespace chorale
