#include "rendezvous_model.hpp"

#include <array>
#include <bit>
#include <unordered_set>

namespace chorale::model {
namespace {

constexpr std::uint8_t kTorn = 255;

/// Cells of data: a slot, a stage and a board for every rank, each doubled.
enum Kind { slot, stage, board };
int cell(Kind kind, int rank, int use) { return (rank * 3 + kind) * 2 + use % 2; }

class Writer {
 public:
  Writer(int rank, int ranks, Mistake mistake) : rank_(rank), ranks_(ranks), mistake_(mistake) {}

  void put(Kind kind, int use) {
    const int at = cell(kind, rank_, doubled(kind) ? use : 0);
    program_.push_back({Step::write, at, use});
    program_.push_back({Step::finish_write, at, use});
  }
  void take(Kind kind, int use) {
    for (int peer = 0; peer < ranks_; ++peer)
      if (peer != rank_) program_.push_back({Step::read, cell(kind, peer, doubled(kind) ? use : 0), use});
  }
  void meet() {
    const int phase = ++phase_;
    const Instruction entering{Step::enter, rank_, phase};
    const bool early = mistake_ == Mistake::looks_at_sleepers_before_entering;
    if (!early) program_.push_back(entering);
    const std::size_t asks = program_.size();
    program_.push_back({Step::ask_sleepers});
    if (early) program_.push_back(entering);
    const std::size_t looks = look(phase);
    if (mistake_ != Mistake::no_ring) program_.push_back({Step::ring}), program_.push_back({Step::wake});
    if (early) program_.push_back({Step::jump_if_complete, 0, 0, here() + 2});
    program_[asks].target = here();
    if (early) program_.push_back(entering);
    const int wait = here();
    land(looks, wait);
    const std::size_t first_look = look(phase);
    const std::size_t done = program_.size();
    program_.push_back({Step::jump_if_complete});
    land(first_look, here());
    program_.push_back({Step::count_in});
    const bool late = mistake_ == Mistake::listens_after_looking;
    if (!late) program_.push_back({Step::listen});
    const std::size_t second_look = look(phase);
    const std::size_t awake = program_.size();
    program_.push_back({Step::jump_if_complete});
    land(second_look, here());
    if (late) program_.push_back({Step::listen});
    program_.push_back({Step::sleep});
    program_[awake].target = here();
    program_.push_back({Step::count_out, 0, 0, wait});
    program_[done].target = here();
  }
  Program take_program() { return std::move(program_); }

 private:
  bool doubled(Kind kind) const {
    return mistake_ != (kind == stage ? Mistake::one_stage : kind == board ? Mistake::one_board : Mistake::one_slot);
  }
  int here() const { return static_cast<int>(program_.size()); }
  /// One load for each rank; returns where they begin, for land().
  std::size_t look(int phase) {
    const std::size_t begin = program_.size();
    for (int peer = 0; peer < ranks_; ++peer) program_.push_back({Step::ask_arrived, peer, phase});
    return begin;
  }
  void land(std::size_t looks, int target) {
    for (int peer = 0; peer < ranks_; ++peer) program_[looks + static_cast<std::size_t>(peer)].target = target;
  }

  int rank_, ranks_, phase_ = 0;
  Mistake mistake_;
  Program program_;
};

constexpr std::size_t kMostRanks = 3;

struct Machine {
  std::array<std::uint8_t, kMostRanks> pc{}, heard{}, asleep{}, arrived{};
  std::array<std::uint8_t, kMostRanks * 6> data{};
  std::uint8_t sleepers = 0, rings = 0;
  bool operator==(const Machine&) const = default;
  /// One step of a rank that does not sleep; what is wrong, or nothing.
  std::string run(std::size_t rank, const Instruction& at) {
    const auto c = static_cast<std::size_t>(at.cell);
    const auto value = static_cast<std::uint8_t>(at.value), target = static_cast<std::uint8_t>(at.target);
    std::uint8_t& next = ++pc[rank];
    switch (at.step) {
      case Step::write:
        data[c] = kTorn;
        break;
      case Step::finish_write:
        data[c] = value;
        break;
      case Step::read:
        if (data[c] != value)
          return "rank " + std::to_string(rank) + " reads " + std::to_string(data[c]) + " in cell " + std::to_string(c) + " instead of " +
                 std::to_string(value);
        break;
      case Step::enter:
        arrived[c] = value;
        break;
      case Step::ask_sleepers:
        if (sleepers == 0) next = target;
        break;
      case Step::ask_arrived:
        if (arrived[c] < value) next = target;
        break;
      case Step::ring:
        ++rings;
        break;
      case Step::wake:
        for (auto& each : asleep) each = 0;
        break;
      case Step::count_in:
        ++sleepers;
        break;
      case Step::listen:
        heard[rank] = rings;
        break;
      case Step::sleep:
        asleep[rank] = rings == heard[rank];
        break;
      case Step::count_out:
        --sleepers;
        next = target;
        break;
      case Step::jump_if_complete:
        next = target;
        break;
    }
    return "";
  }
};
static_assert(sizeof(Machine) == 32);

struct Hash {
  std::size_t operator()(const Machine& machine) const {
    std::size_t out = 0;
    for (const std::uint64_t word : std::bit_cast<std::array<std::uint64_t, 4>>(machine)) {
      out = (out ^ word) * 0x9E3779B97F4A7C15ull;
      out ^= out >> 29;
    }
    return out;
  }
};

}  // namespace

Program collectives(int rank, int ranks, int count, int rounds, Mistake mistake) {
  Writer writer(rank, ranks, mistake);
  int use = 1, announced = 1;
  for (int collective = 0; collective < count; ++collective, ++announced) {
    writer.put(slot, announced);
    writer.meet();
    writer.take(slot, announced);
    writer.put(stage, use);
    for (int round = 0; round < rounds; ++round, ++use) {
      writer.meet();
      if (round > 0) writer.take(board, use - 1);
      writer.take(stage, use);
      writer.put(board, use);
      if (round + 1 < rounds) writer.put(stage, use + 1);
    }
    writer.meet();
    writer.take(board, use - 1);
  }
  return writer.take_program();
}

Verdict explore(const std::vector<Program>& programs) {
  const std::size_t n = programs.size();
  std::unordered_set<Machine, Hash> seen{Machine{}};
  std::vector<Machine> open{Machine{}};
  while (!open.empty()) {
    const Machine machine = open.back();
    open.pop_back();
    bool moved = false, ended = true;
    for (std::size_t rank = 0; rank < n; ++rank) {
      if (machine.pc[rank] == programs[rank].size()) continue;
      ended = false;
      if (machine.asleep[rank] != 0) continue;
      moved = true;
      Machine next = machine;
      if (std::string broken = next.run(rank, programs[rank][machine.pc[rank]]); !broken.empty()) return {std::move(broken), seen.size()};
      if (seen.insert(next).second) open.push_back(next);
    }
    if (!moved && !ended) return {"somebody sleeps for ever", seen.size()};
  }
  return {"", seen.size()};
}

}  // namespace chorale::model
