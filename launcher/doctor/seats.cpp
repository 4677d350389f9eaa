#include <chorale/launcher/doctor/seats.hpp>

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <thread>

#include <chorale/comm/control/connection.hpp>
#include <chorale/core/base/affinity.hpp>
#include <chorale/launcher/doctor/cgroup.hpp>
#include <chorale/launcher/doctor/probe.hpp>

namespace chorale {

namespace {

std::vector<int> own_cpus() {
  std::vector<int> out;
  cpu_set_t mask;
  if (::sched_getaffinity(0, sizeof mask, &mask) != 0) return out;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &mask)) out.push_back(cpu);
  return out;
}

/// The kernel cuts a mask of everything down to what the cpuset allows; on a thread of its own, whose mask is nobody's.
std::set<std::string> allowed_cores() {
  std::set<std::string> out;
  std::thread([&] {
    cpu_set_t all;
    std::fill_n(reinterpret_cast<unsigned char*>(&all), sizeof all, static_cast<unsigned char>(0xff));
    ::sched_setaffinity(0, sizeof all, &all);
    out = own_cores();
  }).join();
  return out;
}

/// As training takes it.
int computing_threads() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  const int n = text ? std::atoi(text) : 1;
  return n >= 1 && n <= 1024 ? n : 1;
}

nlohmann::json ask(Communicator& comm, const ProbeOrder&) {
  SeatFacts mine = {.rank = comm.rank(), .host = host_name(), .cpus = ranges_text(own_cpus()), .cores = own_cores()};
  const std::set<std::string> allowed = allowed_cores();
  mine.node_cores = static_cast<int>(allowed.size());
  mine.is_bound = mine.cores.size() < allowed.size();
  mine.quota = cpu_quota();
  mine.threads = computing_threads();
  mine.is_thread = comm.backend() != "mpi";
  return gather_facts(comm, mine, "doctor seats");
}

using Host = std::vector<const SeatFacts*>;

std::map<std::string, Host> by_host(const std::vector<SeatFacts>& seats) {
  std::map<std::string, Host> out;
  for (const SeatFacts& seat : seats) out[seat.host].push_back(&seat);
  return out;
}

/// Ranks of one host that are bound to a core in common, "ranks 0, 1 on a share core 0.3".
std::vector<std::string> shared_cores(const std::map<std::string, Host>& hosts) {
  std::vector<std::string> out;
  for (const auto& [host, seats] : hosts) {
    std::map<std::string, std::vector<int>> users;
    for (const SeatFacts* seat : seats)
      if (seat->is_bound)
        for (const std::string& core : seat->cores) users[core].push_back(seat->rank);
    std::map<std::vector<int>, std::string> together;  // one line for ranks with equal masks
    for (const auto& [core, ranks] : users) {
      std::string& cores = together[ranks];
      cores += (cores.empty() ? "" : ", ") + core;
    }
    for (const auto& [ranks, cores] : together)
      if (ranks.size() > 1) out.push_back(fmt::format("ranks {} on {} share core {}", fmt::join(ranks, ", "), host, cores));
  }
  return out;
}

std::string map_text(const std::vector<SeatFacts>& seats) {
  std::string out;
  constexpr std::size_t kShown = 16;
  for (std::size_t i = 0; i < std::min(seats.size(), kShown); ++i)
    out += fmt::format("{}rank {} {} cpu {}", i == 0 ? "" : "; ", seats[i].rank, seats[i].host, seats[i].cpus);
  return out + (seats.size() > kShown ? fmt::format("; and {} more", seats.size() - kShown) : "");
}

Finding judge_binding(const std::vector<SeatFacts>& seats, const std::map<std::string, Host>& hosts) {
  const std::string map = map_text(seats);
  if (seats.front().is_thread)
    return ok("binding", fmt::format("ranks are threads of one process on cpu {}; the kernel places them", seats.front().cpus));
  if (const auto shared = shared_cores(hosts); !shared.empty())
    return warning("binding", fmt::format("{}\n{}", fmt::join(shared, "\n"), map),
                   "give each rank a core: mpirun --map-by core --bind-to core, srun --cpu-bind=cores, or start fewer ranks on that host");
  bool has_room = false;
  for (const auto& [host, ranks] : hosts) {
    const auto free = std::any_of(ranks.begin(), ranks.end(), [](const SeatFacts* s) { return !s->is_bound; });
    has_room = has_room || (free && ranks.size() > 1 && static_cast<int>(ranks.size()) <= ranks.front()->node_cores);
  }
  if (has_room)
    return warning("binding", "ranks are not bound, the kernel may move them: " + map,
                   "mpirun --map-by core --bind-to core, or srun --cpu-bind=cores");
  return ok("binding", map);
}

Finding judge_threads(const std::vector<SeatFacts>& seats) {
  const auto narrow =
      std::find_if(seats.begin(), seats.end(), [](const SeatFacts& s) { return s.threads > static_cast<int>(s.cores.size()); });
  if (narrow != seats.end())
    return warning("threads",
                   fmt::format("{} computes with {} threads on {} physical {}", rank_text(narrow->rank, narrow->host), narrow->threads,
                               narrow->cores.size(), narrow->cores.size() == 1 ? "core" : "cores"),
                   "set OMP_NUM_THREADS to the cores of a rank, or bind ranks to more cores: mpirun --map-by slot:PE=N --bind-to core");
  const auto other = std::find_if(seats.begin(), seats.end(), [&](const SeatFacts& s) { return s.threads != seats.front().threads; });
  if (other != seats.end())
    return warning("threads",
                   fmt::format("rank 0 computes with {} threads, {} with {}: bits are promised for equal threads", seats.front().threads,
                               rank_text(other->rank, other->host), other->threads),
                   "set OMP_NUM_THREADS alike on all hosts, or give --threads");
  return ok("threads", fmt::format("{} in each rank", seats.front().threads));
}

Finding judge_room(const std::map<std::string, Host>& hosts) {
  std::vector<std::string> crowded, room;
  for (const auto& [host, seats] : hosts) {
    double room_there = seats.front()->node_cores;
    std::string what = fmt::format("{} physical cores", seats.front()->node_cores);
    if (seats.front()->quota > 0 && seats.front()->quota < room_there)
      room_there = seats.front()->quota, what = fmt::format("a cgroup's quota of {:.3g} processors", room_there);
    const std::string text = fmt::format("{} {} on {} with {}", seats.size(), seats.size() == 1 ? "rank" : "ranks", host, what);
    (static_cast<double>(seats.size()) > std::ceil(room_there) ? crowded : room).push_back(text);
  }
  if (!crowded.empty())
    return warning("ranks_above_cores", fmt::format("{}", fmt::join(crowded, "; ")),
                   "start no more ranks than cores: steps take longer than with fewer ranks; without -n there is one a core");
  return ok("ranks_above_cores", fmt::format("{}", fmt::join(room, "; ")));
}

std::vector<Finding> judge(const nlohmann::json& facts) { return judge_seats(facts.get<std::vector<SeatFacts>>()); }

}  // namespace

std::string ranges_text(const std::vector<int>& sorted) {
  std::string out;
  for (std::size_t i = 0; i < sorted.size();) {
    std::size_t end = i;
    while (end + 1 < sorted.size() && sorted[end + 1] == sorted[end] + 1) ++end;
    out += (out.empty() ? "" : ",") + std::to_string(sorted[i]) + (end > i ? "-" + std::to_string(sorted[end]) : "");
    i = end + 1;
  }
  return out;
}

std::vector<Finding> judge_seats(const std::vector<SeatFacts>& seats) {
  const auto hosts = by_host(seats);
  std::vector<Finding> out = {judge_binding(seats, hosts), judge_threads(seats), judge_room(hosts)};
  out[0].values["ranks"] = seats;
  return out;
}

Probe seats_probe() {
  return {.name = "seats",
          .checks = {"binding", "threads", "ranks_above_cores"},
          .share = std::chrono::seconds(3),
          .needs_peers = false,
          .ask = ask,
          .judge = judge};
}

}  // namespace chorale
