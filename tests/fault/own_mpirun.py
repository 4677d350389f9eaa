"""Runs that the user's own mpirun starts, which nobody watches from outside: ranks that are stopped before there is anything to wait for, and
what is said on the terminal when all ranks know the same.

  python3 tests/fault/own_mpirun.py build/release/chorale [ROW ...]
"""
import os
import signal
import subprocess
import sys
import time

from ends import STEPS
from rows import Mpirun, main, signal_is_known, time_of

from processes import running

DEADLINE = 2
STOPPED_FIRST = '[ "$OMPI_COMM_WORLD_RANK" = "$0" ] && kill -STOP $$; exec "$@"'


def processes_of(run):
    """Of its ranks, also of one that is still a shell."""
    return [pid for pid, (name, _) in running(run).items() if name != "mpirun"]


def state(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""


class Stopped(Mpirun):
    """One rank is stopped before it is this program."""

    def start(self, *options, ranks=2, stopped=None):
        if stopped is None:
            return super().start(*options, ranks=ranks)
        words = ["mpirun", "-np", str(ranks), "--oversubscribe", "--bind-to", "none", "bash", "-c", STOPPED_FIRST, str(stopped), self.chorale, "train",
                 self.folder + "/recipe.ini", "--run-dir", self.run, "--quiet", *options]
        temporary = {"OMPI_MCA_orte_tmpdir_base": self.temporary, "OMPI_MCA_mpi_yield_when_idle": "1", "TMPDIR": self.temporary}
        self.child = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=dict(os.environ, **temporary), start_new_session=True)
        return None


def stopped_rank(row, expected, name, rank, start, resume=True):
    run = Stopped(row.chorale, row.folder, f"{row.name}-{name}-{rank}")
    shm, options = set(os.listdir("/dev/shm")), [*STEPS, "--watchdog.seconds", str(DEADLINE)]
    start(run, options)
    run.check(run.until(lambda: any(state(pid) == "T" for pid in processes_of(run.run)), 20), f"{name}: rank {rank} is stopped")
    since = time.time()
    code, said = run.end(60)
    ends = run.events("end")
    run.check(code in (75, 139), f"{name}: 75, or what is left of it when Open MPI's own end crashes", code, said)  # seen once in ten
    run.check([(e["attempt"], e["code"], e["rank"]) for e in ends] == [(1, 75, rank)], f"{name}: one verdict of 75, which names rank {rank}", ends, said)
    cause = ends[0]["cause"] if ends else ""
    run.check(f"rank {rank}" in cause and "its process is stopped (SIGSTOP)" in cause, f"{name}: and says that it is stopped", ends)
    run.check(bool(ends) and DEADLINE - 0.5 <= time_of(ends[0]) - since <= DEADLINE + 2, f"{name}: at the deadline", ends and time_of(ends[0]) - since)
    run.check(code != 75 or said.count("its process is stopped") == 1, f"{name}: said once", said)
    run.check_clean(shm)
    if resume and rank == 1:
        run.start(*STEPS)
        code, said = run.end()
        run.check(code == 0 and run.hash() == expected, f"{name}: the same command then trains, to the same bits", code, said)
    row.wrong += run.wrong


def stopped_at_start(row, expected):
    """Before it is this program, and on its way into MPI_Init, of both sides of the control channel."""
    for rank in (0, 1):
        stopped_rank(row, expected, "before", rank, lambda run, options, rank=rank: run.start(*options, stopped=rank))
        stopped_rank(row, expected, "init", rank, lambda run, options, rank=rank: run.start(*options, "--inject", f"freeze@{rank}:0:init"), resume=False)


def first_killed_at_init(row, expected):
    """It has said where it listens, and perhaps welcomed the others: one of them writes the verdict, however far it has come."""
    del expected
    run = Mpirun(row.chorale, row.folder, row.name + "-run")
    shm = set(os.listdir("/dev/shm"))
    for start in range(1, 6):
        resumes, begun = start > 2, time.time()
        attempt = start + resumes  # the one between has trained
        run.start(*STEPS, "--inject", "kill9@0:0:init", *(["--resume"] if resumes else []))
        code, said = run.end(60)
        ends = run.events("end")
        run.check(code == 137 and time.time() - begun < 20, f"start {start} ends", code, said)
        run.check([(e["attempt"], e["code"], e["rank"]) for e in ends[attempt - 1 :]] == [(attempt, 75, 0)], f"start {start} has one verdict, of rank 0", ends, said)
        run.check("the verdict in place of rank 0: rank 0 (node" in said, "and another rank says it", said)
        run.check(not signal_is_known() or "SIGKILL" in ends[-1]["cause"], "with the signal", ends)
        if start == 2:
            run.start(*STEPS, "--train.steps", "400")
            code, said = run.end()
            run.check(code == 0, "the same command then trains", code, said)
    run.check_clean(shm)
    row.wrong += run.wrong


def all_stopped(row, expected):
    """There is nobody left to say so. Continued before the deadline or after it, they find no fault in one another."""
    run = Stopped(row.chorale, row.folder, row.name + "-run")
    shm = set(os.listdir("/dev/shm"))
    run.start("--watchdog.seconds", "1", *STEPS)
    run.check(run.until(run.has_checkpoint), "trains")
    ranks = [run.pid(rank) for rank in (0, 1)]
    for pid in ranks:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(4)
    run.check(run.child.poll() is None and not run.events("end"), "ranks that are all stopped wait")
    for pid in ranks:
        os.kill(pid, signal.SIGCONT)
    code, said = run.end()
    run.check(code == 0 and run.hash() == expected, "and go on when they may, to the same bits", code, said)
    run.check_clean(shm)
    row.wrong += run.wrong


def said_once(row, expected):
    """What all ranks find out alike."""
    del expected
    for name, options, code, says, has_verdict in (
            ("replicas", ["--inject", "bitflip@1:50", "--train.check_replicas", "10", "--parallel.exchange", "replicated"], 75, "copies of the parameters differ", True),
            ("nan", ["--inject", "nan@1:50"], 70, "loss is not finite at step 50", True),
            ("mismatch", ["--inject", "mismatch@1:50"], 75, "ranks disagree", True),
            ("killed", ["--inject", "kill9@1:50"], 137, "rank 1 (node", True),
            ("threw", ["--inject", "throw@1:50"], 75, "asked for by --inject", True),
            ("word", ["--train.stepps", "5"], 64, "--train.stepps", False)):
        run = Mpirun(row.chorale, row.folder, row.name + "-" + name)
        shm = set(os.listdir("/dev/shm"))
        run.start(*STEPS, "--parallel.virtual_workers", "4", *options, ranks=4)
        got, said = run.end()
        run.check(got == code, f"{name}: ends with {code}", got, said)
        run.check(sum(says in line for line in said.splitlines()) == 1, f"{name}: '{says}' is said once", said)
        ends = run.events("end")
        run.check(not has_verdict or (len(ends) == 1 and says in ends[0]["cause"]), f"{name}: the verdict says it too", ends)
        run.check_clean(shm)
        row.wrong += run.wrong


ROWS = {f.__name__: f for f in (stopped_at_start, first_killed_at_init, all_stopped, said_once)}

if __name__ == "__main__":
    sys.exit(main(ROWS, *STEPS))
