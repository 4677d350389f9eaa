"""Rows of the fault matrix, and others, that are jobs of a two-node Slurm: always ending with the bits of an undisturbed run.

  python3 tests/cluster/job_rows.py build/release/chorale SOURCE short|long|ROW [FILE ...]

FILE: of those below, without .py. Short rows are CI's share.
"""
import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from jobs import Jobs, RATE
from nodes import TwoNodes
from slurm import Slurm, why_not

FILES = ["submitted", "job_signals", "job_losses", "job_faults", "job_kills", "job_rules"]


def chosen(which, files):
    modules = [importlib.import_module(name) for name in files or FILES]
    rows = {"short": [row for m in modules for row in m.SHORT], "long": [row for m in modules for row in m.LONG]}
    return rows.get(which) or [row for row in rows["short"] + rows["long"] if row.__name__.startswith(which)]


def main():
    chorale, source = os.path.realpath(sys.argv[1]), os.path.abspath(sys.argv[2])
    reason = why_not()
    if reason:
        print("CHORALE_SKIP jobs of a two-node Slurm: " + reason)
        return 4
    wanted = chosen(sys.argv[3], sys.argv[4:])
    wrong = 0
    work = tempfile.mkdtemp(prefix="jobs-")
    shm = set(os.listdir("/dev/shm"))
    with TwoNodes(RATE) as nodes:
        try:
            with Slurm(nodes) as slurm:
                jobs = Jobs(slurm, chorale, source, work)
                for test in wanted:
                    slurm.wait_for(lambda: not slurm.run(["squeue", "-h", "-o", "%i", "-t", "R,CG"]).strip(), 60, "jobs are left")
                    start = time.monotonic()
                    try:
                        test(jobs)
                        left = jobs.leftovers()
                        assert not left, f"left behind: {left}"
                        verdict = "ok"
                    except (AssertionError, RuntimeError, OSError, KeyError, ValueError, IndexError, StopIteration, subprocess.SubprocessError) as e:
                        verdict = f"FAILED: {type(e).__name__}: {e}"
                        wrong += 1
                        slurm.run(["scancel", "--user=root"], check=False)
                    print(f"{test.__name__.replace('_', ' ')}: {verdict} ({time.monotonic() - start:.1f} s)", flush=True)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    left = [name for name in set(os.listdir("/dev/shm")) - shm if re.search("cn%dx" % os.getpid(), name)]
    left += [line for line in subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout.splitlines() if str(os.getpid()) in line]
    left += [nodes.folder] if os.path.exists(nodes.folder) else []
    if left:
        print("FAILED: left behind:", *left)
    return 1 if wrong or left else 0


if __name__ == "__main__":
    sys.exit(main())
