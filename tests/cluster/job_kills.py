"""A rank of a job that is killed in each part of a run under srun, whether the job's script starts srun or a supervisor inside the job does.

KillWait is 30 s: ranks that do not leave by themselves would stay so long. Within 3 s of the kill all have ended and the verdict is there; then the
run goes on from its newest checkpoint to the bits of an undisturbed one.
"""
import os
import time

from jobs import time_of
from processes import running

SAVES = ["--checkpoint.every_steps", "50"]


class Submitted:
    """`chorale submit`: the job's script starts srun, and is queued again."""

    def __init__(self, t, name):
        self.t, self.name = t, name

    def start(self, fault, environment, *more):
        """The fault comes once, however often the job is started."""
        once = f"{self.t.work}/once-{self.name}"
        change = f's|"${{start\\[@\\]}}" "$chorale" train "$recipe"|env {environment} & $(mkdir {once} 2>/dev/null \\&\\& echo {fault})|'
        self.job, self.run = self.t.submit_changed(self.name, change, *SAVES, *more)

    def out(self):
        return f"{self.run}/{next(name for name in os.listdir(self.run) if name.endswith('.out'))}"

    def goes_on(self):
        self.t.slurm.wait_for(lambda: self.t.slurm.state(self.job) not in ("RUNNING", "COMPLETING"), 120, lambda: f"stands still: {self.t.output(self.run)}")
        if self.t.slurm.state(self.job) == "PENDING":
            self.t.slurm.release(self.job)
        self.t.wait_end(self.job, self.run)


class Supervised:
    """`chorale train --launch srun` in a job: starts its ranks again by itself."""

    def __init__(self, t, name):
        self.t, self.name, self.run = t, name, f"{t.work}/{name}"

    def start(self, fault, environment, *more):
        script = self.run + ".sh"
        words = [self.t.chorale, "train", *self.t.recipe, "--parallel.virtual_workers", "4", *SAVES, "--run-dir", self.run, "--launch", "srun", "-n", "4"]
        with open(script, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/bash\nenv {environment} " + " ".join(f"'{word}'" for word in words + list(more)) + f" {fault}\n")
        self.job = self.t.slurm.run(["sbatch", "--parsable", "--nodes=2", "--ntasks-per-node=2", f"--output={self.run}.out", script], cwd=self.t.work).strip()

    def out(self):
        return self.run + ".out"

    def goes_on(self):
        self.t.wait_end(self.job, self.t.work)


def ranks_of(run):
    """Process ids by rank and step of Slurm. A supervisor in the job, and srun, have no number of PMIx."""
    return {(int(e["SLURM_PROCID"]), e["SLURM_STEP_ID"], e.get("SLURM_RESTART_COUNT")): pid for pid, (_, e) in running(run).items() if "PMIX_RANK" in e}


def death_of(trial, rank, mark):
    """When that rank's first process was gone, or there was a file that says so, and the step that it was in; None: the first."""
    seen, until = None, time.monotonic() + 90
    while time.monotonic() < until:
        now = ranks_of(trial.run)
        if (mark and os.path.exists(mark)) or (seen and seen not in now):
            return time.time(), seen and seen[1:]
        seen = seen or next((key for key in now if key[0] == rank), None)
        time.sleep(0.01)
    raise RuntimeError(f"rank {rank} was not killed: {said_in(trial)}")


def ranks_in(step, run):
    return {key: pid for key, pid in ranks_of(run).items() if step is None or key[1:] == step}


def said_in(trial):
    with open(trial.out(), encoding="utf-8", errors="replace") as file:
        return file.read()


def killed(t, how, what, rank, fault="", environment="", options=(), ends=(((1, 75), (2, 0)),), mark=""):
    """ends: attempts and codes in the end, one of these. mark: a file that is there when it has been killed."""
    trial = how(t, f"{what}_{rank}_{how.__name__.lower()}")
    trial.start(fault, environment, *options)
    died, step = death_of(trial, rank, mark)
    time.sleep(0.2)  # those that were about to start
    step = step or next((key[1:] for key in ranks_of(trial.run)), None)
    t.slurm.wait_for(lambda: not ranks_in(step, trial.run), 2.8, lambda: f"{what}: ranks are left: {ranks_of(trial.run)}: {said_in(trial)}")
    trial.goes_on()
    found = t.end_lines(trial.run)
    assert tuple((e["attempt"], e["code"]) for e in found) in ends, (what, found, said_in(trial))
    lost = [e for e in found if e["code"] == 75]
    for end in lost[-1:]:
        assert time_of(end) - died <= 3, (what, end, died)
        if how is Submitted and what == "mpi_init":  # who could say it may have been ended by Open MPI, which crashes now and then where a peer is gone
            break
        assert end["rank"] == rank and f"rank {rank} (" in end["cause"] and ("SIGKILL" in end["cause"] or how is Submitted and "has died" in end["cause"]), (what, end)
    print(f"      {trial.name}: {lost[-1]['cause'] if lost else 'done'}", flush=True)
    if lost and lost[-1]["checkpoint"]:
        t.went_on(trial.run)
    assert t.hash_of(trial.run) == t.expected, "other bits"


def in_a_save(t, how):
    for point, rank in (("snapshot", 3), ("read", 3), ("part_written", 3), ("manifest", 0), ("rename", 0), ("prune", 0)):
        killed(t, how, point, rank, f"--inject kill9@{rank}:150:save:{point}", options=("--checkpoint.keep_last", "1"))


def in_a_restore(t, how):
    """With parameters read, and optimiser state not yet. The run has trained for 100 steps before."""
    what = f"restore_3_{how.__name__.lower()}"
    t.train_on_one_node(f"{t.work}/{what}", "--train.steps", "100", *SAVES)
    killed(t, how, "restore", 3, "--inject kill9@3:0:restore:read", options=("--resume",), ends=(((1, 0), (2, 75), (3, 0)),))


def in_mpi(t, how, place, rank, ends):
    shim = os.path.join(os.path.dirname(t.chorale), "tests", "libchorale_fault_shim.so")
    once = f"{t.work}/once-{place}-{rank}-{how.__name__}"
    killed(t, how, "mpi_" + place, rank, environment=f"LD_PRELOAD={shim} CHORALE_FAULT_KILL={place}:{rank}:{once}", ends=ends, mark=once)
    assert os.path.exists(once), "it was not killed there"


def a_rank_killed_in_a_save_under_a_jobs_supervisor(t):
    in_a_save(t, Supervised)


def a_rank_killed_in_a_save_of_a_job(t):
    in_a_save(t, Submitted)


def a_rank_killed_in_a_restore(t):
    in_a_restore(t, Supervised)
    in_a_restore(t, Submitted)


def a_rank_killed_in_mpi_init(t):
    """Before the attempt has begun: a supervisor says it in its place, a job's script starts the ranks again, with a line where one of them could write it."""
    for rank in (3, 0):
        in_mpi(t, Supervised, "init", rank, [((1, 75), (2, 0))])
        in_mpi(t, Submitted, "init", rank, [((1, 0),), ((1, 75), (2, 0))])


def a_rank_killed_in_mpi_finalize(t):
    """All is said and done."""
    for rank in (3, 0):
        for how in (Supervised, Submitted):
            in_mpi(t, how, "finalize", rank, [((1, 0),)])


def rank_0_killed_at_the_rename_of_a_save(t):
    killed(t, Supervised, "rename_in_ci", 0, "--inject kill9@0:150:save:rename")


SHORT = [rank_0_killed_at_the_rename_of_a_save]
LONG = [a_rank_killed_in_a_save_under_a_jobs_supervisor, a_rank_killed_in_a_save_of_a_job, a_rank_killed_in_a_restore, a_rank_killed_in_mpi_init,
        a_rank_killed_in_mpi_finalize]
