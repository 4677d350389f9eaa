#!/usr/bin/env python3
"""A training step with and without transparent huge pages, alternating: time of a step and page faults of the whole program.

    python3 tests/bench/memory/huge_pages.py [--build build/release] [--repeat 5] [--presets mlp,wide] [--ranks 1]
"""
import argparse
import ctypes
import json
import os
import statistics
import subprocess

PR_SET_THP_DISABLE = 41  # inherited by children and kept by exec


def disable():
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_THP_DISABLE")


def run(command, huge):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=None if huge else disable)
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)} ended with status {status}")
    return json.loads(text)["step_ms"]["p50"], usage.ru_minflt


def setting(name):
    with open(f"/sys/kernel/mm/transparent_hugepage/{name}") as file:
        return file.read().strip()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--presets", default="mlp,wide")
    parser.add_argument("--ranks", default="1")
    parser.add_argument("--exchange", default="replicated")
    a = parser.parse_args()
    print("private memory:", setting("enabled"), " shared memory:", setting("shmem_enabled"))
    for preset in a.presets.split(","):
        command = [os.path.join(a.build, "chorale"), "bench", "step", "--preset", preset, "--exchange", a.exchange, "-n", a.ranks,
                   "--steps", "12" if preset == "wide" else "300", "--json"]
        with_them, without = [], []
        for _ in range(a.repeat):
            with_them.append(run(command, True))
            without.append(run(command, False))
        ratio = statistics.median(w[0] / o[0] for w, o in zip(with_them, without))
        print(f"{preset}, {a.exchange}, {a.ranks} rank(s): step with over without {ratio:.3f}; page faults "
              f"{statistics.median(w[1] for w in with_them):.0f} with, {statistics.median(o[1] for o in without):.0f} without")


if __name__ == "__main__":
    main()
