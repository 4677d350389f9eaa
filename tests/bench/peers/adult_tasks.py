#!/usr/bin/env python3
"""Income and never-married of Adult together: shared-bottom, MMoE and PLE in Chorale and in PyTorch. Same rows in each part, same columns, same
networks, starting values of the same distribution, same optimiser, best weights by the mean AUC of both tasks on the validation rows.
Education, relationship, fnlwgt and marital status are inputs of neither.

    adult_tasks.py CHORALE ADULT.DATA [SEEDS [EPOCHS]]     needs torch; adult.data of UCI, doi 10.24432/C5XW20
"""
import csv
import json
import math
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from torch import nn

COLUMNS = ["age", "workclass", "fnlwgt", "education", "education_num", "marital", "occupation", "relationship", "race", "sex", "gain", "loss",
           "hours", "country", "income"]
NUMBERS, CATEGORIES = ["age", "gain", "loss", "hours"], ["workclass", "occupation", "race", "sex", "country"]
TASKS = {"income": ">50K", "marital": "Never-married"}
WIDTHS, TOWER, EXPERTS, LEVELS, BATCH, LR = (64, 32), 16, 4, 2, 256, 0.002
RECIPE = """[data]
file = adult.csv
target = income, marital
positive = marital : Never-married
columns = {columns}
split = column part
[model]
kind = {kind}
expert_layers = linear({0}) relu linear({1}) relu
tower_layers = linear({tower}) relu
[train]
loss = binary_cross_entropy
batch = {batch}
epochs = {epochs}
metrics = auc
early_stop = validation.auc 1000
[optimizer]
name = adam
lr = {lr}
"""


def read(path):
    """Rows with their part, drawn with one seed for both programs."""
    rows = [[v.strip() for v in r] for r in csv.reader(open(path)) if len(r) == len(COLUMNS)]
    rows = [dict(zip(COLUMNS, r)) for r in rows]
    order = list(range(len(rows)))
    random.Random(5).shuffle(order)
    for place, i in enumerate(order):
        rows[i]["part"] = "train" if place < 0.7 * len(rows) else "validation" if place < 0.85 * len(rows) else "test"
    return rows


def encode(rows):
    """As Chorale's preprocessing: numbers standardised, one feature a category of the training rows, '?' being one."""
    train = [r for r in rows if r["part"] == "train"]
    features = []
    for name in NUMBERS:
        values = [float(r[name]) for r in train]
        mean = sum(values) / len(values)
        deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
        features.append([(float(r[name]) - mean) / deviation for r in rows])
    for name in CATEGORIES:
        for category in sorted({r[name] for r in train}):
            features.append([float(r[name] == category) for r in rows])
    x = torch.tensor(features).t().contiguous()
    y = {t: torch.tensor([float(r[t] == positive) for r in rows]) for t, positive in TASKS.items()}
    at = {p: torch.tensor([i for i, r in enumerate(rows) if r["part"] == p]) for p in ("train", "validation", "test")}
    return {p: (x[i], {t: v[i] for t, v in y.items()}) for p, i in at.items()}


def mlp(inputs, *widths):
    layers = []
    for width in widths:
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers)


def mixed(gate, x, experts):
    return (torch.softmax(gate(x), 1)[:, :, None] * torch.stack(experts, 1)).sum(1)


class Level(nn.Module):
    def __init__(self, inputs, last):
        super().__init__()
        gate = lambda n: nn.Linear(inputs, n, bias=False)
        self.shared = nn.ModuleList(mlp(inputs, *WIDTHS) for _ in range(EXPERTS))
        self.own = nn.ModuleDict({t: mlp(inputs, *WIDTHS) for t in TASKS})
        self.gates = nn.ModuleDict({t: gate(1 + EXPERTS) for t in TASKS})
        self.shared_gate = None if last else gate(len(TASKS) + EXPERTS)

    def forward(self, h, common):
        shared, own = [e(common) for e in self.shared], {t: self.own[t](h[t]) for t in TASKS}
        out = {t: mixed(self.gates[t], h[t], [own[t]] + shared) for t in TASKS}
        return out, None if self.shared_gate is None else mixed(self.shared_gate, common, list(own.values()) + shared)


class Network(nn.Module):
    def __init__(self, kind, inputs):
        super().__init__()
        self.kind = kind
        if kind == "shared_bottom":
            self.bottom = mlp(inputs, *WIDTHS)
        if kind == "mmoe":
            self.experts = nn.ModuleList(mlp(inputs, *WIDTHS) for _ in range(EXPERTS))
            self.gates = nn.ModuleDict({t: nn.Linear(inputs, EXPERTS, bias=False) for t in TASKS})
        if kind == "ple":
            self.levels = nn.ModuleList(Level(WIDTHS[-1] if l else inputs, l + 1 == LEVELS) for l in range(LEVELS))
        self.towers = nn.ModuleDict({t: nn.Sequential(mlp(WIDTHS[-1], TOWER), nn.Linear(TOWER, 1)) for t in TASKS})

    def forward(self, x):
        if self.kind == "shared_bottom":
            h = dict.fromkeys(TASKS, self.bottom(x))
        elif self.kind == "mmoe":
            experts = [e(x) for e in self.experts]
            h = {t: mixed(self.gates[t], x, experts) for t in TASKS}
        else:
            h, common = dict.fromkeys(TASKS, x), x
            for level in self.levels:
                h, common = level(h, common)
        return {t: self.towers[t](h[t])[:, 0] for t in TASKS}


def auc(score, y):
    """Exact, ties counting half."""
    values, place, counts = torch.unique(score.double(), return_inverse=True, return_counts=True)
    rank = (counts.cumsum(0) - counts).double() + (counts.double() + 1) / 2
    positives, n = y.sum().double(), len(y)
    return ((rank[place] * y).sum() - positives * (positives + 1) / 2).div(positives * (n - positives)).item()


def scores(model, part):
    x, y = part
    with torch.no_grad():
        return {t: auc(z, y[t]) for t, z in model(x).items()}


def by_torch(parts, kind, seed, epochs):
    torch.manual_seed(seed)
    x, y = parts["train"]
    model = Network(kind, x.shape[1])
    optimizer, best = torch.optim.Adam(model.parameters(), lr=LR), -1
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            sum(nn.functional.binary_cross_entropy_with_logits(z, y[t][rows]) for t, z in model(x[rows]).items()).backward()
            optimizer.step()
        mean = sum(scores(model, parts["validation"]).values())
        if mean > best:
            best, kept = mean, {n: v.clone() for n, v in model.state_dict().items()}
    model.load_state_dict(kept)
    return scores(model, parts["test"])


def by_chorale(chorale, folder, kind, seed):
    run = folder / f"{kind}_{seed}"
    subprocess.run([chorale, "train", f"{kind}.ini", "-n", "1", "--quiet", "--run-dir", str(run), "--train.seed", str(seed),
                    "--checkpoint.every_epochs", "0"], cwd=folder,
                   check=True)
    found = json.loads((run / "summary.json").read_text())["metrics"]["test"]
    return {t: found[f"{t}.auc"] for t in TASKS}


def main():
    chorale, data = str(Path(sys.argv[1]).resolve()), sys.argv[2]
    seeds, epochs = int(sys.argv[3]) if len(sys.argv) > 3 else 5, int(sys.argv[4]) if len(sys.argv) > 4 else 12
    torch.set_num_threads(1)
    rows = read(data)
    parts = encode(rows)
    kinds, worst = ("shared_bottom", "mmoe", "ple"), 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with open(folder / "adult.csv", "w", newline="") as out:
            writer = csv.DictWriter(out, COLUMNS + ["part"])
            writer.writeheader()
            writer.writerows(rows)
        print(f"{seeds} seeds, {epochs} epochs; test AUC, mean (deviation)")
        for kind in kinds:
            (folder / f"{kind}.ini").write_text(RECIPE.format(*WIDTHS, columns=" ".join(NUMBERS + CATEGORIES), kind=kind, tower=TOWER, batch=BATCH,
                                                              epochs=epochs, lr=LR))
            found = {"chorale": [], "torch": []}
            for seed in range(1, seeds + 1):
                found["chorale"].append(by_chorale(chorale, folder, kind, seed))
                found["torch"].append(by_torch(parts, kind, seed, epochs))
            for task in TASKS:
                text, means = "", {}
                for program, values in found.items():
                    v = torch.tensor([s[task] for s in values], dtype=torch.float64)
                    means[program] = v.mean().item()
                    text += f"  {program} {means[program]:.4f} ({v.std().item() if seeds > 1 else 0:.4f})"
                difference = means["chorale"] - means["torch"]
                worst = max(worst, abs(difference))
                print(f"{kind:14} {task:8}{text}  difference {difference:+.4f}", flush=True)
    print(f"largest difference {worst:.4f}: {'within' if worst <= 0.003 else 'NOT within'} 0.003")
    return worst > 0.003


if __name__ == "__main__":
    sys.exit(main())
