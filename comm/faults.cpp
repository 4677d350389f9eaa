#include <chorale/comm/faults.hpp>

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <thread>

#include <chorale/core/base/error.hpp>

namespace chorale {
namespace {

struct Name {
  Fault::Kind kind;
  std::string_view text;
  std::string_view place;  // where it happens when nobody says; empty: the caller's
};

constexpr std::array<Name, 12> kNames = {{
    {Fault::Kind::kill9, "kill9", "forward"},
    {Fault::Kind::freeze, "freeze", "forward"},
    {Fault::Kind::sleep, "sleep", "forward"},
    {Fault::Kind::exit0, "exit0", "forward"},
    {Fault::Kind::throws, "throw", "forward"},
    {Fault::Kind::abort, "abort", "forward"},
    {Fault::Kind::segv, "segv", "forward"},
    {Fault::Kind::full_disk, "full-disk", "save:part_written"},
    {Fault::Kind::nan, "nan", ""},
    {Fault::Kind::bitflip, "bitflip", ""},
    {Fault::Kind::shape, "shape", ""},
    {Fault::Kind::mismatch, "mismatch", ""},
}};

const Name& name_of(Fault::Kind kind) { return kNames[static_cast<std::size_t>(kind)]; }

constexpr std::chrono::milliseconds kDelay(50);

/// Where a checkpoint is written, and a disk may be full.
constexpr std::array<std::string_view, 3> kWrites = {"save:part_written", "save:manifest", "save:rename"};

[[noreturn]] void refuse(const std::string& text) {
  std::string kinds;
  for (const Name& name : kNames) kinds.append(kinds.empty() ? "" : " ").append(name.text);
  throw UsageError("--inject " + text +
                   " is refused: write KIND@RANK:STEP or KIND@RANK:STEP:WHERE, with STEP! to repeat it after restarts; kinds are " + kinds);
}

std::int64_t whole(const std::string& digits, const std::string& text) {
  if (digits.empty() || digits.size() > 15 || digits.find_first_not_of("0123456789") != std::string::npos) refuse(text);
  return std::stoll(digits);
}

}  // namespace

Fault parse_fault(const std::string& text) {
  const std::size_t at = text.find('@'), colon = text.find(':', at), second = text.find(':', colon + 1);
  if (at == std::string::npos || colon == std::string::npos) refuse(text);
  Fault out;
  out.text = text;
  const std::string kind = text.substr(0, at);
  bool known = false;
  for (const Name& name : kNames)
    if (name.text == kind) out.kind = name.kind, known = true;
  if (!known) refuse(text);
  out.rank = static_cast<int>(whole(text.substr(at + 1, colon - at - 1), text));
  std::string step = text.substr(colon + 1, second == std::string::npos ? second : second - colon - 1);
  out.repeats = step.ends_with('!');
  if (out.repeats) step.pop_back();
  out.step = whole(step, text);
  if (second != std::string::npos) out.where = text.substr(second + 1);
  if (second != std::string::npos && out.where.empty()) refuse(text);
  if (out.kind == Fault::Kind::full_disk && !out.where.empty() && std::find(kWrites.begin(), kWrites.end(), out.where) == kWrites.end())
    throw UsageError("--inject " + text + " is refused: a disk is full at save:part_written, save:manifest or save:rename");
  return out;
}

Faults::Faults(const std::vector<std::string>& words, int rank, std::function<bool()> over) : over_(std::move(over)) {
  for (const std::string& word : words)
    if (Fault fault = parse_fault(word); fault.rank == rank) faults_.push_back(std::move(fault));
}

void Faults::act(std::string_view place) {
  for (Fault& fault : faults_) {
    const std::string_view own = name_of(fault.kind).place;
    if (own.empty() || place != (fault.where.empty() ? own : std::string_view(fault.where))) continue;
    if (is_due(fault, place)) commit(fault);
  }
}

bool Faults::is_due(Fault& fault, std::string_view place) {
  const std::lock_guard lock(mutex_);
  const std::int64_t step = step_.load(std::memory_order_relaxed);
  const bool lasts = fault.kind == Fault::Kind::sleep;  // a slow rank stays slow, once a step
  const bool is_late = lasts || place.starts_with("save:");
  if ((fault.met && !lasts) || (is_late ? step < fault.step : step != fault.step)) return false;
  if (lasts) fault.step = step + 1;
  return fault.met = true;
}

void Faults::commit(Fault& fault) {
  switch (fault.kind) {
    case Fault::Kind::kill9:
      ::kill(::getpid(), SIGKILL);
      break;
    case Fault::Kind::freeze:
      if (!over_) {
        ::kill(::getpid(), SIGSTOP);
        return;
      }
      while (!over_()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
      return;
    case Fault::Kind::sleep:
      return std::this_thread::sleep_for(kDelay);
    case Fault::Kind::exit0:
      ::_exit(0);
    case Fault::Kind::throws:
      throw std::runtime_error("asked for by --inject " + fault.text);
    case Fault::Kind::full_disk:
      throw IoError("no space is left on the device: asked for by --inject " + fault.text);
    case Fault::Kind::abort:
      std::abort();
    case Fault::Kind::segv: {
      volatile std::uintptr_t address = 8;  // the compiler must not see where
      *reinterpret_cast<volatile int*>(address) = 1;
      break;
    }
    default:
      break;
  }
}

const Fault* Faults::take(Fault::Kind kind, std::string_view place) {
  for (Fault& fault : faults_) {
    if (fault.kind != kind || fault.met || step_ != fault.step || (!place.empty() && !fault.where.empty() && fault.where != place))
      continue;
    fault.met = true;
    return &fault;
  }
  return nullptr;
}

std::vector<std::string> Faults::unmet() const {
  std::vector<std::string> out;
  for (const Fault& fault : faults_)
    if (!fault.met) out.push_back(fault.text);
  return out;
}

}  // namespace chorale
