"""Image networks of `chorale bench step` beside PyTorch with one thread, the same shapes and Adam, alternately; prints a table in Markdown.

  python3 tests/bench/peers/images.py --chorale build/release/chorale --networks cnn,resnet --repeat 7
"""
import argparse
import json
import statistics
import subprocess
import time

import torch
from torch import nn

BATCH = 64


def conv(i, o, k, stride=1):
    return nn.Conv2d(i, o, k, stride, k // 2, bias=False)


class Block(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.main = nn.Sequential(conv(i, o, 3, stride), nn.BatchNorm2d(o), nn.ReLU(), conv(o, o, 3), nn.BatchNorm2d(o))
        self.shortcut = nn.Sequential(conv(i, o, 1, stride), nn.BatchNorm2d(o)) if stride != 1 or i != o else nn.Identity()

    def forward(self, x):
        return torch.relu(self.main(x) + self.shortcut(x))


NETWORKS = {
    "cnn": lambda: nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                                 nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10)),
    "resnet": lambda: nn.Sequential(conv(1, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2),
                                    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)),
}


class Torch:
    def __init__(self, network, compiles, channels_last):
        torch.manual_seed(1)
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.model = NETWORKS[network]().to(memory_format=self.layout)
        self.run = torch.compile(self.model) if compiles else self.model
        self.x = torch.randn(BATCH, 1, 28, 28).contiguous(memory_format=self.layout)
        self.y = torch.randint(0, 10, (BATCH,))
        self.loss, self.rule = nn.CrossEntropyLoss(), torch.optim.Adam(self.model.parameters(), 1e-3)

    def ms(self, steps):
        times = []
        for step in range(steps + 3):
            start = time.perf_counter()
            self.rule.zero_grad()
            self.loss(self.run(self.x), self.y).backward()
            self.rule.step()
            if step >= 3:
                times.append(1e3 * (time.perf_counter() - start))
        return statistics.median(times)


words = argparse.ArgumentParser()
words.add_argument("--chorale", default="build/release/chorale")
words.add_argument("--networks", default="cnn,resnet")
words.add_argument("--repeat", type=int, default=7)
words.add_argument("--steps", type=int, default=20)
words.add_argument("--compile", action="store_true", help="torch.compile too")
words = words.parse_args()
torch.set_num_threads(1)
print("| network | program | ms a step | best | Chorale's samples/s over it | in the best rounds |\n|---|---|---|---|---|---|")
for network in words.networks.split(","):
    peers = {"PyTorch": Torch(network, False, False), "PyTorch, channels last": Torch(network, False, True)}
    if words.compile:
        peers["torch.compile"] = Torch(network, True, False)
    ours, theirs = [], {name: [] for name in peers}
    for _ in range(words.repeat):
        out = subprocess.run([words.chorale, "bench", "step", "--preset", network, "--steps", str(words.steps), "--json"], capture_output=True, check=True)
        ours.append(json.loads(out.stdout)["step_ms"]["p50"])
        for name, peer in peers.items():
            theirs[name].append(peer.ms(words.steps))
    print(f"| {network} | Chorale | {statistics.median(ours):.2f} | {min(ours):.2f} | | |")
    for name, ms in theirs.items():
        quotient = statistics.median(b / a for a, b in zip(ours, ms))
        print(f"| {network} | {name} | {statistics.median(ms):.2f} | {min(ms):.2f} | {quotient:.2f} | {min(ms) / min(ours):.2f} |", flush=True)
