#include <chorale/launcher/bench/collective_trial.hpp>

#include <memory>
#include <numeric>

#include <chorale/core/base/error.hpp>

namespace chorale {
namespace {

bool in_place(const std::string& op) { return op == "all_reduce" || op == "broadcast"; }

/// Parts of `elements` for every rank, as equal as they can be.
std::vector<std::int64_t> parts(std::int64_t elements, int ranks) {
  std::vector<std::int64_t> out;
  for (int r = 0; r < ranks; ++r) out.push_back(elements * (r + 1) / ranks - elements * r / ranks);
  return out;
}

}  // namespace

std::vector<std::string> collective_names() {
  return {"all_reduce", "reduce_scatter", "all_gather", "all_to_all", "broadcast", "send_recv", "barrier"};
}

CollectiveTrial::CollectiveTrial(Communicator& comm, const Config& config)
    : comm_(comm), config_(config), pattern_(TestPattern::of_rank(comm.rank(), config.dtype)) {
  const int n = comm.size();
  const std::int64_t all = config.op == "barrier" ? 0 : config.bytes / static_cast<std::int64_t>(size_bytes(config.dtype));
  call_.op = config.op;
  // All parts that one rank sends by all_to_all are equal, so that what it receives is as much.
  call_.counts = config.op == "all_to_all" ? std::vector<std::int64_t>(static_cast<std::size_t>(n), all / n) : parts(all, n);
  call_.to = (comm.rank() + 1) % n;
  call_.from = (comm.rank() + n - 1) % n;
  const std::int64_t total = std::accumulate(call_.counts.begin(), call_.counts.end(), std::int64_t{0});
  bytes_ = total * static_cast<std::int64_t>(size_bytes(config.dtype));
  const std::int64_t part = call_.counts[static_cast<std::size_t>(comm.rank())];
  call_.input = allocate(config.op == "all_gather" ? part : total);
  call_.output = in_place(config.op) ? call_.input : allocate(config.op == "reduce_scatter" ? part : total);
}

Buffer CollectiveTrial::allocate(std::int64_t elements) {
  if (config_.shared) {
    const SharedMemory memory = comm_.allocate(elements, config_.dtype);
    owners_.push_back(memory.owner);
    return memory.mine;
  }
  constexpr std::size_t kLine = 64;
  const std::size_t bytes = static_cast<std::size_t>(elements) * size_bytes(config_.dtype);
  std::shared_ptr<std::byte[]> memory(new std::byte[bytes + kLine]());
  void* at = memory.get();
  std::size_t room = bytes + kLine;
  owners_.push_back(memory);
  return {std::align(kLine, bytes, at, room), elements, config_.dtype, {}};
}

std::int64_t CollectiveTrial::first_of_part(int rank) const {
  return std::accumulate(call_.counts.begin(), call_.counts.begin() + rank, std::int64_t{0});
}

void CollectiveTrial::fill() {
  const std::int64_t first = config_.op == "all_gather" ? first_of_part(comm_.rank()) : 0;
  pattern_.write(call_.input, first);
}

bool CollectiveTrial::matches() const {
  const auto held_by = [&](int rank) { return TestPattern::of_rank(rank, config_.dtype); };
  const auto sum = [&] { return TestPattern::of_sum(comm_.size(), config_.dtype); };
  if (config_.op == "all_reduce") return sum().matches(call_.output, 0);
  if (config_.op == "reduce_scatter") return sum().matches(call_.output, first_of_part(comm_.rank()));
  if (config_.op == "broadcast") return held_by(0).matches(call_.output, 0);
  if (config_.op == "send_recv") return held_by(call_.from).matches(call_.output, 0);
  const bool to_all = config_.op == "all_to_all";
  bool good = true;
  for (int r = 0; r < comm_.size() && config_.op != "barrier"; ++r) {
    const Buffer part = call_.output.part(first_of_part(r), call_.counts[static_cast<std::size_t>(r)]);
    good = good && held_by(r).matches(part, first_of_part(to_all ? comm_.rank() : r));
  }
  return good;
}

void CollectiveTrial::run() const {
  const Label label = "bench";
  if (config_.op == "all_reduce") return comm_.all_reduce(call_.output, Reduce::sum, label).wait();
  if (config_.op == "reduce_scatter") return comm_.reduce_scatter(call_.input, call_.output, call_.counts, Reduce::sum, label).wait();
  if (config_.op == "all_gather") return comm_.all_gather(call_.input, call_.output, call_.counts, label).wait();
  if (config_.op == "all_to_all") return comm_.all_to_all(call_.input, call_.counts, call_.output, call_.counts, label).wait();
  if (config_.op == "broadcast") return comm_.broadcast(call_.output, 0, label).wait();
  if (config_.op == "barrier") return comm_.barrier(label).wait();
  if (config_.op != "send_recv") throw UsageError("[bench] collective '" + config_.op + "' is unknown");
  Work sending = comm_.send(call_.input, call_.to, label);
  comm_.recv(call_.output, call_.from, label).wait();
  sending.wait();
}

double CollectiveTrial::bus_factor() const {
  const double n = comm_.size();
  if (config_.op == "all_reduce") return 2 * (n - 1) / n;
  return config_.op == "broadcast" || config_.op == "send_recv" || config_.op == "barrier" ? 1 : (n - 1) / n;
}

}  // namespace chorale
