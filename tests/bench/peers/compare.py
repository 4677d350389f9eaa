"""Chorale beside what a user would otherwise run, on the same networks, alternately, in one run; prints tables in Markdown.

  python3 tests/bench/peers/compare.py                     Chorale, PyTorch (one process; DDP over gloo), Open MPI
  python3 tests/bench/peers/compare.py --floor             and the step without any framework, and what the machine allows
  options: --ranks 2  --networks article,mlp,wide  --repeat 5  --build build/release  --no-torch  --json FILE  -- OPTIONS OF BENCH STEP

Build first: cmake --build build/release --target chorale_program bench_programs
"""
import argparse
import json
import signal
import statistics
import sys

from networks import NETWORKS, operations, parameters
from programs import DEFAULT_BUILD, Built, ProgramError, has_torch, torch_ranks

FORMS = [(form, gemm) for form in ("shared", "private") for gemm in ("onednn", "openblas")]


HEAD = """| network | program | ms a step | best | samples/s | Chorale's samples/s over it | in the best rounds |
|---|---|---|---|---|---|---|"""


class Series:
    """One program on one network: a step time a round."""

    def __init__(self, name, ranks, samples, measure):
        self.name, self.ranks, self.samples, self.measure, self.ms = name, ranks, samples, measure, []

    def speed(self):  # samples/s of each round
        return [1e3 * self.samples / ms for ms in self.ms]


def programs_for(network, words, built, single, many):
    batch, n = NETWORKS[network]["batch"], words.ranks
    p50 = lambda answer: answer["step_ms"]["p50"]
    one = lambda **order: p50(single.measure(network=network, **order))
    out = {"chorale 1": Series("Chorale, 1 rank", 1, batch, lambda: p50(built.chorale(network, 1))),
           "chorale n": Series(f"Chorale, {n} ranks", n, batch * n, lambda: p50(built.chorale(network, n)))}
    for gemm in ("onednn", "openblas"):
        out["openmpi " + gemm] = Series(f"Open MPI by hand, {n} ranks, {gemm}", n, batch * n, lambda g=gemm: p50(built.openmpi(network, n, g)))
    if many:
        out["ddp"] = Series(f"PyTorch DDP (gloo), {n} x 1 thread", n, batch * n, lambda: p50(many.measure(network=network)))
        for threads in sorted({1, n}):
            out[f"torch {threads}"] = Series(f"PyTorch, 1 process, {threads} thread{'s' * (threads > 1)}, whole batch", 1, batch * n,
                                             lambda t=threads: one(batch=batch * n, threads=t))
    if words.floor:
        for ranks in sorted({1, n}):
            for form, gemm in FORMS:
                if ranks == 1 and form == "private":
                    continue  # without peers both forms are one
                label = f"floor {'n' if ranks == n and n > 1 else '1'} {form} {gemm}"
                out[label] = Series(f"floor, {ranks} rank{'s' * (ranks > 1)}, {form}, {gemm}", ranks, batch * ranks,
                                    lambda r=ranks, f=form, g=gemm: p50(built.floor(network, r, f, g)))
    return out


def ratio(above, below):
    """Median over the rounds of one quotient of throughputs a round: neighbours in time are compared."""
    return statistics.median(a / b for a, b in zip(above.speed(), below.speed()))


def best_of(series, start):
    """The fastest program whose label starts so, by its median."""
    found = [s for label, s in series.items() if label.startswith(start)]
    return min(found, key=lambda s: statistics.median(s.ms)) if found else None


def comparison_rows(network, series):
    rows, chorale = [], series["chorale n"]
    shown = [series["chorale 1"], chorale] + [s for s in (best_of(series, "openmpi"), series.get("ddp")) if s]
    shown += [s for label, s in series.items() if label.startswith("torch")]
    for s in shown:
        median = statistics.median(s.ms)
        best = min(s.ms) / s.samples / (min(chorale.ms) / chorale.samples)
        quotient = " | " if s.name.startswith("Chorale") else f"{ratio(chorale, s):.2f} | {best:.2f}"
        rows.append(f"| {network} | {s.name} | {median:.4f} | {min(s.ms):.4f} | {1e3 * s.samples / median:.0f} | {quotient} |")
    return rows


def floor_row(network, series, n, peak):
    one, many = best_of(series, "floor 1"), best_of(series, "floor n") or best_of(series, "floor 1")
    c1, cn = series["chorale 1"], series["chorale n"]
    arithmetic = operations(network) / peak["gflops"] / 1e6
    # Adam reads p, m, v and the gradient and writes p, m and v. What lies in a cache is not bound by memory.
    in_cache = 16 * parameters(network) < 32e6
    update = "in cache" if in_cache else f"{28 * parameters(network) / peak['copy_gbs'] / 1e6:.1f}"
    weak, floor_weak = ratio(cn, c1) / n, ratio(many, one) / n
    return (f"| {network} | {arithmetic:.3f} | {update} | {statistics.median(one.ms):.4f} | {statistics.median(many.ms):.4f} | "
            f"{1 / ratio(c1, one):.2f} | {1 / ratio(cn, many):.2f} | {min(c1.ms) / min(one.ms):.2f} | {min(cn.ms) / min(many.ms):.2f} | "
            f"{weak:.2f} | {floor_weak:.2f} |")


def report(words, results, peak):
    rounds = ", ".join(f"{network} {len(series['chorale n'].ms)}" for network, series in results.items())
    out = [f"{words.ranks} ranks, a thread each, {rounds} rounds, alternating; ms a step: the median and the best of the rounds' medians",
           "", HEAD]
    for network, series in results.items():
        out += comparison_rows(network, series)
    if words.floor:
        n = words.ranks
        out += ["", f"measured: {peak['gflops']:.0f} GFLOP/s a core, copy {peak['copy_gbs']:.1f} GB/s, a barrier of 2 ranks {peak['barrier_us']:.2f} us", "",
                f"| network | arithmetic ms | update ms | floor 1 | floor {n} | Chorale / floor, 1 | {n} | best rounds, 1 | {n} | weak scaling | the floor's |",
                "|" + "---|" * 11]
        out += [floor_row(network, series, n, peak) for network, series in results.items()]
    return "\n".join(out)


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--build", default=DEFAULT_BUILD)
    parser.add_argument("--floor", action="store_true")
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--json", default="", help="also write every measured time there")
    parser.add_argument("extra", nargs="*", help="options for chorale bench step, after --")
    words = parser.parse_args()
    words.networks = words.networks.split(",")
    unknown = [n for n in words.networks if n not in NETWORKS]
    if unknown or words.ranks < 1 or words.repeat < 1:
        parser.error(f"--networks takes {', '.join(NETWORKS)}; --ranks and --repeat take at least 1")
    return words


def measure_rounds(series, network, repeat):
    for done in range(repeat):
        order = list(series.values())
        for s in order if done % 2 == 0 else reversed(order):
            s.ms.append(s.measure())
        print(f"{network}: round {done + 1} of {repeat}", file=sys.stderr)


def measure_all(words, built, single, many):
    results = {}
    for network in words.networks:
        series = programs_for(network, words, built, single, many)
        try:
            measure_rounds(series, network, words.repeat)
        except KeyboardInterrupt:
            print("stopped: the tables show the rounds that were complete", file=sys.stderr)
            return results | cut_to_rounds(network, series)
        results[network] = series
    return results


def cut_to_rounds(network, series):
    complete = min(len(s.ms) for s in series.values())
    for s in series.values():
        del s.ms[complete:]
    return {network: series} if complete else {}


def main():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell started us with it ignored
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of every finally, so that no program stays
    words = options()
    built = Built(words.build, words.extra)
    with_torch = not words.no_torch and has_torch()
    if not with_torch:
        print("no PyTorch here: its rows are left out", file=sys.stderr)
    single, many = (torch_ranks(1), torch_ranks(words.ranks)) if with_torch else (None, None)
    try:
        peak = built.peak() if words.floor else None
        results = measure_all(words, built, single, many)
    except ProgramError as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 70
    finally:
        for asked in (single, many):
            if asked:
                asked.end()
    print(report(words, results, peak))
    if words.json:
        raw = {network: {label: s.ms for label, s in series.items()} for network, series in results.items()}
        with open(words.json, "w", encoding="ascii") as file:
            json.dump({"ranks": words.ranks, "peak": peak, "step_ms": raw}, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
