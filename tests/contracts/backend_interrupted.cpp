// Each verb cut short by an abort, and each verb with a rank that says something else than the others.
#include <chrono>
#include <thread>

#include <chorale/core/base/error.hpp>

#include "backend_calls.hpp"
#include "backend_suite.hpp"

namespace chorale::contract {
namespace {

constexpr auto kSoon = std::chrono::seconds(8);

/// The error in which the calls of `body` end.
template <class Body>
CommError first_error(Body body) {
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < kSoon) try {
      body();
    } catch (const CommError& error) {
      return error;
    }
  throw Broken("no CommError came within " + std::to_string(kSoon.count()) + " s");
}

/// An abort reaches the ranks of its node at once; other nodes wait for their deadline.
constexpr std::int64_t kDeadlineMs = 3000;

/// All ranks are at it, again and again, with buffers that are freed as soon as a call fails.
void abort_in_the_middle(Communicator& comm, Verb verb) {
  comm.set_timeout_ms(kDeadlineMs);
  comm.barrier("together").wait();
  std::thread other;
  if (comm.rank() == 0) other = std::thread([&] { std::this_thread::sleep_for(std::chrono::milliseconds(30)), comm.abort("enough"); });
  Call call{.verb = verb, .n = 200000};
  std::string found;
  try {
    const CommError error = first_error([&] {
      exercise(comm, call);
      call.shared = !call.shared;
    });
    if (comm.node_index() == 0 && std::string(error.what()).find("enough") == std::string::npos)
      found = "the reason of the abort is lost: " + std::string(error.what());
  } catch (const Broken& broken) {
    found = broken.what();
  }
  if (other.joinable()) other.join();
  if (!found.empty()) throw Broken(call.text() + ": " + found);
}

/// A rank that never comes, but says why.
void abort_instead(Communicator& comm, Verb verb) {
  comm.set_timeout_ms(kDeadlineMs);
  comm.barrier("together").wait();
  const bool absent = comm.rank() == comm.size() - 1;
  if (absent) std::this_thread::sleep_for(std::chrono::milliseconds(30)), comm.abort("enough");
  first_error([&] { exercise(comm, {.verb = verb, .n = 200000}); });
}

/// The last rank makes another call; every rank's error puts both side by side.
void differ(Communicator& comm, const Call& ours, const Call& theirs, const std::vector<std::string>& words) {
  comm.set_timeout_ms(kDeadlineMs);
  const bool last = comm.rank() == comm.size() - 1;
  const CommError error = first_error([&] { exercise(comm, last ? theirs : ours); });
  const std::string text = error.what();
  for (const std::string& word : words)
    if (text.find(word) == std::string::npos) throw Broken(ours.text() + " against " + theirs.text() + ": no '" + word + "' in: " + text);
}

Check difference(const Call& ours, const Call& theirs, const std::string& what, std::vector<std::string> words) {
  words.push_back("disagree: rank ");
  return {std::string(name(ours.verb)) + ": another " + what + " is named on every rank",
          [=](Communicator& comm) { differ(comm, ours, theirs, words); }, 2};
}

}  // namespace

std::vector<Check> interrupted_checks() {
  std::vector<Check> out;
  for (const Verb verb : kVerbs) {
    const std::string verb_name = name(verb);
    out.push_back({"abort in the middle of " + verb_name, [verb](Communicator& comm) { abort_in_the_middle(comm, verb); }, 2});
    out.push_back({"abort instead of " + verb_name, [verb](Communicator& comm) { abort_instead(comm, verb); }, 2});
    if (verb == Verb::messages) continue;  // between two ranks only: backend_failures.cpp
    out.push_back(difference({.verb = verb, .n = 600, .label = "ours"}, {.verb = verb, .n = 600, .label = "theirs"}, "label",
                             {"'ours'", "'theirs'"}));
    if (verb == Verb::barrier) continue;
    out.push_back(
        difference({.verb = verb, .dtype = DType::i32, .n = 600}, {.verb = verb, .dtype = DType::f32, .n = 600}, "type", {"i32", "f32"}));
    if (verb == Verb::all_to_all) continue;  // has no size in common: counts are compared in backend_failures.cpp
    out.push_back(difference({.verb = verb, .n = 60000}, {.verb = verb, .n = 60360}, "size", {"60000", "60360"}));
  }
  return out;
}

}  // namespace chorale::contract
