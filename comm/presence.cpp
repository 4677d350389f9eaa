#include <chorale/comm/presence.hpp>

#include <algorithm>
#include <cstring>

namespace chorale {

std::string_view name(Activity activity) {
  constexpr std::array<std::string_view, 11> kNames = {"starting", "connecting", "reading data", "forward",   "backward", "communicating",
                                                       "updating", "evaluating", "saving",       "restoring", "ending"};
  const auto at = static_cast<std::size_t>(activity);
  return at < kNames.size() ? kNames[at] : "unknown";
}

bool is_long(Activity activity) {
  switch (activity) {
    case Activity::forward:
    case Activity::backward:
    case Activity::communicating:
    case Activity::updating:
      return false;
    default:
      return true;
  }
}

bool Sighting::is_same_place(const Sighting& other) const {
  return activity == other.activity && step == other.step && sequence == other.sequence && std::strcmp(what, other.what) == 0;
}

std::string Sighting::text() const { return place() + (step > 0 ? " in step " + std::to_string(step) : ""); }

std::string Sighting::place() const {
  const std::string_view nearer(what, ::strnlen(what, sizeof what));
  const bool in_layer = activity == Activity::forward || activity == Activity::backward;
  std::string out(nearer.empty() || activity != Activity::communicating ? name(activity) : nearer);
  if (activity == Activity::communicating && sequence > 0) out += " #" + std::to_string(sequence);
  if (activity != Activity::communicating && !nearer.empty()) out.append(in_layer ? " of layer '" : " '").append(nearer).append("'");
  return out;
}

template <class F>
void Presence::write(F&& fields) noexcept {
  const std::uint64_t version = version_.load(std::memory_order_relaxed);
  version_.store(version + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);  // who sees a field of this write sees the odd version too
  fields();
  awaits_.store(0, std::memory_order_relaxed);
  beat();
  version_.store(version + 2, std::memory_order_release);
}

void Presence::put_what(std::string_view what) noexcept {
  std::array<char, sizeof(Sighting::what)> text{};
  what.copy(text.data(), text.size() - 1);
  for (std::size_t i = 0; i < what_.size(); ++i) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + 8 * i, 8);
    what_[i].store(word, std::memory_order_relaxed);
  }
}

void Presence::enter(Activity activity, std::string_view what) noexcept {
  write([&] { activity_.store(activity, std::memory_order_relaxed), put_what(what); });
}

void Presence::begin_step(std::int64_t step) noexcept {
  write([&] { step_.store(step, std::memory_order_relaxed); });
}

void Presence::join(std::string_view collective, std::uint64_t sequence) noexcept {
  write([&] {
    activity_.store(Activity::communicating, std::memory_order_relaxed), sequence_.store(sequence, std::memory_order_relaxed);
    put_what(collective);
  });
}

Sighting Presence::read() const noexcept {
  Sighting out;
  constexpr int kTries = 1000;  // a writer that was stopped inside must not hold us for ever: then a torn text is better than none
  for (int attempt = 0; attempt < kTries; ++attempt) {
    const std::uint64_t version = version_.load(std::memory_order_acquire);
    out.activity = activity_.load(std::memory_order_relaxed);
    out.step = step_.load(std::memory_order_relaxed);
    out.sequence = sequence_.load(std::memory_order_relaxed);
    out.beat = beat_.load(std::memory_order_relaxed);
    out.awaits = awaits_.load(std::memory_order_relaxed) - 1;
    for (std::size_t i = 0; i < what_.size(); ++i) {
      const std::uint64_t word = what_[i].load(std::memory_order_relaxed);
      std::memcpy(out.what + 8 * i, &word, 8);
    }
    std::atomic_thread_fence(std::memory_order_acquire);
    out.is_whole = version % 2 == 0 && version_.load(std::memory_order_relaxed) == version;
    if (out.is_whole) break;
  }
  out.what[sizeof out.what - 1] = '\0';
  return out;
}

}  // namespace chorale
