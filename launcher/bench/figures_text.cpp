// The rows that a benchmark of collectives prints.
#include <fmt/format.h>

#include <chorale/launcher/bench/collective_bench.hpp>

namespace chorale {

std::string figures_header(const CollectiveFigures& f) {
  std::string out = fmt::format(
      "# {} of {} on {} ranks; us: min, median, p95; GB/s: algorithm, bus, of the median; ordinary: memory that is not "
      "the communicator's\n",
      f.op, name(f.dtype), f.ranks);
  out +=
      fmt::format("{:>12} {:>10} {:>10} {:>10} {:>8} {:>8} {:>12} {:>8}", "bytes", "min", "median", "p95", "alg", "bus", "ordinary", "bus");
  if (!f.peer_us.empty) out += fmt::format(" {:>10} {:>8} {:>9}", "peer", "ratio", "ordinary");
  return out + "  check\n";
}

std::string figures_text(const CollectiveFigures& f) {
  std::string out =
      fmt::format("{:>12} {:>10.2f} {:>10.2f} {:>10.2f} {:>8.2f} {:>8.2f} {:>12.2f} {:>8.2f}", f.bytes, f.shared_us.min, f.shared_us.median,
                  f.shared_us.p95, f.algbw_gbs(f.shared_us), f.busbw_gbs(f.shared_us), f.ordinary_us.median, f.busbw_gbs(f.ordinary_us));
  if (!f.peer_us.empty)
    out += fmt::format(" {:>10.2f} {:>7.2f}x {:>8.2f}x", f.peer_us.median, f.ratio(f.shared_us), f.ratio(f.ordinary_us));
  return out + (f.correct ? "  ok\n" : "  WRONG\n");
}

std::string figures_json(const CollectiveFigures& f) {
  std::string out = fmt::format(
      "{{\"op\": \"{}\", \"bytes\": {}, \"dtype\": \"{}\", \"ranks\": {}, \"time_us\": {}, \"algbw_gbs\": {:.6g}, \"busbw_gbs\": {:.6g}, "
      "\"correct\": {}, \"ordinary_us\": {}, \"ordinary_algbw_gbs\": {:.6g}, \"ordinary_busbw_gbs\": {:.6g}",
      f.op, f.bytes, name(f.dtype), f.ranks, json(f.shared_us), f.algbw_gbs(f.shared_us), f.busbw_gbs(f.shared_us), f.correct,
      json(f.ordinary_us), f.algbw_gbs(f.ordinary_us), f.busbw_gbs(f.ordinary_us));
  if (!f.peer_us.empty)
    out += fmt::format(", \"peer_us\": {}, \"ratio\": {:.4g}, \"ordinary_ratio\": {:.4g}", json(f.peer_us), f.ratio(f.shared_us),
                       f.ratio(f.ordinary_us));
  return out + "}\n";
}

}  // namespace chorale
