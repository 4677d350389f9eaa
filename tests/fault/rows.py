"""What the rows of the fault matrix on one machine share: a run that is started, watched, and looked at when it has ended."""
import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import run_folder
from processes import pid_of_rank, running

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
        return run_folder.has_checkpoint(self.run)

    def end(self, limit=120):
        try:
            _, said = self.child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(self.child.pid, signal.SIGKILL)
            said = self.child.communicate()[1]
            self.check(False, "ends within %d s" % limit, said)
        return self.child.returncode, said

    def events(self, kind):
        return run_folder.events(self.run, kind)

    def hash(self):
        return run_folder.hash_of(self.run)

    def check(self, is_right, text, *facts):
        print("ok   " if is_right else "WRONG", self.name + ":", text, *([] if is_right else facts), flush=True)
        self.wrong += not is_right

    def check_resumed(self, what="", checkpoint=None):
        why_not = run_folder.not_resumed(self.run, checkpoint)
        self.check(not why_not, f"{what + ': ' if what else ''}went on from the newest checkpoint", why_not)

    def check_clean(self, shm_before):
        """Nobody works on it any more: no process, file or segment is left, and its events say how each attempt ended."""
        self.check(self.until_gone(), "no process is left", running(self.run))
        left = sorted(set(os.listdir("/dev/shm")) - shm_before)
        self.check(not left, "nothing is left in /dev/shm", left)
        left = os.listdir(self.temporary)
        self.check(not left, "nothing is left in TMPDIR", left)
        ends = self.events("end")
        left = run_folder.leftovers(self.run, was_killed=not ends or (ends[-1]["code"] != 0 and not self.has_supervisor))
        self.check(not left, "no lock, draft or half checkpoint is left", left)
        wrong = run_folder.wrong_lines(self.run)
        self.check(not wrong, "each attempt has its line in events.jsonl", wrong)

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


class Mpirun(Row):
    """Started by the user's mpirun: nobody starts it again."""
    has_supervisor = False

    def start(self, *options, ranks=2):
        words = ["mpirun", "-np", str(ranks), "--oversubscribe", "--bind-to", "none", self.chorale, "train", self.folder + "/recipe.ini", "--run-dir", self.run,
                 "--quiet", *options]
        temporary = {"OMPI_MCA_orte_tmpdir_base": self.temporary, "OMPI_MCA_mpi_yield_when_idle": "1", "TMPDIR": self.temporary}
        self.child = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=dict(os.environ, **temporary, **self.environment), start_new_session=True)


def signal_is_known():
    """Linux 6.15 and later tell others than the parent how a process ended."""
    return tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2]) >= (6, 15)


def shim(row):
    """Of shim.cpp, for LD_PRELOAD."""
    return os.path.join(os.path.dirname(row.chorale), "tests", "libchorale_fault_shim.so")


def main(rows, *options_of_all):
    """options_of_all: with which the rows start their runs, so that the undisturbed one has them too."""
    parser = argparse.ArgumentParser()
    parser.add_argument("chorale")
    parser.add_argument("rows", nargs="*", default=list(rows))
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
        for name in options.rows:
            row, shm = Row(chorale, folder, name), set(os.listdir("/dev/shm"))
            begun = time.time()
            rows[name](row, expected)
            row.check_clean(shm)
            print("      %.1f s" % (time.time() - begun), flush=True)
            wrong += row.wrong
    return 1 if wrong else 0
