"""Jobs of the two-node Slurm of slurm.py: submitted, signalled, requeued, cancelled, and always ending with the bits of an undisturbed run.

  python3 tests/cluster/jobs.py build/release/chorale SOURCE short|long
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime

from nodes import TwoNodes
from slurm import Slurm, why_not

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
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
        """The undisturbed run: four ranks of one node, by mpirun."""
        run = self.work + "/reference"
        self.slurm.run(["mpirun", "-q", "-np", "4", "--oversubscribe", "--bind-to", "none", self.chorale, "train", *self.recipe, "--parallel.virtual_workers",
                        "4", "--run-dir", run, "--quiet"], timeout=120)
        return self.hash_of(run)

    def hash_of(self, run):
        with open(run + "/summary.json", encoding="utf-8") as file:
            return json.load(file)["parameters_hash"]

    def submit(self, name, *more):
        run = os.path.join(self.work, name)
        said = self.slurm.run([self.chorale, "submit", *self.recipe, "--nodes", "2", "--ranks-per-node", "2", "--time", "01:00:00", "--run-dir", run, *more])
        return re.match(r"job (\d+): ", said).group(1), run

    def submit_without_pmix(self, name, *more):
        """Where srun --mpi=pmix does not work: mpirun starts the ranks."""
        folder = self.work + "/no_pmix"
        os.makedirs(folder, exist_ok=True)
        with open(folder + "/srun", "w", encoding="ascii") as file:  # mpirun too starts its daemons by srun
            file.write('#!/bin/bash\ncase " $* " in *" --mpi=pmix "*) echo "srun: error: cannot create mpi context" >&2; exit 1;; esac\n'
                       f'exec {shutil.which("srun")} "$@"\n')
        os.chmod(folder + "/srun", 0o755)
        path = self.slurm.environment["PATH"]
        self.slurm.environment["PATH"] = folder + ":" + path
        try:
            return self.submit(name, *more)
        finally:
            self.slurm.environment["PATH"] = path

    def submit_with_fault(self, name, fault, *more):
        """As submit(), but every start of the job has --inject FAULT."""
        folder = f"{self.work}/faulty-{name}"
        os.makedirs(folder, exist_ok=True)
        with open(folder + "/sbatch", "w", encoding="ascii") as file:
            file.write(f"#!/bin/bash\nsed -i 's/ train \"$recipe\"/& --inject {fault}/' job.sh\nexec {shutil.which('sbatch')} \"$@\"\n")
        os.chmod(folder + "/sbatch", 0o755)
        path = self.slurm.environment["PATH"]
        self.slurm.environment["PATH"] = folder + ":" + path
        try:
            return self.submit(name, *more)
        finally:
            self.slurm.environment["PATH"] = path

    def lines(self, run, file):
        if not os.path.exists(f"{run}/{file}"):
            return []
        with open(f"{run}/{file}", encoding="utf-8") as text:
            return [json.loads(line) for line in text if line.endswith("\n")]

    def steps(self, run):
        return [line["step"] for line in self.lines(run, "metrics.jsonl") if line["event"] == "step"]

    def end_lines(self, run):
        return [line for line in self.lines(run, "events.jsonl") if line["event"] == "end"]

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

    def goes_on(self, job, run, attempts=2):
        """After a save: requeued, released, trained to the end from the very next step, with the same bits."""
        self.slurm.wait_for(lambda: len(self.ends(run)) == attempts - 1, 60, lambda: f"no verdict: {self.output(run)}")
        attempt, code, saved = self.ends(run)[-1]
        assert (attempt, code) == (attempts - 1, 99), self.output(run)
        assert saved == self.steps(run)[-1], (saved, self.steps(run)[-1])
        self.slurm.release(job)
        self.wait_end(job, run)
        assert self.ends(run)[-1][:2] == (attempts, 0), self.output(run)
        steps = self.steps(run)
        assert steps == list(range(1, len(steps) + 1)), "a step is missing or was made twice"
        assert self.hash_of(run) == self.expected, "other bits"


    def goes_on_from_checkpoint(self, job, run):
        """After a loss: requeued, released, from the newest checkpoint to the same bits."""
        self.slurm.release(job)
        self.wait_end(job, run)
        assert self.ends(run)[-1][1] == 0, self.output(run)
        assert self.hash_of(run) == self.expected, "other bits"

    def leftovers(self):
        """Of all runs so far: processes, half checkpoints, locks."""
        until = time.monotonic() + 10
        while running(self.work) and time.monotonic() < until:
            time.sleep(0.1)
        left = [f"{pid} {name}" for pid, (name, _) in running(self.work).items()]
        for folder, _, files in os.walk(self.work):
            left += [f"{folder}/{file}" for file in files if file.startswith("lock")]
            left += [folder] if ".tmp" in os.path.basename(folder) else []
        return left


def time_of(event):
    return datetime.fromisoformat(event["time"]).timestamp()


def submitted_jobs_train_to_the_bits_of_one_node_whatever_their_folder_is_called(t):
    pwned = t.work + "/pwned"
    job, run = t.submit(f"it's a \"run\" $(touch {os.path.basename(pwned)}) `id`; #SBATCH --time=1 \u00e9", "--job-name", "shoppers.v1_a")
    t.wait_end(job, run)
    assert t.hash_of(run) == t.expected, "other bits than mpirun -np 4 on one node"
    assert not os.path.exists(pwned) and not os.path.exists(run + "/" + os.path.basename(pwned)), "a name was run"
    assert "by srun --mpi=pmix" in t.output(run)
    assert "4 on 2 nodes" in t.output(run)
    assert t.status(run)["state"] == "done"
    for refused in ("two\nlines", "%j", "back\\slash"):
        code, said = t.slurm.run([t.chorale, "submit", *t.recipe, "--time", "01:00:00", "--run-dir", f"{t.work}/{refused}"], check=False)
        assert code == 64 and not os.path.exists(f"{t.work}/{refused}"), (refused, code, said)


def usr2_to_one_rank_twice_saves_all_and_the_job_goes_on(t):
    job, run = t.submit("one_rank")
    t.wait_step(run, 100)
    before = t.status(run)
    assert before["state"] == "running" and before["job_state"].startswith("RUNNING") and before["total_steps"] > before["step"] >= 100, before
    pid = t.ranks(run)[3]
    os.kill(pid, signal.SIGUSR2)
    os.kill(pid, signal.SIGUSR2)
    t.slurm.wait_state(job, "PENDING", 60)
    assert t.status(run)["state"] == "queued", t.status(run)
    t.goes_on(job, run)


def term_under_srun_with_all_ranks_alive_is_a_save(t):
    job, run = t.submit("term")
    t.wait_step(run, 60)
    t.slurm.run(["scancel", "--signal=TERM", job])
    t.goes_on(job, run)


def usr1_to_the_job_during_a_checkpoint_saves_and_goes_on_twice(t):
    job, run = t.submit("usr1", "--checkpoint.every_steps", "1")  # it is always saving
    for attempt in (2, 3):
        t.wait_step(run, 40 * attempt)
        t.slurm.run(["scancel", "--signal=USR1", job])
        t.slurm.wait_for(lambda: len(t.ends(run)) == attempt - 1, 60, lambda: f"no verdict: {t.output(run)}")
        if attempt == 2:
            t.slurm.release(job)
    t.goes_on(job, run, attempts=3)


def scontrol_requeue_saves_first(t):
    job, run = t.submit("requeue")
    t.wait_step(run, 60)
    t.slurm.run(["scontrol", "requeue", job])
    t.goes_on(job, run)


def slurms_own_signal_before_the_limit_saves(t):
    job, run = t.submit("limit", "--train.epochs", "400")
    t.wait_step(run, 20)
    t.slurm.run(["scontrol", "update", f"jobid={job}", "TimeLimit=4"])  # the signal is due 180 s before
    t.slurm.wait_for(lambda: t.ends(run), 150, lambda: f"no signal: {t.output(run)}")
    assert t.ends(run)[0][:2] == (1, 99), t.output(run)
    t.slurm.wait_state(job, "PENDING", 60)
    t.slurm.run(["scancel", job])


def a_cancelled_job_stays_cancelled_and_its_checkpoint_goes_on_by_hand(t):
    job, run = t.submit("cancel", "--checkpoint.every_steps", "50")
    t.wait_step(run, 120)
    t.slurm.run(["scancel", job])
    t.slurm.wait_state(job, ("CANCELLED", "GONE"), 60)
    t.slurm.wait_for(lambda: not t.ranks(run), 45, "ranks are left")
    assert t.status(run)["state"] in ("lost", "saved"), t.status(run)
    assert t.status(run)["checkpoint"] >= 100
    time.sleep(3)
    assert t.slurm.state(job) in ("CANCELLED", "GONE"), "it came back"
    job, _ = t.submit("cancel", "--checkpoint.every_steps", "50", "--resume")
    t.wait_end(job, run)
    assert t.hash_of(run) == t.expected, "other bits"


def killed_ranks_end_the_attempt_and_the_job_goes_on_from_its_checkpoint(t):
    job, run = t.submit("killed", "--checkpoint.every_steps", "50")
    t.wait_step(run, 120)
    for pid in t.ranks(run).values():
        os.kill(pid, signal.SIGKILL)
    t.slurm.release(job)
    t.wait_end(job, run)
    assert t.hash_of(run) == t.expected, "other bits"


def a_node_that_goes_down_costs_the_steps_since_the_checkpoint_only(t):
    job, run = t.submit("node_down", "--checkpoint.every_steps", "50")
    t.wait_step(run, 120)
    t.slurm.take_down(1)
    t.slurm.wait_for(lambda: t.slurm.state(job) in ("PENDING", "COMPLETING"), 90, lambda: f"not requeued: {t.slurm.state(job)} {t.output(run)}")
    t.slurm.bring_back(1)
    t.slurm.release(job)
    t.wait_end(job, run, seconds=180)
    assert t.hash_of(run) == t.expected, "other bits"
    every_attempt_has_an_end(t, run)


def every_attempt_has_an_end(t, run):
    """Slurm kills the ranks that are left before they can say anything: the next start says it for them."""
    ends = t.end_lines(run)
    assert [(e["attempt"], e["code"]) for e in ends] == [(1, 75), (2, 0)] and ends[0]["cause"], ends
    print("      the lost attempt:", ends[0]["cause"], flush=True)


def with_min_ranks_a_job_goes_on_without_the_node_that_went_down(t):
    job, run = t.submit("fewer", "--min-ranks", "2", "--checkpoint.every_steps", "50")
    t.wait_step(run, 120)
    assert "4 ranks on 2 nodes" in t.output(run), t.output(run)
    t.slurm.take_down(1)
    try:
        t.slurm.release(job)
        t.wait_end(job, run)
    finally:
        t.slurm.bring_back(1)
    assert "2 ranks on 1 nodes" in t.output(run) and t.ends(run)[-1][1] == 0, t.output(run)
    assert t.hash_of(run) == t.expected, "other bits"
    every_attempt_has_an_end(t, run)


def without_pmix_mpirun_starts_the_ranks_and_is_told_to_save(t):
    job, run = t.submit_without_pmix("mpirun")
    t.wait_step(run, 60)
    assert "ranks are started by mpirun" in t.output(run)
    t.slurm.run(["scancel", "--signal=USR2", job])
    t.goes_on(job, run)


def a_run_of_an_array_requeues_itself_alone(t):
    job, run = t.submit("array", "--array", "seeds=1-2")
    for seed in (1, 2):
        t.wait_step(f"{run}/seed_{seed}", 20)
    # The array's last one has the array's own number: the one that could requeue all.
    os.kill(t.ranks(f"{run}/seed_2")[0], signal.SIGUSR2)
    t.slurm.wait_for(lambda: t.ends(f"{run}/seed_2"), 60, "no verdict")
    t.slurm.wait_state(f"{job}_2", "PENDING", 60)
    assert not any(code == 99 for _, code, _ in t.ends(f"{run}/seed_1")), "the other one was requeued too"
    t.slurm.release(f"{job}_2")
    for seed in (1, 2):
        t.wait_end(f"{job}_{seed}", f"{run}/seed_{seed}")
    codes = [[code for _, code, _ in t.ends(f"{run}/seed_{seed}")] for seed in (1, 2)]
    assert codes == [[0], [99, 0]], (codes, t.output(run))
    assert t.hash_of(f"{run}/seed_1") != t.hash_of(f"{run}/seed_2"), "two seeds gave one result"
    assert "seed_1" in t.slurm.run([t.chorale, "status", run])


def the_doctor_looks_at_the_tasks_of_srun_and_says_when_pmix_does_not_join_them(t):
    def visit(*srun):
        errors = t.work + "/doctor.errors"  # a file of its own: what Slurm complains of would stand in the middle of the report
        for _ in range(3):
            code, said = t.slurm.run(["sh", "-c", 'errors=$1; shift; exec "$@" 2>"$errors"', "sh", errors, "srun", "--overcommit", "-N2", "-n4", *srun,
                                      t.chorale, "doctor", "--json"], check=False, cwd=t.work)
            found = re.search(r"^\{$.*?^\}$", said, re.M | re.S)
            with open(errors, encoding="utf-8", errors="replace") as file:
                complaints = file.read()
            # On a busy machine Slurm's own plug-in loses a task while MPI starts, now and then, and kills all: nobody is left to report.
            if found or "pmixp_client" not in complaints:
                break
        assert found, (code, said, complaints)
        return json.loads(found.group(0)), complaints

    report, complaints = visit("--mpi=pmix")
    checks = {check["name"]: check for check in report["checks"]}
    assert report["ranks"] == 4 and report["launcher"] == "the outer srun", report
    assert checks["slurm"]["state"] == "ok" and checks["slurm"]["values"]["pmix"], checks["slurm"]
    assert checks["world"]["state"] == "ok" and checks["world"]["values"]["hosts"] == 2, checks["world"]
    assert checks["all_reduce"]["state"] == "ok" and checks["run_directory"]["state"] == "ok", (checks, complaints)
    assert "rank 0 on" in checks["bandwidth"]["found"] and checks["bandwidth"]["state"] == "warning", checks["bandwidth"]  # of RATE
    report, _ = visit("--mpi=none")
    world = next(check for check in report["checks"] if check["name"] == "world")
    assert report["code"] == 75 and world["state"] == "failed", world
    assert "PMIx did not connect" in world["found"] and "--mpi=pmix" in world["remedy"], world


def the_templates_train_and_requeue(t):
    for name, expected in (("cpu.sh", ["ended with 0"]), ("requeue.sh", ["queued again", "ended with 0"]), ("array.sh", ["ended with 0"])):
        work = f"{t.work}/template_{name}"
        os.mkdir(work)
        words = ["env", "RECIPE=" + t.recipe[0], "FLAGS=" + " ".join(t.recipe[1:3] + t.recipe[3:5] + ["--train.log_every", "1"])]
        job = t.slurm.run(words + ["sbatch", "--parsable", "--nodes=2", "--ntasks-per-node=2", *(["--array=1"] if name == "array.sh" else []),
                                   f"{t.source}/slurm/{name}"], cwd=work).strip()
        run = work + ("/run_1" if name == "array.sh" else "/run")
        each = job + "_1" if name == "array.sh" else job
        if name == "requeue.sh":
            t.wait_step(run, 30)
            t.slurm.run(["scancel", "--signal=USR2", job])
            t.slurm.release(job)
        t.wait_end(each, work)
        assert t.ends(run)[-1][1] == 0, t.output(work)
        for text in expected:
            assert text in t.output(work), (text, t.output(work))
    for name in ("gpu.sh", "container.sh"):
        subprocess.run(["bash", "-n", f"{t.source}/slurm/{name}"], check=True)


SHORT = [submitted_jobs_train_to_the_bits_of_one_node_whatever_their_folder_is_called, usr2_to_one_rank_twice_saves_all_and_the_job_goes_on,
         term_under_srun_with_all_ranks_alive_is_a_save, the_doctor_looks_at_the_tasks_of_srun_and_says_when_pmix_does_not_join_them]
LONG = [usr1_to_the_job_during_a_checkpoint_saves_and_goes_on_twice, scontrol_requeue_saves_first,
        a_cancelled_job_stays_cancelled_and_its_checkpoint_goes_on_by_hand, killed_ranks_end_the_attempt_and_the_job_goes_on_from_its_checkpoint,
        without_pmix_mpirun_starts_the_ranks_and_is_told_to_save, a_run_of_an_array_requeues_itself_alone, the_templates_train_and_requeue,
        slurms_own_signal_before_the_limit_saves, with_min_ranks_a_job_goes_on_without_the_node_that_went_down,
        a_node_that_goes_down_costs_the_steps_since_the_checkpoint_only]


def main(rows):
    chorale, source, which = os.path.realpath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3]
    reason = why_not()
    if reason:
        print("CHORALE_SKIP jobs of a two-node Slurm: " + reason)
        return 4
    wanted = rows.get(which) or [f for f in rows["short"] + rows["long"] if f.__name__.startswith(which)]
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
    sys.exit(main({"short": SHORT, "long": LONG}))
