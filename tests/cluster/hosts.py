"""`chorale train --hosts` over two nodes: asks them first, starts again after a killed rank, goes on without a node that does not answer.

  python3 tests/cluster/hosts.py build/release/chorale
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import time

from nodes import TwoNodes, why_not

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from processes import pid_of_rank
from run_folder import has_checkpoint

RECIPE = """[data]
file    = shop/sessions.csv
target  = purchase
drop    = session_id customer_id product_id
date    = date
split   = random 0.70 0.15 0.15
[model]
layers  = linear(16) relu linear(1)
[train]
loss    = binary_cross_entropy
batch   = 64
epochs  = 8
metrics = auc
[parallel]
virtual_workers = 4
[checkpoint]
every_steps = 50
"""


class Trial:
    def __init__(self, chorale, nodes):
        self.chorale, self.nodes, self.wrong = chorale, nodes, 0
        self.hosts = ",".join(f"{host}:{n}" for host, n in zip(nodes.hosts, (2, 2)))
        mca = nodes.settings() | {"hwloc_base_binding_policy": "none"}
        self.env = dict(os.environ, **{"OMPI_MCA_" + key: value for key, value in mca.items()})

    def start(self, run, *options):
        words = [self.chorale, "train", self.nodes.folder + "/recipe.ini", "--run-dir", self.path(run), "--quiet", *options]
        return subprocess.Popen(self.nodes.on(0, words), env=self.env, stderr=subprocess.PIPE, text=True)

    def path(self, run):
        return self.nodes.folder + "/" + run

    def end(self, child, limit=120):
        try:
            _, said = child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            child.kill()
            sys.exit("a run has not ended in time")
        return child.returncode, said

    def summary_of(self, run):
        with open(self.path(run) + "/summary.json", encoding="utf-8") as file:
            return json.load(file)

    def hash_of(self, run):
        return self.summary_of(run)["parameters_hash"]

    def events(self, run):
        with open(self.path(run) + "/events.jsonl", encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def check(self, is_right, text, *facts):
        print("ok" if is_right else "WRONG", text, *([] if is_right else facts), flush=True)
        self.wrong += not is_right

    def kill_rank(self, rank, run, before=lambda: None):
        """SIGKILL once the run has a checkpoint. before: what is done just before it."""
        until = time.time() + 60
        while not has_checkpoint(self.path(run)) and time.time() < until:
            time.sleep(0.05)
        pid = pid_of_rank(self.path(run), rank)
        if not pid:
            sys.exit(f"there is no rank {rank} to kill")
        before()
        os.kill(pid, signal.SIGKILL)


def run_all(chorale):
    with TwoNodes("") as nodes:
        trial = Trial(chorale, nodes)
        subprocess.run([chorale, "data", "shop", "--sessions", "4000", "--seed", "3", "--out", nodes.folder + "/shop"], check=True,
                       capture_output=True)
        with open(nodes.folder + "/recipe.ini", "w", encoding="ascii") as file:
            file.write(RECIPE)
        code, said = trial.end(trial.start("plain", "--hosts", trial.hosts))
        trial.check(code == 0, "4 ranks on 2 hosts", code, said)
        expected = trial.hash_of("plain")

        child = trial.start("killed", "--hosts", trial.hosts)
        trial.kill_rank(3, "killed")
        code, said = trial.end(child)
        trial.check(code == 0 and trial.hash_of("killed") == expected, "a killed rank on the other host: the run goes on to the same bits", code, said)
        ends = [e for e in trial.events("killed") if e["event"] == "end"]
        trial.check([e["code"] for e in ends] == [75, 0] and ends[0]["rank"] == 3 and "restart 1 of 3" in said, "and says which rank it was", ends, said)

        trial.check("SIGKILL" in ends[0]["cause"], "and by which signal", ends)

        child = trial.start("reboots", "--hosts", trial.hosts, "--restarts", "6")
        away = nodes.folder + "/link-is-cut"  # the agent of nodes.py comes through no more
        trial.kill_rank(3, "reboots", before=lambda: open(away, "w", encoding="ascii").close())
        until = time.time() + 30
        while len([e for e in trial.events("reboots") if e["event"] == "end"]) < 3 and time.time() < until:
            time.sleep(0.05)
        os.remove(away)
        code, said = trial.end(child)
        ends = [e for e in trial.events("reboots") if e["event"] == "end"]
        trial.check(code == 0 and trial.hash_of("reboots") == expected, "a host that comes back while restarts are left: the run goes on to the same bits", code, said)
        waits = [e for e in ends if f"host {nodes.hosts[1]} does not answer: connect to host" in e["cause"]]
        trial.check(2 <= len(waits) == len(ends) - 2 and f"restart {len(waits) + 1} of 6" in said, "after waits that grow, each with its verdict", ends, said)

        trial.env["OMP_NUM_THREADS"] = "2"
        code, said = trial.end(trial.start("threads", "--hosts", trial.hosts, "--train.epochs", "1", "-x", "CHORALE_TEST_WORD"))
        trial.check(code == 64 and "-x CHORALE_TEST_WORD: it is not set here" in said, "a variable that is not set cannot be handed on", code, said)
        trial.env["CHORALE_TEST_WORD"] = "a b"
        prefix = os.path.dirname(os.path.dirname(os.path.realpath(shutil.which("orted") or "/usr/bin/orted")))
        code, said = trial.end(trial.start("threads", "--hosts", trial.hosts, "--train.epochs", "1", "-x", "CHORALE_TEST_WORD", "--prefix", prefix))
        trial.check(code == 0 and trial.summary_of("threads")["threads_per_rank"] == 2, "OMP_NUM_THREADS reaches all ranks, with a prefix", code, said)
        del trial.env["OMP_NUM_THREADS"]
        code, said = trial.end(trial.start("astray", "--hosts", trial.hosts, "--prefix", "/no/mpi"))
        trial.check(code == 75 and "there is no /no/mpi/bin/orted (--prefix)" in said, "a prefix that a host does not have is named", code, said)

        absent = trial.hosts.replace(nodes.hosts[1], "nobody")
        asked = time.time()
        code, said = trial.end(trial.start("absent", "--hosts", absent))
        trial.check(code == 75 and "host nobody does not" in said and "--min-ranks" in said and time.time() - asked < 5, "a host that does not answer is named at once",
                    code, said, time.time() - asked)
        code, said = trial.end(trial.start("fewer", "--hosts", absent, "--min-ranks", "2"))
        trial.check(code == 0 and "left out: host nobody" in said and trial.hash_of("fewer") == expected, "and left out where that is allowed, same bits",
                    code, said)
        return trial.wrong


def main():
    if reason := why_not():
        print("CHORALE_SKIP hosts: " + reason)
        return 4
    return 1 if run_all(os.path.abspath(sys.argv[1])) else 0


if __name__ == "__main__":
    sys.exit(main())
