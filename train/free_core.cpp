#include <chorale/train/free_core.hpp>

#include <unistd.h>

#include <algorithm>
#include <sstream>

#include <chorale/core/base/affinity.hpp>

namespace chorale {

namespace {

/// The ranks that may run nowhere else have room within these cores.
bool have_room(const std::vector<Seat>& seats, const std::string& machine, const std::set<std::string>& cores) {
  std::int64_t threads = 0;
  for (const Seat& seat : seats)
    if (seat.machine == machine && std::includes(cores.begin(), cores.end(), seat.cores.begin(), seat.cores.end()))
      threads += seat.threads + 1;
  return threads <= static_cast<std::int64_t>(cores.size());
}

/// Ranks of one process, and nodes of the tests, share a machine: its name tells, not the communicator's nodes.
std::string own_seat(std::int64_t threads) {
  char machine[256] = {};
  ::gethostname(machine, sizeof machine - 1);
  std::ostringstream text;
  text << machine << ' ' << threads;
  for (const std::string& core : own_cores()) text << ' ' << core;
  return text.str();
}

Seat seat_of(const std::vector<std::byte>& bytes) {
  std::istringstream text(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  Seat seat;
  text >> seat.machine >> seat.threads;
  for (std::string core; text >> core;) seat.cores.insert(core);
  return seat;
}

}  // namespace

bool has_free_core_each(const std::vector<Seat>& seats) {
  return std::all_of(seats.begin(), seats.end(), [&](const Seat& one) {
    std::set<std::string> machine;
    for (const Seat& seat : seats)
      if (seat.machine == one.machine) machine.insert(seat.cores.begin(), seat.cores.end());
    return have_room(seats, one.machine, one.cores) && have_room(seats, one.machine, machine);
  });
}

bool has_free_core_each(Communicator& comm, std::int64_t threads) {
  const std::string mine = own_seat(threads);
  std::vector<Seat> seats;
  for (const auto& bytes : all_gather_bytes(comm, std::as_bytes(std::span(mine)), "free cores")) seats.push_back(seat_of(bytes));
  return has_free_core_each(seats);
}

}  // namespace chorale
