"""Runs that lose ranks, their launcher or their supervisor: verdict, time to it, what is left over, and the bits at the end.

  python3 tests/fault/supervised.py build/release/chorale [ROW ...] [--kills 100 --seed N]

Processes are really killed and frozen. Each row has a hard limit.
"""
import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from processes import has_checkpoint, pid_of_rank, running

RECIPE = """[data]
file   = shop/sessions.csv
target = purchase
drop   = session_id customer_id product_id
date   = date
split  = random 0.70 0.15 0.15
[model]
layers = linear(256) relu linear(256) relu linear(1)
[train]
loss   = binary_cross_entropy
batch  = 200
steps  = 4000
evaluate_every = 1000
metrics = auc
[parallel]
virtual_workers = 2
[checkpoint]
every_steps = 200
"""


class Row:
    has_supervisor = True

    def __init__(self, chorale, folder, name):
        self.chorale, self.folder, self.name = chorale, folder, name
        self.run, self.child, self.wrong = f"{folder}/{name}", None, 0
        self.temporary = f"{folder}/tmp-{name}"
        self.environment = {}
        os.mkdir(self.temporary)

    def start(self, *options, ranks=2):
        words = [self.chorale, "train", self.folder + "/recipe.ini", "-n", str(ranks), "--run-dir", self.run, "--quiet", *options]
        self.child = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=dict(os.environ, TMPDIR=self.temporary, **self.environment),
                                      start_new_session=True)

    def pid(self, rank):
        return pid_of_rank(self.run, rank)

    def launcher(self):
        return next((pid for pid, (name, _) in running(self.run).items() if name == "mpirun"), 0)

    def launcher_of(self, supervisor):
        """The mpirun of this one, where two are at work."""
        with open(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children", encoding="ascii") as file:
            return int(file.read().split()[0])

    def until(self, happened, limit=60):
        end = time.time() + limit
        while not happened():
            if time.time() > end or (self.child and self.child.poll() is not None):
                return False
            time.sleep(0.01)
        return True

    def has_checkpoint(self):
        return has_checkpoint(self.run)

    def end(self, limit=120):
        try:
            _, said = self.child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(self.child.pid, signal.SIGKILL)
            said = self.child.communicate()[1]
            self.check(False, "ends within %d s" % limit, said)
        return self.child.returncode, said

    def events(self, kind):
        if not os.path.exists(self.run + "/events.jsonl"):
            return []
        with open(self.run + "/events.jsonl", encoding="utf-8") as file:
            return [event for event in map(json.loads, file) if event["event"] == kind]

    def hash(self):
        try:
            with open(self.run + "/summary.json", encoding="utf-8") as file:
                return json.load(file)["parameters_hash"]
        except OSError:
            return "none"

    def check(self, is_right, text, *facts):
        print("ok   " if is_right else "WRONG", self.name + ":", text, *([] if is_right else facts), flush=True)
        self.wrong += not is_right

    def check_clean(self, shm_before):
        self.check(self.until_gone(), "no process is left", running(self.run))
        left = sorted(set(os.listdir("/dev/shm")) - shm_before)
        self.check(not left, "nothing is left in /dev/shm", left)
        left = os.listdir(self.temporary)
        self.check(not left, "nothing is left in TMPDIR", left)
        left = [name for name in os.listdir(self.run + "/checkpoints") if not name[5:].isdigit()] if os.path.isdir(self.run + "/checkpoints") else []
        self.check(not left, "no half checkpoint is left", left)
        left = [name for name in os.listdir(self.run) if ".tmp." in name] if os.path.isdir(self.run) else []
        self.check(not left, "no draft of a file is left", left)
        ends = self.events("end")
        if ends and (ends[-1]["code"] == 0 or self.has_supervisor):
            left = [name for name in os.listdir(self.run) if name.startswith("lock")]
            self.check(not left, "a run that has ended is locked by nobody", left)

    def death_of(self, rank):
        """When its process of the first attempt was gone; of one that is too short to be seen, when it was started."""
        begun = time.time()
        if not self.until(lambda: self.pid(rank)):
            return begun
        victim = self.pid(rank)
        self.until(lambda: not os.path.exists(f"/proc/{victim}"))
        return time.time()

    def until_gone(self, limit=10):
        end = time.time() + limit
        while running(self.run):
            if time.time() > end:
                return False
            time.sleep(0.02)
        return True


def time_of(event):
    return datetime.fromisoformat(event["time"]).timestamp()


def killed_rank(row, expected):
    row.start()
    row.check(row.until(row.has_checkpoint), "trains")
    killed = time.time()
    os.kill(row.pid(rank=1), signal.SIGKILL)
    code, said = row.end()
    ends = row.events("end")
    row.check(code == 0 and [e["code"] for e in ends] == [75, 0], "ends well after one verdict of 75", code, ends, said)
    row.check(ends[0]["rank"] == 1 and "SIGKILL" in ends[0]["cause"] and said.count("SIGKILL") == 1, "names rank and signal once", ends, said)
    row.check(time_of(ends[0]) - killed <= 3, "verdict within 3 s", time_of(ends[0]) - killed)
    flight = subprocess.run([row.chorale, "inspect", row.run, "--flight", "--json"], capture_output=True, text=True, timeout=60, check=False)
    row.check(flight.returncode == 0 and json.loads(flight.stdout)["first"]["rank"] == 1, "the restart keeps what the survivor recorded", flight, os.listdir(row.run + "/logs"))
    row.check(row.hash() == expected, "ends with the bits of an undisturbed run", row.hash())


def killed_at_start(row, expected):
    row.start()
    row.check(row.until(lambda: row.pid(rank=1)), "starts")
    os.kill(row.pid(rank=1), signal.SIGKILL)
    code, said = row.end()
    row.check(code == 0 and row.hash() == expected and "restart 1 of 3" in said, "a rank killed before MPI is up: started again, same bits", code, said)


def killed_launcher(row, expected):
    row.start()
    row.until(row.has_checkpoint)
    killed = time.time()
    os.kill(row.launcher(), signal.SIGKILL)
    row.check(row.until(lambda: row.events("end"), 10) and time.time() - killed < 4, "verdict within 4 s", time.time() - killed)
    code, said = row.end()
    row.check(code == 0 and row.hash() == expected, "a killed mpirun: started again, same bits", code, said)


def frozen_launcher(row, expected):
    row.start()
    row.until(row.has_checkpoint)
    os.kill(row.launcher(), signal.SIGSTOP)
    row.until(lambda: row.events("end"))
    over = time.time()
    code, said = row.end()
    row.check(code == 0 and time.time() - over < 4, "an mpirun that never ends is given up", code, time.time() - over, said)
    row.check(row.hash() == expected, "same bits", row.hash())


def killed_supervisor(row, expected):
    row.start()
    row.until(row.has_checkpoint)
    row.child.kill()
    row.check(row.until_gone(10), "no orphan 10 s after the supervisor was killed", running(row.run))
    row.child.communicate()
    before = row.events("end")
    row.start("--resume")
    code, said = row.end()
    row.check(code == 0 and row.hash() == expected, "goes on with the same bits", code, said)
    ends = row.events("end")
    row.check([(e["attempt"], e["code"]) for e in ends] == [(1, 75), (2, 0)] and (before or ends[0]["cause"].startswith("no end was recorded; its ranks")),
              "every attempt has an end", ends)


def paused_supervisor(row, expected):
    """It is stopped, its ranks die, and another start takes the run over: what it would say when it wakes up is no longer its to say."""
    for new_owner in ("trains", "has come and gone"):
        run, row.run = row.run, row.run + "-" + new_owner.split()[0]
        row.start()
        row.check(row.until(row.has_checkpoint), "trains")
        old = row.child
        for pid in (old.pid, row.launcher()):
            os.kill(pid, signal.SIGSTOP)
        for pid in [row.pid(rank) for rank in (0, 1)]:
            os.kill(pid, signal.SIGKILL)
        row.child = None
        row.start("--resume")
        row.check(row.until(lambda: len(row.events("start")) == 2, 30), "another start takes the run over", row.events("start"))
        new = row.child
        if new_owner == "trains":
            os.kill(new.pid, signal.SIGSTOP)  # so that the old one speaks first, however fast the rest is trained
        else:
            new.wait(timeout=120)
        for pid in (row.launcher_of(old), old.pid):
            os.kill(pid, signal.SIGCONT)
        said = old.communicate(timeout=60)[1]
        row.check(old.returncode == 76 and "has another owner now" in said, f"the new one {new_owner}: the old one leaves with 76", old.returncode, said)
        if new_owner == "trains":
            os.kill(new.pid, signal.SIGCONT)
        code, said = row.end()
        row.check(code == 0 and row.hash() == expected, f"the new one {new_owner}: the bits of an undisturbed run", code, said)
        ends = [(e["attempt"], e["code"]) for e in row.events("end")]
        row.check(ends == [(1, 75), (2, 0)] and row.events("end")[0]["cause"].startswith("no end was recorded"),
                  f"the new one {new_owner}: it alone has written verdicts", row.events("end"))
        row.run = run


def gone_for_good(row, expected):
    row.start("--restarts", "1")
    for _ in range(2):
        row.until(lambda: row.pid(rank=0))
        row.until(row.has_checkpoint)
        pid = row.pid(rank=0)
        os.kill(pid, signal.SIGKILL)
        row.until(lambda: not os.path.exists(f"/proc/{pid}") and row.pid(rank=0) != pid, 5)
    code, said = row.end()
    row.check(code == 75 and "1 restarts are used up" in said and "--resume goes on" in said, "ends with 75 when restarts are used up, and says how to go on",
              code, said)
    left = [name for name in os.listdir(row.run) if name.startswith("lock")]
    row.check(not left, "the lock of the rank that was killed is given back", left)
    row.start("--resume")
    code, said = row.end()
    row.check(code == 0 and row.hash() == expected, "goes on by hand to the same bits", code, said)


def waits_that_grow(row, expected):
    """Between starts that come to nothing; none after a new checkpoint."""
    row.start("--restarts", "9")
    for _ in range(3):
        row.until(lambda: row.pid(rank=1))
        pid = row.pid(rank=1)
        os.kill(pid, signal.SIGKILL)
        row.until(lambda: row.pid(rank=1) not in (0, pid))
    row.check(row.until(row.has_checkpoint) and row.pid(rank=1), "trains")
    os.kill(row.pid(rank=1), signal.SIGKILL)
    code, said = row.end()
    for text in ("restart 1 of 9, ", "restart 2 of 9 in 1 s, ", "restart 3 of 9 in 2 s, ", "restart 4 of 9, from step_"):
        row.check(said.count(text) == 1, f"says '{text}'", said)
    starts = [time_of(e) for e in row.events("end")]
    row.check(len(starts) == 5 and starts[2] - starts[1] >= 1 and starts[3] - starts[2] >= 2, "and waits so long", row.events("end"))
    row.check(code == 0 and row.hash() == expected, "same bits", code, row.hash())


def random_kills(row, expected, kills, seed):
    rng = random.Random(seed)
    print("      seed", seed, flush=True)
    row.start("--restarts", str(kills + 5))
    done = 0
    while done < kills and row.child.poll() is None:
        time.sleep(rng.uniform(0.05, 1.2))
        pid = row.pid(rank=rng.randrange(2))
        if pid:
            os.kill(pid, signal.SIGKILL)
            done += 1
    code, said = row.end(600)
    row.check(code == 0 and row.hash() == expected, f"{done} random kills: ends with the bits of an undisturbed run", code, said[-2000:])


ROWS = {f.__name__: f for f in (killed_rank, killed_at_start, killed_launcher, frozen_launcher, killed_supervisor, paused_supervisor, gone_for_good, waits_that_grow)}


def main(rows, *options_of_all):
    """options_of_all: with which the rows start their runs, so that the undisturbed one has them too."""
    parser = argparse.ArgumentParser()
    parser.add_argument("chorale")
    parser.add_argument("rows", nargs="*", default=list(rows))
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    chorale, wrong = os.path.abspath(options.chorale), 0
    os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([chorale, "data", "shop", "--sessions", "4000", "--seed", "3", "--out", folder + "/shop"], check=True, capture_output=True)
        with open(folder + "/recipe.ini", "w", encoding="ascii") as file:
            file.write(RECIPE)
        undisturbed = Row(chorale, folder, "undisturbed")
        undisturbed.start(*options_of_all)
        undisturbed.end()
        expected = undisturbed.hash()
        if expected == "none":
            sys.exit("an undisturbed run has not ended well")
        wanted = [(name, rows[name]) for name in options.rows]
        if options.kills:
            wanted.append(("random_kills", lambda row, hash: random_kills(row, hash, options.kills, options.seed)))
        for name, act in wanted:
            row, shm = Row(chorale, folder, name), set(os.listdir("/dev/shm"))
            begun = time.time()
            act(row, expected)
            row.check_clean(shm)
            print("      %.1f s" % (time.time() - begun), flush=True)
            wrong += row.wrong
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(ROWS))
