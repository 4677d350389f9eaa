"""From a killed rank to the first step after the restart: chorale train beside torchrun, two ranks on this machine, alternating.

  python3 tests/bench/peers/restart.py build/release/chorale [--network shoppers|article] [--repeat 5]

shoppers: examples/recipes/online_shoppers.ini with its data (CHORALE_DATA), 70-64-32-1. article: 100-128-64-1 on made rows. torchrun's program trains a
network of the same size on made rows. Both have 32 rows a rank and save a checkpoint every 1000 (Chorale) or 200 (PyTorch, which takes longer)
steps. Rank 1 gets SIGKILL.
"""
import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
from processes import pid_of_rank, running
from run_folder import has_checkpoint

ARTICLE = """[data]
file = rows.csv
target = y
split = random 0.8 0.1 0.1
[model]
layers = linear(128) relu linear(64) relu linear(1)
[train]
loss = mse
batch = 64
"""
SHOPPERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../examples/recipes/online_shoppers.ini")
LAYERS = {"shoppers": (70, 64, 32, 1), "article": (100, 128, 64, 1)}
LONG = ["--train.steps", "100000000", "--train.early_stop", "", "--train.log_every", "20", "--checkpoint.every_steps", "1000"]

TORCH = """
import os, sys, torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
dist.init_process_group("gloo")
rank = dist.get_rank()
torch.set_num_threads(1)
sizes = [int(word) for word in sys.argv[2:]]
linear = [torch.nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])]
model = torch.nn.Sequential(*[part for layer in linear[:-1] for part in (layer, torch.nn.ReLU())], linear[-1])
saved = sys.argv[1] + "/model.pt"
first = 0
if os.path.exists(saved):
    state = torch.load(saved)
    model.load_state_dict(state["model"])
    first = state["step"]
ddp = DistributedDataParallel(model)
rule = torch.optim.Adam(ddp.parameters())
x, y = torch.randn(4096, sizes[0]), torch.rand(4096, 1)
print("pid", rank, os.getpid(), flush=True)
for step in range(first, 100000000):
    i = step * 32 % 4064
    loss = torch.nn.functional.binary_cross_entropy_with_logits(ddp(x[i:i + 32]), y[i:i + 32])
    rule.zero_grad()
    loss.backward()
    rule.step()
    if rank == 0 and step % 20 == 0:
        with open(sys.argv[1] + "/steps", "a") as file:
            file.write(str(step) + "\\n")
    if rank == 0 and step % 200 == 199:
        torch.save({"model": model.state_dict(), "step": step}, saved + ".tmp")
        os.replace(saved + ".tmp", saved)
"""


class GaveUp(Exception):
    pass


def wait_for(happened, child, limit=90):
    until = time.time() + limit
    while not happened():
        if time.time() > until or child.poll() is not None:
            raise GaveUp
        time.sleep(0.002)


def lines_of(path, word):
    if not os.path.exists(path):
        return 0
    with open(path, encoding="utf-8") as file:
        return sum(word in line for line in file)


def stop(child, word):
    """torchrun's workers have sessions of their own: all that has that word in its command line."""
    child.kill()
    child.wait()
    for pid in running(word):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def recipe_of(network, folder):
    """The recipe and flags that go with it."""
    if network == "shoppers":
        data = os.path.join(os.environ.get("CHORALE_DATA", ""), "online_shoppers/online_shoppers_intention.csv")
        if not os.path.exists(data):
            sys.exit(f"{data} is not there; CHORALE_DATA names the folder of the data, --network article needs none")
        return [SHOPPERS, "--data.file", data]
    with open(folder + "/rows.csv", "w", encoding="ascii") as file:
        file.write(",".join(f"x{i}" for i in range(100)) + ",y\n")
        for row in range(2000):
            file.write(",".join(str((row * (i + 7)) % 101 / 101) for i in range(101)) + "\n")
    with open(folder + "/recipe.ini", "w", encoding="ascii") as file:
        file.write(ARTICLE)
    return [folder + "/recipe.ini", "--train.evaluate_every", "100000000"]


def time_chorale(chorale, folder, network):
    run = folder + "/run"
    child = subprocess.Popen([chorale, "train", *recipe_of(network, folder), *LONG, "-n", "2", "--run-dir", run, "--quiet"], start_new_session=True,
                             stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: has_checkpoint(run), child)
        os.kill(pid_of_rank(run, 1), signal.SIGKILL)
        killed = time.time()
        wait_for(lambda: lines_of(run + "/events.jsonl", '"start"') == 2, child)
        before = lines_of(run + "/metrics.jsonl", '"step"')
        wait_for(lambda: lines_of(run + "/metrics.jsonl", '"step"') > before, child)
        return time.time() - killed
    finally:
        stop(child, run)
        time.sleep(0.5)


def time_torchrun(folder, network):
    work = folder + "/torch"
    os.mkdir(work)
    with open(folder + "/train.py", "w", encoding="ascii") as file:
        file.write(TORCH)
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=3", folder + "/train.py", work,
             *map(str, LAYERS[network])]
    child = subprocess.Popen(words, start_new_session=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: os.path.exists(work + "/model.pt"), child)
        os.kill(pid_of_rank(work, 1, "LOCAL_RANK"), signal.SIGKILL)
        killed = time.time()
        time.sleep(0.3)
        before = lines_of(work + "/steps", "")
        wait_for(lambda: lines_of(work + "/steps", "") > before + 1, child)
        return time.time() - killed
    finally:
        stop(child, work)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("chorale")
    parser.add_argument("--network", choices=LAYERS, default="shoppers")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    chorale = os.path.abspath(options.chorale)
    ours, theirs, gave_up = [], [], 0
    while len(theirs) < options.repeat and gave_up < 5:
        with tempfile.TemporaryDirectory() as folder:
            ours.append(time_chorale(chorale, folder, options.network))
            try:
                theirs.append(time_torchrun(folder, options.network))
            except GaveUp:  # gloo finds its peer's old port on a busy machine, until its restarts are used up
                gave_up += 1
    print(json.dumps({"chorale_s": sorted(ours), "torchrun_s": sorted(theirs), "torchrun_gave_up": gave_up, "ratio": statistics.median(theirs) / statistics.median(ours)}))


if __name__ == "__main__":
    main()
