"""Collaborations that lose ranks or parts of a checkpoint: all tasks go back to one tick and end with the bits of an undisturbed run.

  python3 tests/fault/collab.py build/release/chorale [ROW ...]
"""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile

from rows import Row

RECIPE = """[collab]
every = 20
steps_per_tick = purchase:20 churn:10 returned:15
split = customer 0.70 0.15 0.15
checkpoint_every = 5
burn_in = 0.3
[task.purchase]
ranks = 2
role = target
entity = customer : customer_id
data.file = shop/sessions.csv
data.target = purchase
data.drop = session_id product_id
data.date = date
train.steps = 800
parallel.virtual_workers = 2
[task.churn]
entity = customer : customer_id
data.file = shop/customers.csv
data.target = churned
train.steps = 300
train.batch = 32
[task.returned]
role = peer
entity = customer : customer_id
data.file = shop/orders.csv
data.target = returned
data.drop = order_id session_id product_id
train.steps = 450
train.batch = 32
"""
COMMON = """model.layers = linear(32) relu linear(1)
train.metrics = auc
train.early_stop = validation.auc 3
watchdog.seconds = 20
"""


LOCKSTEP = """[collab]
strategy = %(strategy)s
every = 20
steps_per_tick = churn:20 again:20
split = customer 0.70 0.15 0.15
checkpoint_every = 3
[task.churn]
data.target = churned
%(task)s
[task.again]
data.target = churned
%(task)s
"""


class Collab(Row):
    recipe = "collab.ini"

    def start(self, *options, ranks=4):
        words = [self.chorale, "collab", "train", f"{self.folder}/{self.recipe}", "-n", str(ranks), "--run-dir", self.run, "--quiet", *options]
        self.child = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=dict(os.environ, TMPDIR=self.temporary, **self.environment),
                                      start_new_session=True)

    def hash(self):
        try:
            with open(self.run + "/summary.json", encoding="utf-8") as file:
                summary = json.load(file)
        except OSError:
            return "none"
        return {name: (task["parameters_hash"], task["best_parameters_hash"], task["metrics"]) for name, task in summary["tasks"].items()}


def killed_ranks(row, expected):
    """One of each task, before and after the late task has begun."""
    run = row.run
    for fault in ("kill9@0:150", "kill9@2:60", "kill9@3:300", "segv@1:250:save:part_written"):
        row.run = run + "-" + re.sub(r"\W", "-", fault)
        row.start("--inject", fault)
        code, said = row.end()
        ends = row.events("end")
        row.check(code == 0 and [e["code"] for e in ends] == [75, 0], f"{fault}: one verdict of 75, then done", code, ends, said)
        row.check(bool(ends) and ends[0]["rank"] == int(fault.split("@")[1][0]), f"{fault}: the rank is named", ends)
        row.check(row.hash() == expected, f"{fault}: all tasks end with the bits of an undisturbed run", row.hash())
        row.check_clean(set(os.listdir("/dev/shm")))
    row.run = run


def damaged_part(row, expected):
    """A bit of one task's newest checkpoint: all tasks go back to the tick before."""
    row.start("--inject", "kill9@3:350", "--restarts", "0")
    code, said = row.end()
    ticks = sorted(int(name[5:]) for name in os.listdir(row.run + "/checkpoints"))
    row.check(code == 75 and len(ticks) == 2, "stops with two ticks to go back to", code, ticks, said)
    folder = row.run + "/tasks/churn/checkpoints"
    newest = max((name for name in os.listdir(folder)), key=lambda name: int(name[5:]))
    with open(f"{folder}/{newest}/model.safetensors", "r+b") as file:
        file.seek(-3, 2)
        byte = file.read(1)
        file.seek(-3, 2)
        file.write(bytes([byte[0] ^ 16]))
    row.start("--resume")
    code, said = row.end()
    row.check(code == 0 and f"tick {ticks[-1]} cannot be resumed from, for all tasks" in said and "model.safetensors" in said, "says what is damaged", said)
    row.check(row.hash() == expected, "all tasks end with the bits of an undisturbed run", row.hash())


def asked_to_stop(row, expected):
    row.start()
    row.check(row.until(row.has_checkpoint), "trains")
    os.kill(row.child.pid, signal.SIGUSR2)
    code, said = row.end()
    row.check(code == 99 and row.events("end")[-1]["code"] == 99, "a request for a checkpoint ends all tasks with 99", code, said)
    row.start("--resume")
    code, said = row.end()
    row.check(code == 0 and row.hash() == expected, "goes on to the same bits", code, said, row.hash())


def frozen_rank(row, expected):
    row.start("--inject", "freeze@2:100", "--task.purchase.watchdog.seconds", "4", "--task.churn.watchdog.seconds", "4",
              "--task.returned.watchdog.seconds", "4")
    code, said = row.end()
    ends = row.events("end")
    row.check(code == 0 and ends[0]["code"] == 75 and ends[0]["rank"] == 2, "a stopped rank is named", ends, said)
    row.check("sharing/" in ends[0]["cause"] or "churn/" in ends[0]["cause"], "and whose collective it kept waiting", ends)
    row.check(row.hash() == expected, "same bits", row.hash())


def in_lockstep(row, strategy):
    """Tasks that wait for each other at every step: a rank of one is killed, then frozen."""
    with open(f"{row.folder}/{strategy}.ini", "w", encoding="ascii") as file:
        file.write(LOCKSTEP % {"strategy": strategy, "task": "entity = customer : customer_id\ndata.file = shop/customers.csv\nranks = 2\n" + COMMON +
                               "train.steps = 300\ntrain.batch = 32\nparallel.virtual_workers = 2\n"})
    row.recipe, run = strategy + ".ini", row.run
    row.run = run + "-undisturbed"
    row.start("--launch", "threads")
    code, said = row.end()
    row.check(code == 0, "an undisturbed run ends well", code, said)
    expected = row.hash()
    for fault in ("kill9@3:170", "freeze@1:170"):
        row.run = run + "-" + re.sub(r"\W", "-", fault)
        row.start("--inject", fault, *(f"--task.{name}.watchdog.seconds=4" for name in ("churn", "again")))
        code, said = row.end()
        ends = row.events("end")
        row.check(code == 0 and [e["code"] for e in ends] == [75, 0], f"{fault}: one verdict of 75, then done", code, ends, said)
        row.check(bool(ends) and ends[0]["rank"] == int(fault[fault.index("@") + 1]), f"{fault}: the rank is named", ends)
        row.check(row.hash() == expected, f"{fault}: both tasks went back to one tick and end with the bits of an undisturbed run", row.hash(), expected)
        row.check_clean(set(os.listdir("/dev/shm")))
    row.check(any(label in ends[0]["cause"] for label in ("again/", "churn/", "sharing/")), "and whose collective it kept waiting", ends)
    row.run = run


def killed_in_a_trunk(row, expected):
    del expected
    in_lockstep(row, "trunk")


def killed_in_a_stitch(row, expected):
    del expected
    in_lockstep(row, "stitch")


def another_recipe(row, expected):
    del expected
    row.start("--collab.width", "4", "--inject", "kill9@0:300", "--restarts", "0")
    row.end()
    row.start("--resume")
    code, said = row.end()
    row.check(code == 64 and "collab.width is '8', the checkpoint was made with '4'" in said, "a resume with another width is refused", code, said)


ROWS = {f.__name__: f for f in (killed_ranks, damaged_part, asked_to_stop, frozen_rank, another_recipe, killed_in_a_trunk, killed_in_a_stitch)}


def main():
    chorale, wrong = os.path.abspath(sys.argv[1]), 0
    os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([chorale, "data", "shop", "--sessions", "4000", "--seed", "3", "--out", folder + "/shop"], check=True, capture_output=True)
        with open(folder + "/collab.ini", "w", encoding="ascii") as file:
            file.write("".join(part if part.startswith("[collab") else part + COMMON for part in re.split(r"(?=^\[)", RECIPE, flags=re.M) if part))
        undisturbed = Collab(chorale, folder, "undisturbed")
        undisturbed.start()
        code, said = undisturbed.end()
        undisturbed.check(code == 0, "an undisturbed run ends well", code, said)
        threads = Collab(chorale, folder, "threads")
        threads.start("--launch", "threads")
        threads.end()
        threads.check(threads.hash() == undisturbed.hash(), "threads and processes give the same bits", threads.hash(), undisturbed.hash())
        wrong += undisturbed.wrong + threads.wrong
        for name in sys.argv[2:] or ROWS:
            row, shm = Collab(chorale, folder, name), set(os.listdir("/dev/shm"))
            ROWS[name](row, undisturbed.hash())
            row.check_clean(shm)
            wrong += row.wrong
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
