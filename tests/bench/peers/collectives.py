"""all_reduce of Chorale beside gloo's through torch.distributed, alternately, in one run; prints a table in Markdown.

  python3 tests/bench/peers/collectives.py --ranks 2 --sizes 16K,1M,26M,100M --repeat 5 --build build/release

Sizes are bytes of f32 (K, M = 2^10, 2^20). Each round measures every size with both, one right after the other; the ratio is the median
of the rounds' ratios. Build first: cmake --build build/release --target chorale_program
"""
import argparse
import statistics
import sys

from programs import DEFAULT_BUILD, Built, ProgramError, has_torch, torch_ranks

UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def parse_size(word):
    scale = UNITS.get(word[-1:].upper(), 1)
    number = int(word[:-1] if scale > 1 else word) * scale
    if number < 4 or number % 4:
        raise ValueError(word)
    return number


class Size:
    def __init__(self, word):
        self.word, self.bytes = word, parse_size(word)
        self.allocated, self.ordinary, self.gloo = [], [], []  # us, by round

    def measure(self, built, gloo, ranks, ours_first):
        for ours in (True, False) if ours_first else (False, True):
            if ours:
                answer = built.all_reduce(self.bytes, ranks)
                self.allocated.append(answer["time_us"]["median"])
                self.ordinary.append(answer["ordinary_us"]["median"])
            else:
                self.gloo.append(gloo.measure(all_reduce=self.bytes)["time_us"]["p50"])

    def row(self):
        over = lambda ours: statistics.median(g / o for g, o in zip(self.gloo, ours))
        times = " | ".join(f"{statistics.median(t):.1f}" for t in (self.gloo, self.allocated, self.ordinary))
        least = min(g / o for g, o in zip(self.gloo, self.allocated))
        return f"| {self.word} | {times} | {over(self.allocated):.1f} | {least:.1f} | {over(self.ordinary):.1f} |"


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--sizes", default="16K,1M,26M,100M")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--build", default=DEFAULT_BUILD)
    words = parser.parse_args()
    try:
        words.sizes = [Size(word) for word in words.sizes.split(",")]
    except ValueError as error:
        parser.error(f"--sizes: '{error}' is not a number of bytes in whole f32, as 16K or 4096")
    if words.ranks < 2 or words.repeat < 1:
        parser.error("--ranks takes at least 2, --repeat at least 1")
    return words


def main():
    words = options()
    if not has_torch():
        print("collectives.py: there is no PyTorch here, and nothing else to compare with", file=sys.stderr)
        return 4
    built, gloo = Built(words.build), torch_ranks(words.ranks)
    try:
        for done in range(words.repeat):
            for size in words.sizes:
                size.measure(built, gloo, words.ranks, ours_first=done % 2 == 0)
            print(f"round {done + 1} of {words.repeat}", file=sys.stderr)
    except ProgramError as error:
        print(f"collectives.py: {error}", file=sys.stderr)
        return 70
    finally:
        gloo.end()
    print(f"all_reduce of f32, {words.ranks} ranks, {words.repeat} rounds, alternating; us, medians of the rounds' medians")
    print()
    print("| bytes | gloo | Chorale, allocated memory | ordinary memory | gloo over it, allocated | in the worst round | ordinary |")
    print("|" + "---|" * 7)
    for size in words.sizes:
        print(size.row())
    return 0


if __name__ == "__main__":
    sys.exit(main())
