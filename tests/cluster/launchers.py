"""Two nodes without Slurm whose launcher or supervisor is killed, and ranks of a lost attempt that come back.

  python3 tests/cluster/launchers.py build/release/chorale [ROW ...]
"""
import contextlib
import os
import signal
import sys
import time

import network
import run_folder
from processes import pid_of_rank, running


def kill(run, name):
    """SIGKILL to the run's process of that name on the first node, and how long its ranks live on, 10 s at most."""
    pid = min(pid for pid, (program, _) in running(run.path).items() if program == name)
    ranks = {rank for node in (0, 1) for rank in run.ranks_on(node)}
    os.kill(pid, signal.SIGKILL)
    killed = time.time()
    gone = run.until(lambda: not ranks & {rank for node in (0, 1) for rank in run.ranks_on(node)}, 10)
    run.check(gone, f"no orphan 10 s after {name} was killed", running(run.path))
    return killed


def supervisor_killed(run, expected):
    run.start()
    run.trains()
    run.child.kill()
    run.check(run.until(lambda: not any(run.nodes.processes(node) for node in (0, 1)), 10), "no process on either node 10 s after the supervisor was killed",
              [run.nodes.processes(node) for node in (0, 1)], running(run.path))
    run.child.communicate()
    run.goes_on(expected)


def mpirun_killed(run, expected):
    run.start()
    run.trains()
    killed = kill(run, "mpirun")
    code, said = run.end()
    ends = run.ends()
    run.check(code == 0 and [e["code"] for e in ends] == [75, 0] and network.time_of(ends[0]) - killed <= 5, "verdict within 5 s, started again", code, ends, said)
    run.check(run.hash() == expected, "with the same bits", run.hash(), expected)
    run.check_resumed()


def own_mpirun_killed(run, expected):
    run.is_mpirun = True
    run.start()
    run.trains()
    kill(run, "mpirun")
    run.nodes.kill_all()
    run.end()
    run.goes_on(expected)


def paused_ranks_come_back(run, expected):
    """Both nodes are paused, as virtual machines are; the run is started again elsewhere; then they wake up."""
    run.start("--restarts", "0", "--watchdog.seconds", "2")
    run.trains()
    paused = [pid for node in (0, 1) for pid in run.nodes.processes(node)]
    zero = pid_of_rank(run.path, 0)
    for pid in paused:
        os.kill(pid, signal.SIGSTOP)
    old, run.child = run.child, None
    # The processes of another machine: their numbers mean nothing to the new attempt.
    lock = run.path + "/lock"
    with open(lock, encoding="utf-8") as file:
        text = file.read()
    with open(lock + ".new", "w", encoding="utf-8") as file:
        file.write(text.replace('"machine": "', '"machine": "of another '))
    os.rename(lock + ".new", lock)
    run.start("--resume", "--watchdog.seconds", "2")
    run.check(run.until(lambda: [e["attempt"] for e in run_folder.events(run.path, "start")] == [1, 2], 60), "another attempt takes the run over")
    run.check(zero in running(run.path), "while the first one is still there")
    for pid in paused:
        with contextlib.suppress(ProcessLookupError):  # the first that come back may have ended others
            os.kill(pid, signal.SIGCONT)
    said = old.communicate(timeout=60)[1]
    run.check(old.returncode == 76 and "has another owner now" in said, "the ranks that come back leave with 76", old.returncode, said)
    code, said = run.end()
    run.check(code == 0 and run.hash() == expected, "the new attempt ends with the bits of an undisturbed run", code, run.hash(), expected, said)
    run.check([(e["attempt"], e["code"]) for e in run.ends()] == [(1, 75), (2, 0)] and run.ends()[0]["cause"].startswith("no end was recorded"),
              "and it alone has written verdicts", run.ends())
    run.check_resumed()
    steps = run_folder.steps(run.path)
    again = next(i for i in range(1, len(steps)) if steps[i] <= steps[i - 1])  # from the checkpoint on
    run.check(steps == list(range(1, again + 1)) + list(range(steps[again], 2001)), "nor a line of metrics", again, steps[again], len(steps))


ROWS = [supervisor_killed, mpirun_killed, own_mpirun_killed, paused_ranks_come_back]

if __name__ == "__main__":
    sys.exit(network.main("two nodes' launchers", [(row, False) for row in ROWS if not sys.argv[2:] or row.__name__ in sys.argv[2:]]))
