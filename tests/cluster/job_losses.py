"""Jobs that are cancelled, or lose all ranks or a node: the newest checkpoint is what they go on from."""
import os
import signal
import time


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
    t.went_on(run)


def killed_ranks_end_the_attempt_and_the_job_goes_on_from_its_checkpoint(t):
    job, run = t.submit("killed", "--checkpoint.every_steps", "50")
    t.wait_step(run, 120)
    for pid in t.ranks(run).values():
        os.kill(pid, signal.SIGKILL)
    t.goes_on_from_checkpoint(job, run)
    every_attempt_has_an_end(t, run)


def a_node_that_goes_down_costs_the_steps_since_the_checkpoint_only(t):
    job, run = t.submit("node_down", "--checkpoint.every_steps", "50")
    t.wait_step(run, 120)
    t.slurm.take_down(1)
    t.slurm.wait_for(lambda: t.slurm.state(job) in ("PENDING", "COMPLETING"), 90, lambda: f"not requeued: {t.slurm.state(job)} {t.output(run)}")
    t.slurm.bring_back(1)
    t.goes_on_from_checkpoint(job, run, seconds=180)
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
        t.goes_on_from_checkpoint(job, run)
    finally:
        t.slurm.bring_back(1)
    assert "2 ranks on 1 nodes" in t.output(run), t.output(run)
    every_attempt_has_an_end(t, run)


SHORT = []
LONG = [a_cancelled_job_stays_cancelled_and_its_checkpoint_goes_on_by_hand, killed_ranks_end_the_attempt_and_the_job_goes_on_from_its_checkpoint,
        with_min_ranks_a_job_goes_on_without_the_node_that_went_down, a_node_that_goes_down_costs_the_steps_since_the_checkpoint_only]
