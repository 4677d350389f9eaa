"""A collaboration over two nodes, and under srun: tasks that share a trunk by PCGrad and vectors by a store end with the bits of one process.

  python3 tests/cluster/collab.py build/release/chorale
"""
import json
import os
import subprocess
import sys
import tempfile

from nodes import TwoNodes, why_not
from slurm import Slurm
from slurm import why_not as why_no_slurm

RECIPE = """[collab]
strategy = trunk store
every = 10
steps_per_tick = purchase:10 churn:10
split = customer 0.70 0.15 0.15
burn_in = 0.3
trunk.parameters = "2.*"
trunk.pcgrad = true
[task.purchase]
entity = customer : customer_id
data.file = shop/sessions.csv
data.target = purchase
data.drop = session_id product_id
data.date = date
%(common)s
[task.churn]
entity = customer : customer_id
data.file = shop/customers.csv
data.target = churned
%(common)s
"""
COMMON = """ranks = 2
model.layers = linear(32) relu linear(16) relu linear(1)
train.batch = 32
train.steps = 100
train.metrics = auc
parallel.virtual_workers = 2
watchdog.seconds = 60"""


def hashes(run):
    with open(run + "/summary.json", encoding="utf-8") as file:
        summary = json.load(file)
    return {name: (task["parameters_hash"], task["metrics"]["test"]["auc"]) for name, task in summary["tasks"].items()}


def main():
    chorale = os.path.realpath(sys.argv[1])
    if reason := why_not():
        print("CHORALE_SKIP a collaboration over two nodes: " + reason)
        return 4
    environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_mpi_yield_when_idle="1")
    wrong = 0
    with tempfile.TemporaryDirectory() as folder, TwoNodes("") as nodes:
        subprocess.run([chorale, "data", "shop", "--sessions", "3000", "--seed", "3", "--out", folder + "/shop"], check=True, capture_output=True)
        with open(folder + "/two.ini", "w", encoding="ascii") as file:
            file.write(RECIPE % {"common": COMMON})

        def words(name, *more):
            return [chorale, "collab", "train", folder + "/two.ini", "--run-dir", f"{folder}/{name}", "--quiet", *more]

        def check(name, done):
            if done.returncode != 0:
                print(f"WRONG {name}: ended with {done.returncode}: {done.stdout}{done.stderr}")
                return 1
            is_right = hashes(f"{folder}/{name}") == expected
            print("ok   " if is_right else "WRONG", name, *([] if is_right else [hashes(f"{folder}/{name}"), expected]), flush=True)
            return not is_right

        subprocess.run(words("threads", "--launch", "threads"), check=True, timeout=120, env=environment)
        expected = hashes(folder + "/threads")
        without = subprocess.run(words("plain", "--launch", "threads", "--collab.trunk.pcgrad", "false"), timeout=120, env=environment)
        wrong += without.returncode != 0 or hashes(folder + "/plain") == expected
        # A task on each node, and both tasks on both.
        for name, options in (("task_by_node", ()), ("tasks_across", ("--map-by", "node"))):
            wrong += check(name, subprocess.run(nodes.mpirun(2, words(name), options), capture_output=True, text=True, timeout=120, env=environment))
        if reason := why_no_slurm():
            print("CHORALE_SKIP a collaboration under srun: " + reason)
            return 1 if wrong else 4
        with Slurm(nodes) as slurm:
            slurm.environment["OMPI_MCA_mpi_yield_when_idle"] = "1"
            for attempt in range(3):  # on a busy machine Slurm's plug-in loses a task while MPI starts, now and then
                name = f"srun_{attempt}"
                code, said = slurm.run(["srun", "--overcommit", "-N2", "-n4", "--mpi=pmix", *words(name)], check=False, timeout=120, cwd=folder)
                if code == 0 or "pmixp_client" not in said:
                    break
            wrong += check(name, subprocess.CompletedProcess([], code, said, ""))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
