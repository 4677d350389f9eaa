"""The link between two nodes cut, cut one way and slow, under `chorale train --hosts` and under the user's own mpirun.

  python3 tests/cluster/network.py build/release/chorale short|long|ROW

A short cut is survived. A long one ends the ranks of both sides within the deadline, with a verdict that names the other side, and nothing is
left; the run goes on later to the bits of an undisturbed one. A slow link is called slow.
"""
import json
import os
import re
import subprocess
import sys
import time
from datetime import datetime

from nodes import TwoNodes, why_not

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from processes import running
from run_folder import has_checkpoint

RECIPE = """[data]
file    = shop/sessions.csv
target  = purchase
drop    = session_id customer_id product_id
date    = date
split   = random 0.70 0.15 0.15
[model]
layers  = linear(64) relu linear(32) relu linear(1)
[train]
loss    = binary_cross_entropy
batch   = 64
steps   = 2000
evaluate_every = 1000
log_every = 1
metrics = auc
[parallel]
virtual_workers = 4
[checkpoint]
every_steps = 100
[watchdog]
seconds = 10
"""
DEADLINE = 11  # the recipe's, and one second more between nodes


def time_of(event):
    return datetime.fromisoformat(event["time"]).timestamp()


class Run:
    """A run of two ranks on each node, by one launcher or the other."""

    def __init__(self, name, chorale, nodes, is_mpirun=False):
        self.name, self.chorale, self.nodes, self.is_mpirun = name, chorale, nodes, is_mpirun
        self.path, self.wrong, self.child = f"{nodes.folder}/{name}", 0, None
        self.hosts = ",".join(host + ":2" for host in nodes.hosts)

    def start(self, *options):
        words = [self.chorale, "train", self.nodes.folder + "/recipe.ini", "--run-dir", self.path, "--quiet", *options]
        environment = dict(os.environ, OMPI_MCA_mpi_yield_when_idle="1")
        if self.is_mpirun:
            words = self.nodes.mpirun(2, words)
        else:
            words = self.nodes.on(0, words + ["--hosts", self.hosts])
            environment |= {"OMPI_MCA_" + key: value for key, value in self.nodes.settings().items()}
            environment["OMPI_MCA_hwloc_base_binding_policy"] = "none"
        self.child = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)

    def end(self, limit=120):
        try:
            said = self.child.communicate(timeout=limit)[1]
        except subprocess.TimeoutExpired:
            self.nodes.kill_all()  # launchers' children hold the pipe
            said = self.child.communicate()[1]
            self.check(False, f"ends within {limit} s", said)
        return self.child.returncode, said

    def lines(self, file):
        if not os.path.exists(f"{self.path}/{file}"):
            return []
        with open(f"{self.path}/{file}", encoding="utf-8") as text:
            return [json.loads(line) for line in text if line.endswith("\n")]

    def ends(self):
        return [line for line in self.lines("events.jsonl") if line["event"] == "end"]

    def step(self):
        return max((line["step"] for line in self.lines("metrics.jsonl") if line["event"] == "step"), default=0)

    def hash(self):
        try:
            with open(self.path + "/summary.json", encoding="utf-8") as file:
                return json.load(file)["parameters_hash"]
        except OSError:
            return "none"

    def ranks_on(self, node):
        there = self.nodes.processes(node)
        return [pid for pid, (_, environment) in running(self.path).items() if pid in there and "PMIX_RANK" in environment and "OMPI_COMM_WORLD_RANK" in environment]

    def until(self, happened, limit):
        end = time.time() + limit
        while not happened():
            if time.time() > end:
                return False
            time.sleep(0.02)
        return True

    def trains(self):
        self.check(self.until(lambda: has_checkpoint(self.path), 60), "trains")

    def check(self, is_right, text, *facts):
        print("ok   " if is_right else "WRONG", self.name + ":", text, *([] if is_right else facts), flush=True)
        self.wrong += not is_right

    def goes_on(self, expected):
        """Later, when the link is mended."""
        self.nodes.heal()
        self.start("--resume")
        code, said = self.end()
        self.check(code == 0 and self.hash() == expected, "goes on to the bits of an undisturbed run", code, self.hash(), expected, said)


def survives_a_short_cut(run, expected):
    run.start()
    run.trains()
    run.nodes.cut()
    time.sleep(0.5)
    before = run.step()
    time.sleep(2.5)
    run.check(run.step() == before and run.child.poll() is None, "stands still while the link is cut", before, run.step())
    run.nodes.heal()
    code, said = run.end()
    run.check(code == 0 and [e["code"] for e in run.ends()] == [0], "a cut of 3 s is survived", code, run.ends(), said)
    run.check(run.hash() == expected, "with the same bits", run.hash(), expected)


def ends_both_sides(run, expected, sever):
    """The link is severed for good. Checks verdict, time and leftovers."""
    shm = set(os.listdir("/dev/shm"))
    run.start(*([] if run.is_mpirun else ["--restarts", "0"]))
    run.trains()
    sever(run.nodes)
    severed = time.time()
    for node in (0, 1):
        run.check(run.ranks_on(node), f"there are ranks on node {node}")
    gone = {}
    while len(gone) < 2 and time.time() < severed + 60:
        gone |= {node: time.time() - severed for node in (0, 1) if node not in gone and not run.ranks_on(node)}
        time.sleep(0.02)
    run.check(len(gone) == 2 and max(gone.values()) <= DEADLINE + 5, f"ranks of both sides have ended within {DEADLINE + 5} s", gone)
    run.until(run.ends, severed + DEADLINE + 5 - time.time())
    ends = run.ends()
    run.check([e["code"] for e in ends] == [75] and time_of(ends[0]) - severed <= DEADLINE + 5,
              "one verdict of 75 in events.jsonl, in time", ends)
    cause = ends[-1]["cause"] if ends else ""
    said_by = re.search(r" says rank (\d)", cause)
    side = int(said_by[1]) // 2 if said_by else 0  # the supervisor is on the first node
    culprit = ends[-1]["rank"] if ends else -1
    run.check(culprit // 2 == 1 - side and f"rank {culprit} (node {run.nodes.hosts[1 - side]}" in cause, "it names a rank of the other side and its node", ends)
    if run.is_mpirun:
        run.nodes.kill_all()  # the user's mpirun knows nothing of the cut for minutes
        said = run.end()[1]
    else:
        code, said = run.end(10)
        run.check(code == 75, "ends with 75", code, said)
        run.check(run.until(lambda: not any(run.nodes.processes(node) for node in (0, 1)), 10), "the launcher is given up, no process is left on either side",
                  [run.nodes.processes(node) for node in (0, 1)])
    words = re.sub(r"^rank \d \(node \S+\): ", "", cause)  # a rank that speaks for itself does not name its node
    run.check(words and words in said, "the same line is said", cause, said)
    left = sorted(set(os.listdir("/dev/shm")) - shm)
    run.check(not left, "nothing is left in /dev/shm", left)
    left = [name for name in os.listdir(run.path + "/checkpoints") if not re.fullmatch(r"step_\d+", name)]
    run.check(not left, "no half checkpoint is left", left)
    run.goes_on(expected)


def cut(run, expected):
    ends_both_sides(run, expected, lambda nodes: nodes.cut())


def first_node_unheard(run, expected):
    ends_both_sides(run, expected, lambda nodes: nodes.drop_from(0))


def second_node_unheard(run, expected):
    ends_both_sides(run, expected, lambda nodes: nodes.drop_from(1))


def goes_on_with_the_rest(run, expected):
    run.start("--min-ranks", "2")
    run.trains()
    run.nodes.cut()
    code, said = run.end()
    run.nodes.heal()
    run.check(code == 0 and [e["code"] for e in run.ends()] == [75, 0] and f"left out: host {run.nodes.hosts[1]}" in said and "Connection timed out" in said,
              "goes on by itself without the node behind the cut, where that is allowed", code, run.ends(), said)
    run.check(run.hash() == expected, "with the same bits", run.hash(), expected)


def slow_is_called_slow(run, expected):
    del expected
    whole = Run(run.name + "-whole", run.chorale, run.nodes, run.is_mpirun)
    whole.start("--train.steps", "40")
    code, said = whole.end()
    run.check(code == 0 and "the link between nodes is slow" not in said, "a fast link is not called slow", code, said)
    run.nodes.limit("1mbit")
    begun = time.time()
    run.start("--train.steps", "40")
    code, said = run.end(180)
    run.nodes.heal()
    run.check(code == 0 and [e["code"] for e in run.ends()] == [0] and run.hash() == whole.hash(), "trains on over 1 Mbit to the same bits", code, run.ends(), said)
    found = re.search(r"the link between nodes is slow: measured (\S+) MB/s between (\S+) and (\S+);", said)
    run.check(found and 0.02 < float(found[1]) < 0.2 and [found[2], found[3]] == run.nodes.hosts and said.count("the link between nodes is slow") == 1,
              "it is called slow once, with its speed and both nodes", said)
    print("      40 steps over 1 Mbit took %.1f s" % (time.time() - begun), found and found.group(0))


SHORT = [(survives_a_short_cut, False), (cut, False)]
LONG = [(survives_a_short_cut, True), (cut, True), (first_node_unheard, False), (first_node_unheard, True), (second_node_unheard, False),
        (second_node_unheard, True), (goes_on_with_the_rest, False), (slow_is_called_slow, False)]


def main(title, rows):
    """rows: functions of a run and the hash that it is to end with, and whether it is started by mpirun."""
    if reason := why_not():
        print(f"CHORALE_SKIP {title}: {reason}")
        return 4
    chorale, wrong = os.path.abspath(sys.argv[1]), 0
    os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    with TwoNodes("") as nodes:
        subprocess.run([chorale, "data", "shop", "--sessions", "4000", "--seed", "3", "--out", nodes.folder + "/shop"], check=True, capture_output=True)
        with open(nodes.folder + "/recipe.ini", "w", encoding="ascii") as file:
            file.write(RECIPE)
        undisturbed = Run("undisturbed", chorale, nodes)
        undisturbed.start()
        code, said = undisturbed.end()
        undisturbed.check(code == 0, "ends well", code, said)
        wrong += undisturbed.wrong
        for act, is_mpirun in rows:
            run, begun = Run(act.__name__ + ("_mpirun" if is_mpirun else ""), chorale, nodes, is_mpirun), time.time()
            act(run, undisturbed.hash())
            print("      %.1f s" % (time.time() - begun), flush=True)
            nodes.heal()
            nodes.kill_all()
            wrong += run.wrong
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main("network faults", {"short": SHORT, "long": LONG}.get(sys.argv[2]) or [row for row in SHORT + LONG if row[0].__name__ == sys.argv[2]]))
