"""The wall clock of one rank jumps by two days while it trains: no deadline, no interval between saves, no heartbeat goes by it.

  python3 tests/fault/clock.py build/release/chorale [ROW ...]
"""
import json
import os
import subprocess
import sys
import time

from rows import Mpirun, Row, main, shim

TWO_DAYS = 172800


def last_time_in(path):
    with open(path, encoding="utf-8") as file:
        return json.loads(file.read().splitlines()[-1])["time"]


def jumps(row, expected, kind, rank, seconds):
    name = f"{row.name}-{kind.__name__}-{rank}-{'on' if seconds > 0 else 'back'}"
    run, shm = kind(row.chorale, row.folder, name), set(os.listdir("/dev/shm"))
    file = f"{row.folder}/{name}.jump"
    run.environment = {"LD_PRELOAD": shim(row), "CHORALE_FAULT_CLOCK": f"{rank}:{seconds}:{file}"}
    begun = time.monotonic()
    run.start("--watchdog.seconds", "3", "--checkpoint.every_steps", "0", "--checkpoint.every_seconds", "0.3", "--checkpoint.keep_last", "100")
    run.check(run.until(run.has_checkpoint), "trains")
    with open(file, "w", encoding="ascii"):
        pass
    before = len(os.listdir(run.run + "/checkpoints"))
    second = subprocess.run([run.chorale, "train", run.folder + "/recipe.ini", "--run-dir", run.run, "--resume", "--quiet", "--launch", "threads", "-n", "2"],
                            capture_output=True, text=True, timeout=60, check=False)
    code, said = run.end(60)
    ends = run.events("end")
    run.check(code == 0 and [e["code"] for e in ends] == [0], "one attempt, ended well", code, ends, said)
    run.check(second.returncode == 76, "the lock holds: another run in its folder is refused", second.returncode, second.stderr)
    run.check(len(os.listdir(run.run + "/checkpoints")) >= before + 2, "saves go on by the monotonic clock", os.listdir(run.run + "/checkpoints"))
    most = (time.monotonic() - begun) / 0.3 + 5
    run.check(len(os.listdir(run.run + "/checkpoints")) <= most, "and do not come all at once", len(os.listdir(run.run + "/checkpoints")), most)
    far = last_time_in(run.run + f"/logs/rank_{rank}.jsonl")
    wanted = time.strftime("%Y-%m-%d", time.gmtime(time.time() + seconds))
    run.check(far.startswith(wanted), "its clock has really jumped", far, wanted)
    run.check(run.hash() == expected, "the bits of an undisturbed run", run.hash())
    run.environment = {}
    run.check_clean(shm)
    row.wrong += run.wrong


def jumps_on(row, expected):
    jumps(row, expected, Row, 1, TWO_DAYS)
    jumps(row, expected, Row, 0, TWO_DAYS)


def jumps_back(row, expected):
    jumps(row, expected, Row, 0, -TWO_DAYS)
    jumps(row, expected, Mpirun, 1, -TWO_DAYS)


ROWS = {f.__name__: f for f in (jumps_on, jumps_back)}

if __name__ == "__main__":
    sys.exit(main(ROWS))
