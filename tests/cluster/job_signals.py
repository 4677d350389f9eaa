"""Signals to a job: all ranks save, the job is queued again, and goes on at the very next step."""
import os
import signal


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
    job, run = t.submit("usr1", "--checkpoint.every_steps", "2")  # it is always saving
    for attempt in (2, 3):
        t.wait_step(run, 40 * attempt)
        t.slurm.run(["scancel", "--signal=USR1", job])
        t.slurm.wait_for(lambda: len(t.ends(run)) == attempt - 1, 60, lambda: f"no verdict: {t.output(run)}")
        if attempt == 2:
            t.slurm.release(job)
    t.goes_on(job, run, attempts=3, seconds=300)


def scontrol_requeue_saves_first(t):
    job, run = t.submit("requeue")
    t.wait_step(run, 60)
    t.slurm.run(["scontrol", "requeue", job])
    t.goes_on(job, run)


def slurms_own_signal_before_the_limit_saves(t):
    nodes = t.slurm.nodes
    nodes.limit("1mbit")  # so that the run lasts until then
    try:
        job, run = t.submit("limit")
        t.wait_step(run, 20)
        t.slurm.run(["scontrol", "update", f"jobid={job}", "TimeLimit=4"])  # the signal is due 180 s before, and may come 60 s early
        t.slurm.wait_for(lambda: t.ends(run), 150, lambda: f"no signal: {t.output(run)}")
    finally:
        nodes.heal()
    t.slurm.wait_state(job, "PENDING", 60)
    t.slurm.run(["scontrol", "update", f"jobid={job}", "TimeLimit=60"])
    t.goes_on(job, run)


def signals_in_a_save(t):
    """USR2 to the job and USR1 to one rank at once, while checkpoints are written."""
    job, run = t.submit("two_signals", "--checkpoint.every_steps", "4")
    t.wait_step(run, 60)
    os.kill(t.ranks(run)[2], signal.SIGUSR1)
    t.slurm.run(["scancel", "--signal=USR2", job])
    t.goes_on(job, run)


SHORT = [usr2_to_one_rank_twice_saves_all_and_the_job_goes_on, term_under_srun_with_all_ranks_alive_is_a_save]
LONG = [usr1_to_the_job_during_a_checkpoint_saves_and_goes_on_twice, signals_in_a_save, scontrol_requeue_saves_first, slurms_own_signal_before_the_limit_saves]
