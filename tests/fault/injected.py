"""Faults that come at a step of the run's own, under the supervisor: ends of a rank everywhere, in each phase of a save, one step again and again.

  python3 tests/fault/injected.py build/release/chorale [ROW ...]
"""
import json
import os
import subprocess
import sys

from rows import main, time_of

SHORT = ["--train.steps", "800", "--train.evaluate_every", "400"]


def closed_output(row, expected):
    words = [row.chorale, "train", row.folder + "/recipe.ini", "-n", "2", "--run-dir", row.run, *SHORT]
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run(words, stdout=full, stderr=full, env=dict(os.environ, TMPDIR=row.temporary), timeout=120, check=False)
    row.check(done.returncode == 0 and row.hash() == expected, "trains on when nobody can hear it", done.returncode)


def injected(row, expected, fault, says):
    """A fault inside a rank: the run ends with 75 within 3 s of the fault, names rank and cause, goes on, same bits. A save that is due waits
    for the one before it: behind step 400 there is a checkpoint."""
    run, row.run = row.run, row.run + "-" + fault.replace("@", "-").replace(":", "-")
    row.start(*SHORT, "--inject", fault)
    died = row.death_of(1)
    code, said = row.end()
    ends = row.events("end")
    row.check(bool(ends) and time_of(ends[0]) - died <= 3, f"{fault}: verdict within 3 s", ends, died)
    row.check(code == 0 and [e["code"] for e in ends] == [75, 0], f"{fault}: one verdict of 75, then done", code, ends, said)
    row.check(bool(ends) and ends[0]["rank"] == 1 and says in ends[0]["cause"], f"{fault}: the cause names rank 1 and '{says}'", ends)
    row.check(row.hash() == expected, f"{fault}: the bits of an undisturbed run", row.hash())
    if int(fault.split("@1:")[1].split(":")[0]) >= 400:
        row.check_resumed(fault)
    row.run = run


def ends_by_themselves(row, expected):
    for place in ("410:forward", "0:read", "500:all_reduce", "450:update"):
        injected(row, expected, "kill9@1:" + place, "SIGKILL")
    injected(row, expected, "exit0@1:0:init", "without a word")
    injected(row, expected, "exit0@1:500", "without a word")
    injected(row, expected, "throw@1:500", "asked for by --inject")
    injected(row, expected, "throw@1:0:read", "asked for by --inject")
    injected(row, expected, "abort@1:500", "SIGABRT")
    injected(row, expected, "segv@1:500", "SIGSEGV")


def killed_in_a_save(row, expected):
    shm = set(os.listdir("/dev/shm"))
    for point in ("snapshot", "read", "part_written"):
        injected(row, expected, f"kill9@1:400:save:{point}", "SIGKILL")
    for point in ("manifest", "rename", "prune"):  # rank 0's
        run, row.run = row.run, row.run + "-" + point
        row.start(*SHORT, "--inject", f"kill9@0:400:save:{point}")
        died = row.death_of(0)
        code, said = row.end()
        ends = row.events("end")
        row.check(bool(ends) and time_of(ends[0]) - died <= 3, f"rank 0 killed at {point}: verdict within 3 s", ends, died)
        row.check(code == 0 and [e["code"] for e in ends] == [75, 0] and ends[0]["rank"] == 0, f"rank 0 killed at {point}: goes on", code, ends, said)
        row.check(row.hash() == expected, f"rank 0 killed at {point}: same bits", row.hash())
        row.check_resumed(f"rank 0 killed at {point}")
        row.check_clean(shm)
        row.run = run


def poison(row, expected):
    del expected
    row.start("--train.on_nan", "stop", "--inject", "nan@1:300")
    code, said = row.end()
    row.check(code == 70 and len(row.events("end")) == 1, "a loss that is not finite is final", code, said)


def poison_batch(row, expected):
    """The same step ends three attempts in the same way, without a checkpoint in between."""
    del expected
    row.start("--restarts", "5", "--inject", "kill9@1:300!:update")
    code, said = row.end()
    ends = row.events("end")
    row.check(code == 70 and [e["code"] for e in ends] == [75, 75, 70], "two verdicts of 75, then 70 is final", code, ends, said)
    row.check(bool(ends) and ends[-1]["rank"] == 1 and ends[-1]["step"] == 300 and "step 300 has failed 3 times" in ends[-1]["cause"],
              "the last one names the step and the rank", ends)
    note = row.run + "/logs/batch_step_300.json"
    row.check(os.path.exists(note), "the batch is noted", os.path.isdir(row.run + "/logs") and os.listdir(row.run + "/logs"))
    if os.path.exists(note):
        with open(note, encoding="utf-8") as file:
            batch = json.load(file)
        samples = [sample for worker in batch["samples"] for sample in worker]
        row.check(batch["step"] == 300 and len(batch["samples"]) == 2 and len(samples) == 200 == len(set(samples)), "with every sample of it", batch)
        row.check("Samples of its batch: " + ", ".join(map(str, samples[:5])) + ", ... (200 in all" in ends[-1]["cause"], "and the verdict names the first", ends)
    row.check(said.count("has failed 3 times") == 1, "which is said once", said)


ROWS = {f.__name__: f for f in (closed_output, ends_by_themselves, killed_in_a_save, poison, poison_batch)}

if __name__ == "__main__":
    sys.exit(main(ROWS, *SHORT))
