"""Jobs of the two-node Slurm that lose their time, a rank, a launcher or a daemon: verdict, time to it, what is left, and the bits in the end."""
import glob
import json
import os
import shutil
import signal
import tempfile
import time

from jobs import time_of


def rank_killed_with_kill(t):
    """KillWait is 30 s: ranks that do not leave by themselves would stay so long."""
    job, run = t.submit("rank_killed", "--checkpoint.every_steps", "50")
    t.wait_step(run, 120)
    ranks, killed = t.ranks(run), time.time()
    os.kill(ranks[3], signal.SIGKILL)
    t.slurm.wait_for(lambda: not set(t.ranks(run).values()) & set(ranks.values()), 3, "ranks are left")
    t.slurm.wait_for(lambda: t.ends(run), 3, lambda: f"no verdict: {t.output(run)}")
    end = t.end_lines(run)[0]
    assert end["code"] == 75 and end["rank"] == 3 and "rank 3 (" in end["cause"] and time_of(end) - killed <= 3, end
    t.goes_on_from_checkpoint(job, run)


def poison_batch_ends_the_chain(t):
    """The same step ends three starts of the job in the same way, without a checkpoint in between: the third one is not queued again."""
    job, run = t.submit_with_fault("poison", "kill9@3:95!:update", "--checkpoint.every_steps", "50")
    for attempt in (1, 2):
        t.slurm.wait_for(lambda n=attempt: len(t.ends(run)) == n, 60, lambda: f"no verdict: {t.output(run)}")
        t.slurm.release(job)
    t.wait_end(job, run, "FAILED")
    ends = t.end_lines(run)
    assert [(e["attempt"], e["code"], e["rank"], e["checkpoint"]) for e in ends] == [(1, 75, 3, 50), (2, 75, 3, 50), (3, 70, 3, 50)], ends
    assert "step 95 has failed 3 times" in ends[-1]["cause"] and "SIGKILL" in ends[-1]["cause"], ends[-1]
    said = t.output(run)
    assert said.count("queued again") == 2 and "ended with 70" in said and "step 95 has failed 3 times" in said, said
    t.slurm.run(["scancel", job], check=False)


def time_limit_without_lead(t):
    """Nothing but Slurm's TERM at the limit: it is a save too, the job does not come back, and the run goes on by hand."""
    work, run = t.work + "/no_lead", t.work + "/no_lead/run"
    os.mkdir(work)
    with open(t.recipe[0], encoding="utf-8") as recipe, open(work + "/recipe.ini", "w", encoding="utf-8") as file:
        file.writelines(line for line in recipe if not line.startswith("early_stop"))
    flags = [*t.recipe[1:3], "--train.epochs", "400", "--train.log_every", "1", "--checkpoint.every_steps", "50", "--parallel.virtual_workers", "4"]
    words = ["env", f"RECIPE={work}/recipe.ini", "FLAGS=" + " ".join(flags), "sbatch", "--parsable", "--time=1", "--nodes=2", "--ntasks-per-node=2"]
    job = t.slurm.run(words + [t.source + "/slurm/cpu.sh"], cwd=work).strip()
    t.wait_step(run, 120)
    t.slurm.wait_state(job, ("TIMEOUT", "GONE"), 180)
    t.slurm.wait_for(lambda: not t.ranks(run), 10, "ranks are left")
    saved = t.steps(run)[-1]
    assert t.ends(run) == [(1, 99, saved)], (t.ends(run), t.output(work))
    time.sleep(3)
    assert t.slurm.state(job) in ("TIMEOUT", "GONE"), "it came back"

    def by_hand(folder, *more):
        t.slurm.run(["mpirun", "-q", "-np", "4", "--oversubscribe", "--bind-to", "none", t.chorale, "train", work + "/recipe.ini", *flags, "--run-dir", folder, "--quiet",
                     "--train.steps", str(saved + 40), *more], timeout=240)
        return t.hash_of(folder)
    assert by_hand(run, "--resume") == by_hand(t.work + "/no_lead_whole") != "none", "other bits"
    assert t.steps(run) == list(range(1, saved + 41)), "a step is missing or was made twice"


def term_to_mpirun(t):
    """mpirun passes it on and kills a second later: saved, or the checkpoint before; either way the job goes on."""
    job, run = t.submit_without_pmix("term_mpirun", "--checkpoint.every_steps", "50")
    t.wait_step(run, 120)
    began = time.time()
    os.kill(t.launcher(run, "mpirun"), signal.SIGTERM)
    t.slurm.wait_for(lambda: not t.ranks(run), 10, "ranks are left")
    t.slurm.wait_for(lambda: t.ends(run), 10, lambda: f"no verdict: {t.output(run)}")
    end = t.end_lines(run)[0]
    assert end["code"] in (75, 99) and time_of(end) - began <= 5, end
    t.goes_on_from_checkpoint(job, run)


def srun_killed(t):
    job, run = t.submit("srun_killed", "--checkpoint.every_steps", "50")
    t.wait_step(run, 120)
    ranks = set(t.ranks(run).values())
    os.kill(t.launcher(run, "srun"), signal.SIGKILL)
    t.slurm.wait_for(lambda: not set(t.ranks(run).values()) & ranks, 10, "orphans after 10 s")
    t.goes_on_from_checkpoint(job, run)


def mpirun_killed(t):
    job, run = t.submit_without_pmix("mpirun_killed", "--checkpoint.every_steps", "50")
    t.wait_step(run, 120)
    ranks = set(t.ranks(run).values())
    os.kill(t.launcher(run, "mpirun"), signal.SIGKILL)
    t.slurm.wait_for(lambda: not set(t.ranks(run).values()) & ranks, 10, "orphans after 10 s")
    t.goes_on_from_checkpoint(job, run)
    for folder in glob.glob(f"{tempfile.gettempdir()}/ompi.{t.slurm.nodes.hosts[0]}.*"):
        shutil.rmtree(folder)  # mpirun's own, which it had no time to remove


def supervisor_killed(t):
    """`chorale train` inside an allocation that starts its ranks by srun itself."""
    run, script = t.work + "/supervised", t.work + "/supervised.sh"
    words = [t.chorale, "train", *t.recipe, "--parallel.virtual_workers", "4", "--checkpoint.every_steps", "50", "--run-dir", run, "--launch", "srun", "-n", "4"]
    with open(script, "w", encoding="utf-8") as file:
        file.write("#!/bin/bash\n" + " ".join(f"'{word}'" for word in words) + " --resume\n")
    submit = ["sbatch", "--parsable", "--nodes=2", "--ntasks-per-node=2", "--output=/dev/null", script]
    job = t.slurm.run(submit, cwd=t.work).strip()
    t.wait_step(run, 120)
    ranks = set(t.ranks(run).values())
    os.kill(t.supervisor(run), signal.SIGKILL)
    t.slurm.wait_for(lambda: not set(t.ranks(run).values()) & ranks, 10, "orphans after 10 s")
    t.slurm.wait_state(job, ("COMPLETED", "FAILED", "GONE"), 60)
    job = t.slurm.run(submit, cwd=t.work).strip()
    t.wait_end(job, t.work)
    t.went_on(run)


def slurmd_killed(t):
    """The daemon alone, on the second node: training does not notice."""
    job, run = t.submit("slurmd_killed")
    t.wait_step(run, 60)
    t.slurm.kill_daemon(1)
    t.wait_step(run, 160)
    t.slurm.start_node(1)
    t.wait_end(job, run)
    assert t.ends(run) == [(1, 0, t.steps(run)[-1])], t.output(run)
    assert t.hash_of(run) == t.expected, "other bits"


def lock_of_another_host(t):
    """Whose job Slurm knows to run is refused at once, whose job is over is followed at once; nobody waits for a heartbeat."""
    run = t.work + "/locked"
    train = [t.chorale, "train", *t.recipe, "--run-dir", run, "--resume", "--quiet", "--train.epochs", "1", "--train.steps"]
    t.slurm.run(train + ["10"])
    job = t.slurm.run(["sbatch", "--parsable", "--output=/dev/null", "--wrap", "sleep 600"], cwd=t.work).strip()
    t.slurm.wait_state(job, "RUNNING", 30)
    lock = {"nonce": "elsewhere", "cluster": "chorale", "job": job, "restart": 0, "supervisor": 0, "host": "other",
            "machine": "elsewhere", "pid": 1, "started": 1, "deadline_s": 60}

    def attempt(steps):
        with open(run + "/lock", "w", encoding="utf-8") as file:
            json.dump(lock, file)
        began = time.time()
        code, said = t.slurm.run(train + [steps], check=False)
        assert time.time() - began < 20, "it waited for a heartbeat"
        return code, said
    before = t.ends(run)
    code, said = attempt("20")
    assert code == 76 and f"job {job}, restart 0" in said, (code, said)
    assert t.ends(run) == before and os.path.exists(run + "/lock"), "a refused attempt has written"
    t.slurm.run(["scancel", job])
    t.slurm.wait_state(job, ("CANCELLED", "GONE"), 30)
    t.slurm.wait_for(lambda: not t.slurm.steps_are_running(), 30, "the job is still being cleared away")
    code, said = attempt("20")
    assert code == 0 and "this one takes the run directory" in said and t.steps(run) == list(range(1, 21)), (code, said, t.steps(run))


SHORT = [rank_killed_with_kill]
LONG = [poison_batch_ends_the_chain, term_to_mpirun, srun_killed, mpirun_killed, supervisor_killed, slurmd_killed, lock_of_another_host, time_limit_without_lead]
