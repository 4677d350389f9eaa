#include <chorale/launcher/bench/bench_comm.hpp>

#include <cstdio>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/arguments.hpp>
#include <chorale/launcher/bench/byte_sizes.hpp>
#include <chorale/launcher/bench/collective_bench.hpp>
#include <chorale/launcher/ranks.hpp>
#include <chorale/launcher/signals.hpp>

namespace chorale {
namespace {

struct Words {
  RankOptions ranks;
  std::string op = "all_reduce", sizes = "4:256M", dtype = "f32", peer = "none";
  std::int64_t repeat = 0;
  bool json = false;
};

void describe(OptionTable& t, Words& w) {
  describe(t, w.ranks);
  t.add("op", w.op, "The collective.", {.choices = collective_names()});
  t.add("sizes", w.sizes,
        "Bytes: FIRST:LAST doubles, or a comma list; K, M, G are 2^10, 2^20, 2^30. Rounded down to whole elements and, of all_to_all, "
        "equal parts.");
  t.add("dtype", w.dtype, "Type of an element.", {.choices = {"f32", "f64", "bf16", "i32", "i64", "u8"}});
  t.add("peer", w.peer, "Measured in turn with ours, on ordinary memory.", {.choices = {"none", "mpi"}});
  t.add("repeat", w.repeat, "Measurements of each size; 0: as many as fit in about a second.", {.min = 0, .max = 1e6});
  t.add("json", w.json, "One object a size.");
}

int bench_rank(Communicator& comm, const Words& w) {
  const std::unique_ptr<MpiPeer> peer = w.peer == "mpi" ? make_mpi_peer(comm) : nullptr;
  const CollectiveBenchConfig config{.op = w.op, .dtype = parse_dtype(w.dtype), .repeat = w.repeat};
  bool first = true, correct = true;
  for (const std::int64_t bytes : w.op == "barrier" ? std::vector<std::int64_t>{0} : parse_byte_sizes(w.sizes)) {
    std::int32_t stop = stop_requested() ? 1 : 0;  // a signal may reach some ranks only
    comm.all_reduce(buffer_of(std::span(&stop, 1)), Reduce::max, "bench stop").wait();
    if (stop != 0) return static_cast<int>(ExitCode::interrupted);
    const CollectiveFigures figures = measure_collective(comm, config, bytes, peer.get());
    correct = correct && figures.correct;
    if (comm.rank() == 0 && first && !w.json) std::fputs(figures_header(figures).c_str(), stdout);
    if (comm.rank() == 0) std::fputs((w.json ? figures_json(figures) : figures_text(figures)).c_str(), stdout);
    std::fflush(stdout);
    first = false;
  }
  return correct ? 0 : static_cast<int>(ExitCode::internal);
}

}  // namespace

int run_bench_comm(std::span<const std::string> arguments) {
  Words w;
  OptionTable table;
  describe(table, w);
  read_flags(arguments, table, 0);
  parse_byte_sizes(w.sizes);  // refused before any rank starts
  std::vector<std::string> words = {"bench", "comm"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return with_ranks(plan_ranks(w.ranks, look_around()), words, [&](Communicator& comm) { return bench_rank(comm, w); });
}

std::string bench_comm_options() {
  Words w;
  OptionTable table;
  describe(table, w);
  return help_text(table);
}

}  // namespace chorale
