"""From a killed rank to the first step after the restart: chorale train beside torchrun, two ranks on this machine, alternating.

  python3 tests/bench/peers/restart.py build/release/chorale [--repeat 5]

Both train 100-128-64-1 at 32 rows a rank and save a checkpoint every 1000 (Chorale) or 200 (PyTorch, which takes longer) steps. Rank 1 gets SIGKILL.
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
from processes import pid_of_rank
from run_folder import has_checkpoint

RECIPE = """[data]
file = rows.csv
target = y
split = random 0.8 0.1 0.1
[model]
layers = linear(128) relu linear(64) relu linear(1)
[train]
loss = mse
batch = 64
steps = 100000000
evaluate_every = 100000000
log_every = 20
[checkpoint]
every_steps = 1000
"""

TORCH = """
import os, sys, torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
dist.init_process_group("gloo")
rank = dist.get_rank()
torch.set_num_threads(1)
model = torch.nn.Sequential(torch.nn.Linear(100, 128), torch.nn.ReLU(), torch.nn.Linear(128, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
saved = sys.argv[1] + "/model.pt"
first = 0
if os.path.exists(saved):
    state = torch.load(saved)
    model.load_state_dict(state["model"])
    first = state["step"]
ddp = DistributedDataParallel(model)
rule = torch.optim.Adam(ddp.parameters())
x, y = torch.randn(4096, 100), torch.randn(4096, 1)
print("pid", rank, os.getpid(), flush=True)
for step in range(first, 100000000):
    i = step * 32 % 4064
    loss = torch.nn.functional.mse_loss(ddp(x[i:i + 32]), y[i:i + 32])
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


def wait_for(happened, limit=60):
    until = time.time() + limit
    while not happened():
        if time.time() > until:
            sys.exit("nothing happens any more")
        time.sleep(0.002)


def lines_of(path, word):
    if not os.path.exists(path):
        return 0
    with open(path, encoding="utf-8") as file:
        return sum(word in line for line in file)


def stop(child):
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def time_chorale(chorale, folder):
    run = folder + "/run"
    child = subprocess.Popen([chorale, "train", folder + "/recipe.ini", "-n", "2", "--run-dir", run, "--quiet"], start_new_session=True,
                             stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: has_checkpoint(run))
        os.kill(pid_of_rank(run, 1), signal.SIGKILL)
        killed = time.time()
        wait_for(lambda: lines_of(run + "/events.jsonl", '"start"') == 2)
        before = lines_of(run + "/metrics.jsonl", '"step"')
        wait_for(lambda: lines_of(run + "/metrics.jsonl", '"step"') > before)
        return time.time() - killed
    finally:
        stop(child)
        time.sleep(0.5)


def time_torchrun(folder):
    work = folder + "/torch"
    os.mkdir(work)
    with open(folder + "/train.py", "w", encoding="ascii") as file:
        file.write(TORCH)
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=3", folder + "/train.py", work]
    child = subprocess.Popen(words, start_new_session=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: os.path.exists(work + "/model.pt"))
        os.kill(pid_of_rank(work, 1, "LOCAL_RANK"), signal.SIGKILL)
        killed = time.time()
        time.sleep(0.3)
        before = lines_of(work + "/steps", "")
        wait_for(lambda: lines_of(work + "/steps", "") > before + 1)
        return time.time() - killed
    finally:
        stop(child)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("chorale")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    chorale = os.path.abspath(options.chorale)
    ours, theirs = [], []
    for _ in range(options.repeat):
        with tempfile.TemporaryDirectory() as folder:
            with open(folder + "/rows.csv", "w", encoding="ascii") as file:
                file.write(",".join(f"x{i}" for i in range(100)) + ",y\n")
                for row in range(2000):
                    file.write(",".join(str((row * (i + 7)) % 101 / 101) for i in range(101)) + "\n")
            with open(folder + "/recipe.ini", "w", encoding="ascii") as file:
                file.write(RECIPE)
            ours.append(time_chorale(chorale, folder))
            theirs.append(time_torchrun(folder))
    print(json.dumps({"chorale_s": sorted(ours), "torchrun_s": sorted(theirs), "ratio": statistics.median(theirs) / statistics.median(ours)}))


if __name__ == "__main__":
    main()
