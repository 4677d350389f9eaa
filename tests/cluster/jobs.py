"""A run as jobs of the two-node Slurm of slurm.py: submitted, watched, and looked at when it has ended."""
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
from datetime import datetime

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import run_folder
from processes import running

RATE = "25mbit"  # a step waits for the wire some 15 ms, so that a run lasts long enough to be disturbed on any machine
# More ranks than cores run here; nobody's timing is looked at.
EPOCHS = 4


class Jobs:
    def __init__(self, slurm, chorale, source, work):
        self.slurm, self.chorale, self.source, self.work = slurm, chorale, source, work
        slurm.environment["PATH"] = os.path.dirname(chorale) + ":" + slurm.environment["PATH"]
        slurm.environment["OMPI_MCA_mpi_yield_when_idle"] = "1"
        shoppers = os.path.join(os.environ.get("CHORALE_DATA", ""), "online_shoppers/online_shoppers_intention.csv")
        if os.environ.get("CHORALE_DATA") and os.path.exists(shoppers):
            self.recipe = [source + "/examples/recipes/online_shoppers.ini", "--data.file", shoppers]
        else:
            print("without CHORALE_DATA the made shop stands for the shoppers")
            slurm.run([chorale, "data", "shop", "--out", work + "/shop", "--sessions", "12000"])
            self.recipe = [source + "/examples/recipes/shop_purchase.ini", "--data.file", work + "/shop/sessions.csv", "--train.batch", "64"]
        self.recipe += ["--train.epochs", str(EPOCHS), "--train.early_stop", "", "--train.log_every", "1", "--checkpoint.keep_last", "1000"]
        self.expected = self.reference()

    def reference(self):
        """The undisturbed run."""
        self.train_on_one_node(self.work + "/reference")
        return self.hash_of(self.work + "/reference")

    def train_on_one_node(self, run, *more):
        """Four ranks, by mpirun."""
        self.slurm.run(["mpirun", "-q", "-np", "4", "--oversubscribe", "--bind-to", "none", self.chorale, "train", *self.recipe, "--parallel.virtual_workers",
                        "4", "--run-dir", run, "--quiet", *more], timeout=120)

    def hash_of(self, run):
        return run_folder.hash_of(run)

    def submit(self, name, *more):
        run = os.path.join(self.work, name)
        said = self.slurm.run([self.chorale, "submit", *self.recipe, "--nodes", "2", "--ranks-per-node", "2", "--time", "01:00:00", "--run-dir", run, *more])
        return re.match(r"job (\d+): ", said).group(1), run

    def submit_by(self, program, text, name, *more):
        """As submit(), with a program of that name and text before the real one."""
        folder = f"{self.work}/programs-of-{name}"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/{program}", "w", encoding="ascii") as file:
            file.write(f'#!/bin/bash\n{text}\nexec {shutil.which(program)} "$@"\n')
        os.chmod(f"{folder}/{program}", 0o755)
        path = self.slurm.environment["PATH"]
        self.slurm.environment["PATH"] = folder + ":" + path
        try:
            return self.submit(name, *more)
        finally:
            self.slurm.environment["PATH"] = path

    def submit_without_pmix(self, name, *more):
        """Where srun --mpi=pmix does not work: mpirun starts the ranks, and its daemons by srun."""
        text = 'case " $* " in *" --mpi=pmix "*) echo "srun: error: cannot create mpi context" >&2; exit 1;; esac'
        return self.submit_by("srun", text, name, *more)

    def submit_changed(self, name, change, *more):
        """As submit(), with that command of sed done to the job's script."""
        return self.submit_by("sbatch", f"sed -i {shlex.quote(change)} job.sh", name, *more)

    def submit_with_fault(self, name, fault, *more):
        """As submit(), but every start of the job has --inject FAULT."""
        return self.submit_changed(name, f's/ train "$recipe"/& --inject {fault}/', *more)

    def steps(self, run):
        return run_folder.steps(run)

    def end_lines(self, run):
        return run_folder.events(run, "end")

    def ends(self, run):
        return [(line["attempt"], line["code"], line["step"]) for line in self.end_lines(run)]

    def wait_step(self, run, step):
        self.slurm.wait_for(lambda: self.steps(run)[-1:] >= [step], 60, lambda: f"{run} is not at step {step}: {self.output(run)}")

    def wait_end(self, job, run, state="COMPLETED", seconds=120):
        over = {state, "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "GONE"}
        self.slurm.wait_for(lambda: self.slurm.state(job) in over, seconds, lambda: f"job {job} goes on: {self.output(run)}")
        assert self.slurm.state(job) == state, f"job {job} is {self.slurm.state(job)}: {self.output(run)}"

    def output(self, run):
        return "".join(open(f"{run}/{name}", encoding="utf-8").read() for name in sorted(os.listdir(run)) if name.endswith(".out"))

    def ranks(self, run):
        """Process ids of the run's ranks, by rank."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
                if len(words) < 2 or words[1] != b"train" or run.encode() not in words or words[0] != self.chorale.encode():
                    continue
                with open(f"/proc/{pid}/environ", "rb") as file:
                    rank = re.search(rb"\0(?:SLURM_PROCID|OMPI_COMM_WORLD_RANK)=(\d+)\0", b"\0" + file.read())
                found[int(rank.group(1))] = int(pid)
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                pass
        return found

    def launcher(self, run, name):
        """Process id of the srun or mpirun that starts the run's ranks."""
        found = running(run)
        return min(pid for pid, (program, _) in found.items() if program == name)

    def supervisor(self, run):
        ranks = self.ranks(run).values()
        return next(pid for pid, (program, _) in running(run).items() if program.startswith("chorale") and pid not in ranks)

    def status(self, run):
        return json.loads(self.slurm.run([self.chorale, "status", run, "--json"]))

    def goes_on(self, job, run, attempts=2, seconds=120):
        """After a save: requeued, released, trained to the end from the very next step, with the same bits."""
        self.slurm.wait_for(lambda: len(self.ends(run)) == attempts - 1, 60, lambda: f"no verdict: {self.output(run)}")
        attempt, code, saved = self.ends(run)[-1]
        assert (attempt, code) == (attempts - 1, 99), self.output(run)
        assert saved == self.steps(run)[-1], (saved, self.steps(run)[-1])
        self.slurm.release(job)
        self.wait_end(job, run, seconds=seconds)
        assert self.ends(run)[-1][:2] == (attempts, 0), self.output(run)
        steps = self.steps(run)
        assert steps == list(range(1, len(steps) + 1)), "a step is missing or was made twice"
        assert not run_folder.not_resumed(run), run_folder.not_resumed(run)
        assert self.hash_of(run) == self.expected, "other bits"

    def goes_on_from_checkpoint(self, job, run, seconds=120):
        """After a loss: requeued, released, from the newest checkpoint to the same bits."""
        self.slurm.release(job)
        self.wait_end(job, run, seconds=seconds)
        self.went_on(run)

    def went_on(self, run):
        """From the newest checkpoint, not anew; every attempt has its line."""
        assert self.ends(run)[-1][1] == 0, self.output(run)
        assert not run_folder.not_resumed(run), run_folder.not_resumed(run)
        assert not run_folder.wrong_lines(run), run_folder.wrong_lines(run)
        assert self.hash_of(run) == self.expected, "other bits"

    def leftovers(self):
        """Of all runs so far: processes, files of theirs that should not be there, shared memory, temporary files, wrong lines of events."""
        until = time.monotonic() + 10
        while running(self.work) and time.monotonic() < until:
            time.sleep(0.1)
        left = [f"{pid} {name}" for pid, (name, _) in running(self.work).items()]
        for run, _, files in os.walk(self.work):
            if "events.jsonl" in files:
                left += [f"{run}/{file}" for file in run_folder.leftovers(run) if not file.startswith("seed_")]
                left += run_folder.wrong_lines(run)
        hosts = self.slurm.nodes.hosts
        left += [f"/dev/shm/{name}" for name in os.listdir("/dev/shm") if any(host in name for host in hosts)]
        for folder in [tempfile.gettempdir()] + [f"{self.slurm.folder}/tmp-{host}" for host in hosts]:
            left += [f"{folder}/{name}" for name in os.listdir(folder) if any(host in name for host in hosts) or folder != tempfile.gettempdir()]
        return left


def time_of(event):
    return datetime.fromisoformat(event["time"]).timestamp()
