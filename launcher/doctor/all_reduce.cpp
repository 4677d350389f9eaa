#include <chorale/launcher/doctor/all_reduce.hpp>

#include <fmt/format.h>

#include <chrono>
#include <map>

#include <chorale/comm/control/connection.hpp>
#include <chorale/launcher/bench/collective_trial.hpp>
#include <chorale/launcher/doctor/probe.hpp>

namespace chorale {

namespace {

/// One element, an odd number of them, and more than one chunk.
constexpr std::int64_t kElements[] = {1, 4099, (1 << 18) + 3};
constexpr DType kTypes[] = {DType::f32, DType::f64, DType::bf16, DType::i32, DType::i64, DType::u8};
constexpr double kMostBeforeNext = 0.15;  // seconds, of those before
using Clock = std::chrono::steady_clock;

bool is_right(Communicator& comm, DType dtype, std::int64_t elements, bool shared) {
  CollectiveTrial trial(
      comm, {.op = "all_reduce", .dtype = dtype, .bytes = elements * static_cast<std::int64_t>(size_bytes(dtype)), .shared = shared});
  trial.fill();
  trial.run();
  const bool out = trial.matches();
  comm.barrier("doctor sum").wait();  // peers may still look at our memory
  return out;
}

/// Rank 0's clock is everybody's. Over a link of 1 Mbit the next size, which is 64 times as long, would hold the doctor.
bool has_time_for_next(Communicator& comm, Clock::time_point start) {
  std::int32_t out = std::chrono::duration<double>(Clock::now() - start).count() < kMostBeforeNext ? 1 : 0;
  comm.broadcast(buffer_of(std::span(&out, 1)), 0, "doctor sums go on").wait();
  return out == 1;
}

nlohmann::json ask(Communicator& comm, const ProbeOrder&) {
  const Clock::time_point start = Clock::now();
  SumFacts mine = {.rank = comm.rank(), .host = host_name()};
  std::map<std::string, std::string> wrong;  // the smallest of each type
  for (const std::int64_t elements : kElements) {
    if (!has_time_for_next(comm, start)) break;
    mine.elements = elements;
    for (const DType dtype : kTypes)
      for (const bool shared : {true, false})
        if (!is_right(comm, dtype, elements, shared))
          wrong.emplace(name(dtype),
                        fmt::format("{} of {} elements{}", name(dtype), elements, shared ? " in the communicator's memory" : ""));
  }
  for (const DType dtype : kTypes) {
    const auto found = wrong.find(std::string(name(dtype)));
    found == wrong.end() ? mine.right.emplace_back(name(dtype)) : mine.wrong.emplace_back(found->second);
  }
  return gather_facts(comm, mine, "doctor sums");
}

std::vector<Finding> judge(const nlohmann::json& facts) { return {judge_sums(facts.get<std::vector<SumFacts>>())}; }

}  // namespace

Finding judge_sums(const std::vector<SumFacts>& ranks) {
  for (const SumFacts& r : ranks)
    if (!r.wrong.empty())
      return failed("all_reduce", ExitCode::comm, fmt::format("{} got wrong sums: {}", rank_text(r.rank, r.host), fmt::join(r.wrong, ", ")),
                    "do not train there: test that host's memory and network; chorale bench comm narrows it down");
  Finding out = ok("all_reduce", fmt::format("right sums of {} on {} ranks, up to {} elements", fmt::join(ranks.front().right, ", "),
                                             ranks.size(), ranks.front().elements));
  out.values["types"] = ranks.front().right;
  return out;
}

Probe all_reduce_probe() {
  return {
      .name = "all_reduce", .checks = {"all_reduce"}, .share = std::chrono::seconds(6), .needs_peers = true, .ask = ask, .judge = judge};
}

}  // namespace chorale
