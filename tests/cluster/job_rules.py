"""What a job may not be, what one rank's signal means, and what other nodes see of a run, on the two-node Slurm of slurm.py."""
import json
import os
import signal


def status_on(t, node, run):
    return json.loads(t.slurm.run([t.chorale, "status", run, "--json"], node=node))


def term_to_one_rank_is_a_save(t):
    """Under srun, all ranks alive. The other node sees what becomes of the run."""
    job, run = t.submit("term_one")
    t.wait_step(run, 60)
    seen = status_on(t, 1, run)
    assert seen["state"] == "running" and seen["step"] >= 60 and seen["job"] == job and seen["seconds_left"] > 0, seen
    os.kill(t.ranks(run)[3], signal.SIGTERM)
    t.slurm.wait_state(job, "PENDING", 60)
    seen = status_on(t, 1, run)
    assert seen["state"] == "queued" and seen["code"] == 99 and seen["checkpoint"] == seen["step"], seen
    t.goes_on(job, run)
    seen = status_on(t, 1, run)
    assert seen["state"] == "done" and seen["step"] == seen["total_steps"] == seen["checkpoint"] and seen["attempt"] == 2, seen


def other_ends_are_seen_from_the_other_node(t):
    """Ranks that were all killed at once, and can say nothing; a loss that is not finite."""
    job, run = t.submit("wordless", "--checkpoint.every_steps", "20")
    t.wait_step(run, 60)
    for pid in t.ranks(run).values():
        os.kill(pid, signal.SIGKILL)
    t.slurm.wait_state(job, "PENDING", 60)
    seen = status_on(t, 1, run)
    assert seen["state"] == "queued" and seen["code"] is None and seen["checkpoint"] >= 20 and "newest checkpoint" in seen["why"], seen
    t.slurm.run(["scancel", job])
    t.slurm.wait_for(lambda: status_on(t, 1, run)["state"] == "lost", 30, lambda: f"{status_on(t, 1, run)}")
    seen = status_on(t, 1, run)
    assert "left no verdict" in seen["why"] and seen["checkpoint"] >= 20, seen
    job, _ = t.submit("wordless", "--checkpoint.every_steps", "20", "--resume")
    t.wait_end(job, run)
    ends = t.end_lines(run)
    assert [(e["attempt"], e["code"]) for e in ends] == [(1, 75), (2, 0)] and ends[0]["cause"].startswith("no end was recorded; its ranks"), ends
    t.went_on(run)
    job, run = t.submit_with_fault("nan", "nan@1:30")
    t.wait_end(job, run, "FAILED")
    seen = status_on(t, 1, run)
    assert seen["state"] == "failed" and seen["code"] == 70 and "loss is not finite" in seen["why"], seen


def heterogeneous_jobs_are_refused(t):
    job, run = t.submit("uneven")
    t.slurm.run(["scancel", job])
    work = t.work + "/uneven_template"
    os.mkdir(work)
    for folder, script in ((run, run + "/job.sh"), (work, t.source + "/slurm/cpu.sh"), (work, t.source + "/slurm/requeue.sh")):
        out = f"{t.work}/uneven-{os.path.basename(script)}.out"
        words = ["env", "RECIPE=" + t.recipe[0], "sbatch", "--parsable", "--nodes=1", "--ntasks=1", "--output=" + out, ":", "--nodes=1", "--ntasks=1", script]
        job = t.slurm.run(words, cwd=folder).strip()
        t.slurm.wait_state(job, "FAILED", 90)
        with open(out, encoding="utf-8") as file:
            said = file.read()
        assert "ExitCode=64:0" in t.slurm.run(["scontrol", "show", "job", job]) and "a heterogeneous job has an MPI world for each of its parts" in said, said
    assert not os.path.exists(work + "/run") and not os.path.exists(run + "/metrics.jsonl"), "it has trained"


def a_limit_shorter_than_the_lead_is_refused(t):
    run = t.work + "/short"
    code, said = t.slurm.run([t.chorale, "submit", *t.recipe, "--nodes", "2", "--ranks-per-node", "2", "--time", "00:04:00", "--run-dir", run], check=False)
    assert code == 64 and "--time 0-00:04:00 is refused: the run is told to save 180 s before its limit" in said and "give at least 0-00:05:00" in said, (code, said)
    assert not os.path.exists(run) and "online_shoppers" not in t.slurm.run(["squeue"]), "something was left or submitted"


SHORT = []
LONG = [term_to_one_rank_is_a_save, a_limit_shorter_than_the_lead_is_refused, heterogeneous_jobs_are_refused, other_ends_are_seen_from_the_other_node]
