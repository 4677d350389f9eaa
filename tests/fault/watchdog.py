"""Stuck, slow, lying and crashing ranks: verdict, time to it, what is said and left, and the bits of what goes on.

  python3 tests/fault/watchdog.py build/release/chorale [ROW ...]
"""
import json
import os
import re
import signal
import subprocess
import sys
import time

from ends import STEPS
from rows import Row, main, time_of

EARLY = ["--checkpoint.every_steps", "5", "--checkpoint.keep_last", "1000"]


def state_of(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "gone"


def when(row, happened, limit=30):
    """The time at which it does."""
    row.check(row.until(happened, limit), "what is waited for happens")
    return time.time()


def frozen_at(row, rank):
    return when(row, lambda: row.pid(rank) and state_of(row.pid(rank)) == "T")


def sub_row(row, name):
    return Row(row.chorale, row.folder, f"{row.name}-{name}")


def summary(run):
    with open(run.run + "/summary.json", encoding="utf-8") as file:
        return json.load(file)


def names_in_flight(run, rank):
    said = subprocess.run([run.chorale, "inspect", run.run, "--flight", "--json"], capture_output=True, text=True, timeout=60, check=False).stdout
    first = json.loads(said)["first"]
    run.check(first["rank"] == rank, f"inspect --flight says that rank {rank} diverged first", said[:2000])


def restarted(run, expected, code, said, rank, step, says):
    """One verdict of 75 that names the rank and says it, once; then the bits of an undisturbed run, and nothing left."""
    ends = run.events("end")
    run.check(code == 0 and [e["code"] for e in ends] == [75, 0], "one verdict of 75, then done", code, ends, said)
    run.check(bool(ends) and ends[0]["rank"] == rank and ends[0]["step"] == step and says in ends[0]["cause"], f"it names rank {rank}, step {step} and '{says}'", ends)
    run.check(bool(ends) and said.count(ends[0]["cause"][:200]) == 1, "the terminal has the same line, once", ends, said)
    run.check(run.hash() == expected, "the bits of an undisturbed run", run.hash())
    if step > 400:  # a save that is due waits for the one before it
        run.check_resumed()


def finish(row, run, shm):
    run.check_clean(shm)
    row.wrong += run.wrong


def frozen_rank(row, expected):
    row.start(*STEPS, "--inject", "freeze@1:500", "--watchdog.seconds", "2")
    frozen = frozen_at(row, 1)
    code, said = row.end()
    ends = row.events("end")
    restarted(row, expected, code, said, 1, 500, "waiting for rank 1, its process is stopped, last seen in forward of layer '0'")
    row.check(0 < time_of(ends[0]) - frozen <= 2 + 2, "verdict at the deadline and 2 s", time_of(ends[0]) - frozen)
    row.check(ends[0]["where"] == "forward of layer '0' in step 500" and "(step 500)" in ends[0]["cause"], "its place is the one that the cause names", ends)
    names_in_flight(row, 1)


def frozen_at_start(row, expected):
    """The supervisor's word: the others may still be waiting in MPI_Init, and one that is stopped can be killed only."""
    shm = set(os.listdir("/dev/shm"))
    for name, rank in (("init", 1), ("init", 0), ("all_gather", 1)):
        run = sub_row(row, f"{name}-{rank}")
        run.start(*STEPS, "--inject", f"freeze@{rank}:0:{name}", "--watchdog.seconds", "2")
        frozen = frozen_at(run, rank)
        code, said = run.end()
        restarted(run, expected, code, said, rank, 0, "its process is stopped")
        end = run.events("end")[0]
        run.check(0 < time_of(end) - frozen <= 2 + 2, "verdict at the deadline and 2 s", time_of(end) - frozen)
        run.check(end["where"] in end["cause"], "its place is the one that the cause names", end)
        finish(row, run, shm)


def all_frozen(row, expected):
    """Nobody is left who could say who is missing."""
    row.start(*STEPS, "--inject", "freeze@0:500", "--inject", "freeze@1:500", "--watchdog.seconds", "2")
    frozen_at(row, 0)
    frozen = frozen_at(row, 1)
    code, said = row.end()
    ends = row.events("end")
    row.check(code == 0 and [e["code"] for e in ends] == [75, 0] and "its process is stopped" in ends[0]["cause"], "one verdict of 75, then done", code, ends, said)
    row.check(0 < time_of(ends[0]) - frozen <= 2 + 2, "verdict at the deadline and 2 s", time_of(ends[0]) - frozen)
    row.check(row.hash() == expected, "the bits of an undisturbed run", row.hash())
    row.check_resumed()


def woken_rank(row, expected):
    row.start(*STEPS, "--inject", "freeze@1:500", "--watchdog.seconds", "20")
    frozen_at(row, 1)
    time.sleep(1)
    os.kill(row.pid(1), signal.SIGCONT)
    code, said = row.end()
    row.check(code == 0 and [e["code"] for e in row.events("end")] == [0] and "waiting for" not in said, "one that goes on before the deadline has not been missed", code, said)
    row.check(row.hash() == expected, "the bits of an undisturbed run", row.hash())
    row.check(not [name for name in os.listdir(row.run + "/logs") if "flight" in name], "no flight record is left", os.listdir(row.run + "/logs"))


def straggler(row, expected):
    """50 ms a step: named with its share, not ended."""
    del expected
    short = ["--train.steps", "60", "--train.evaluate_every", "60"]
    quick, shm = sub_row(row, "quick"), set(os.listdir("/dev/shm"))
    quick.start(*short)
    quick.end()
    row.start(*short, "--inject", "sleep@1:1")
    code, said = row.end()
    ends = row.events("end")
    row.check(code == 0 and [e["code"] for e in ends] == [0], "it is not ended", code, ends, said)
    share = re.search(r"rank 1 is slower than the others: its part of a step takes .*they wait for it (\d+) % of the time", said)
    row.check(share and int(share[1]) >= 50 and said.count("is slower than the others") == 1, "it is named once, with its share", said)
    row.check("none" != row.hash() == quick.hash(), "with the bits of an undisturbed run", row.hash(), quick.hash())
    row.check("slower" not in open(quick.run + "/logs/rank_0.jsonl", encoding="utf-8").read(), "nobody is called slow without")
    finish(row, quick, shm)


def not_a_number(row, expected):
    """One rank's loss: all do the same at the same step, as a single rank does that has the same trouble."""
    says = "loss is not finite at step 500 on rank 1"
    stop, shm = sub_row(row, "stop"), set(os.listdir("/dev/shm"))
    stop.start(*STEPS, "--train.on_nan", "stop", "--inject", "nan@1:500")
    code, said = stop.end()
    ends = stop.events("end")
    stop.check(code == 70 and [(e["code"], e["rank"], e["step"]) for e in ends] == [(70, 1, 500)] and says in ends[0]["cause"], "stop: final, with rank and step", ends, said)
    stop.start(*STEPS, "--resume")
    code, said = stop.end()
    stop.check(code == 0 and stop.hash() == expected, "stop: goes on by hand to the bits of an undisturbed run", code, said)
    stop.check_resumed("stop")
    finish(row, stop, shm)
    for policy, counted in (("skip", "skipped_steps"), ("rollback", "rollbacks")):
        two, one = sub_row(row, policy), sub_row(row, policy + "-alone")
        for run, ranks, fault in ((two, 2, "nan@1:500"), (one, 1, "nan@0:500")):
            run.start(*STEPS, "--train.on_nan", policy, "--inject", fault, ranks=ranks)
            code, said = run.end()
            run.check(code == 0 and [e["code"] for e in run.events("end")] == [0] and "loss is not finite at step 500" in said, f"{policy}: trains on and says so", code, said)
            run.check(summary(run)[counted] == 1, f"{policy}: counted once", summary(run))
        two.check(expected != two.hash() == one.hash(), f"{policy}: the bits of one rank with the same trouble", two.hash(), one.hash())
        finish(row, one, shm)
        finish(row, two, shm)


def flipped_bit(row, expected):
    row.start(*STEPS, "--parallel.exchange", "replicated", "--train.check_replicas", "4", "--inject", "bitflip@1:498:0.weight")
    code, said = row.end()
    restarted(row, expected, code, said, 1, 500, "copies of the parameters differ after step 500: tensor '0.weight' of rank 1")


def crashes(row, expected):
    """The frames of every thread of the rank lie beside its words."""
    for kind in ("segv", "abort"):
        run, shm = sub_row(row, kind), set(os.listdir("/dev/shm"))
        run.start(*STEPS, "--inject", f"{kind}@1:500")
        died = run.death_of(1)
        code, said = run.end()
        ends = run.events("end")
        restarted(run, expected, code, said, 1, 500, {"segv": "SIGSEGV", "abort": "SIGABRT"}[kind])
        run.check(time_of(ends[0]) - died <= 3, "verdict within 3 s", time_of(ends[0]) - died)
        with open(run.run + "/logs/attempt_1/backtrace_rank_1.txt", encoding="utf-8") as file:
            frames = file.read()
        run.check("thread " in frames and "Faults" in frames, "its frames show where", frames)
        names_in_flight(run, 1)
        finish(row, run, shm)


def other_signals(row, expected):
    """An instruction that this processor does not have, a limit of processor time: sent from outside, they end a rank as they do from inside."""
    for number in (signal.SIGILL, signal.SIGXCPU):
        run, shm = sub_row(row, number.name), set(os.listdir("/dev/shm"))
        run.start(*STEPS)
        run.check(run.until(run.has_checkpoint), "trains")
        os.kill(run.pid(rank=1), number)
        died = time.time()
        code, said = run.end()
        ends = run.events("end")
        run.check(code == 0 and [e["code"] for e in ends] == [75, 0] and ends[0]["rank"] == 1 and number.name in ends[0]["cause"], "named", code, ends, said)
        run.check(time_of(ends[0]) - died <= 3, "verdict within 3 s", time_of(ends[0]) - died)
        run.check(os.path.exists(run.run + "/logs/attempt_1/backtrace_rank_1.txt"), "its frames are there", os.listdir(run.run + "/logs"))
        run.check(run.hash() == expected, "same bits", run.hash())
        names_in_flight(run, 1)
        finish(row, run, shm)


def disagreement(row, expected):
    """Another collective, the same one with another size, an exception."""
    for fault, rank, says in (("mismatch@1:500", 1, "injected mismatch"), ("shape@1:500", 1, "ranks disagree"), ("throw@1:500:backward", 1, "asked for by --inject throw@1:500:backward")):
        run, shm = sub_row(row, fault.split("@")[0]), set(os.listdir("/dev/shm"))
        run.start(*STEPS, "--inject", fault)
        died = run.death_of(1)
        code, said = run.end()
        restarted(run, expected, code, said, rank, 500, says)
        ends = run.events("end")
        run.check(bool(ends) and time_of(ends[0]) - died <= 3, "verdict within 3 s", ends, died)
        if fault.startswith("mismatch"):
            names_in_flight(run, 1)
        finish(row, run, shm)


def refused_faults(row, expected):
    del expected
    for fault, says in (("bomb@1:5", "KIND@RANK:STEP"), ("nan@7:5", "there are 2 ranks")):
        row.start("--inject", fault)
        code, said = row.end()
        row.check(code == 64 and says in said and not os.path.exists(row.run), f"--inject {fault} is refused", code, said)


ROWS = {f.__name__: f for f in (frozen_rank, frozen_at_start, all_frozen, woken_rank, straggler, not_a_number, flipped_bit, crashes, other_signals, disagreement, refused_faults)}

if __name__ == "__main__":
    sys.exit(main(ROWS, *STEPS))
