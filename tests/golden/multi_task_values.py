#!/usr/bin/env python3
"""Writes multi_task_values.json: what PyTorch computes in double precision for shared-bottom, MMoE and PLE networks over three tasks with
missing labels (results, loss and gradients, with equal weights and with uncertainty weights), and one PCGrad step of two tasks.
Needs torch; the tests read the file and need nothing.   usage: multi_task_values.py > multi_task_values.json"""
import json
import re

import torch
from torch import nn
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
torch.manual_seed(11)
FEATURES, WIDTH, ROWS, EXPERTS, OWN, LEVELS = 5, 3, 6, 2, 1, 2


def plain(tensor):
    return [float(v) for v in tensor.detach().flatten()]


def mlp(inputs, hidden, outputs=None):
    layers = [nn.Linear(inputs, hidden), nn.Tanh()] + ([nn.Linear(hidden, outputs)] if outputs else [])
    return nn.Sequential(*layers)


class Base(nn.Module):
    def __init__(self, tasks):
        super().__init__()
        self.tasks = tasks
        self.build()
        self.towers = nn.ModuleDict({t: mlp(WIDTH, 2, n) for t, n in tasks.items()})

    def forward(self, x):
        return {t: self.towers[t](h) for t, h in self.represent(x).items()}


class SharedBottom(Base):
    def build(self):
        self.bottom = mlp(FEATURES, WIDTH)

    def represent(self, x):
        h = self.bottom(x)
        return {t: h for t in self.tasks}

    def is_shared(self, name):
        return name.startswith("bottom.")


def mixed(gate, x, experts):
    return (torch.softmax(gate(x), 1)[:, :, None] * torch.stack(experts, 1)).sum(1)


class Mmoe(Base):
    def build(self):
        self.experts = nn.ModuleList(mlp(FEATURES, WIDTH) for _ in range(EXPERTS))
        self.gates = nn.ModuleDict({t: nn.Linear(FEATURES, EXPERTS, bias=False) for t in self.tasks})

    def represent(self, x):
        experts = [e(x) for e in self.experts]
        return {t: mixed(self.gates[t], x, experts) for t in self.tasks}


class Level(nn.Module):
    def __init__(self, tasks, inputs, last):
        super().__init__()
        many = lambda n: nn.ModuleList(mlp(inputs, WIDTH) for _ in range(n))
        self.shared, self.experts = many(EXPERTS), nn.ModuleDict({t: many(OWN) for t in tasks})
        self.gates = nn.ModuleDict({t: nn.Linear(inputs, OWN + EXPERTS, bias=False) for t in tasks})
        self.shared_gate = None if last else nn.Linear(inputs, len(tasks) * OWN + EXPERTS, bias=False)

    def forward(self, own, common):
        shared = [e(common) for e in self.shared]
        mine = {t: [e(x) for e in self.experts[t]] for t, x in own.items()}
        out = {t: mixed(self.gates[t], x, mine[t] + shared) for t, x in own.items()}
        if self.shared_gate is None:
            return out, None
        return out, mixed(self.shared_gate, common, [e for t in own for e in mine[t]] + shared)


class Ple(Base):
    def build(self):
        self.levels = nn.ModuleList(Level(self.tasks, WIDTH if l else FEATURES, l + 1 == LEVELS) for l in range(LEVELS))

    def represent(self, x):
        own, common = {t: x for t in self.tasks}, x
        for level in self.levels:
            own, common = level(own, common)
        return own


def losses(results, targets, weight):
    """Of each task the weighted mean over the rows that have its label."""
    out = {}
    for task, y in results.items():
        has = ~torch.isnan(targets[task])
        t, w = targets[task][has], weight[has]
        each = {"buys": lambda z: F.binary_cross_entropy_with_logits(z[:, 0], t, reduction="none"),
                "group": lambda z: F.cross_entropy(z, t.long(), reduction="none"),
                "spend": lambda z: F.mse_loss(z[:, 0], t, reduction="none")}[task](y[has])
        out[task] = (each * w).sum() / w.sum()
    return out


def gradients(model):
    return {n: plain(p.grad) for n, p in model.named_parameters()}


x, weight, nan = torch.randn(ROWS, FEATURES), torch.rand(ROWS) + 0.5, float("nan")
targets = {"buys": torch.tensor([1.0, nan, 0, 1, 0, nan]), "group": torch.tensor([2.0, 0, nan, 1, 1, 0]), "spend": torch.tensor([0.3, nan, nan, -1.2, 2.0, 0.1])}
result = {"torch": torch.__version__, "x": plain(x), "weight": plain(weight),
          "targets": {t: [None if v != v else v for v in plain(y)] for t, y in targets.items()}, "models": {}}
for name, kind in {"shared_bottom": SharedBottom, "mmoe": Mmoe, "ple": Ple}.items():
    model = kind({"buys": 1, "group": 3, "spend": 1})
    results = model(x)
    each = losses(results, targets, weight)
    loss = sum(each.values())
    loss.backward()
    values = {"start": {n: plain(p) for n, p in model.named_parameters()}, "results": {t: plain(y) for t, y in results.items()},
              "losses": {t: v.item() for t, v in each.items()}, "gradients": gradients(model)}
    model.zero_grad()  # Kendall, Gal & Cipolla 2018, s = log(sigma^2): classes exp(-s) L + s / 2, values exp(-s) L / 2 + s / 2
    s = {t: torch.tensor(v, requires_grad=True) for t, v in {"buys": 0.2, "group": -0.5, "spend": 0.7}.items()}
    each = losses(model(x), targets, weight)
    loss = sum(torch.exp(-s[t]) * each[t] * (0.5 if t == "spend" else 1) + s[t] / 2 for t in each)
    loss.backward()
    values["uncertainty"] = {"log_variance": {t: v.item() for t, v in s.items()}, "loss": loss.item(),
                             "gradients": gradients(model) | {"log_variance." + t: [v.grad.item()] for t, v in s.items()}}
    result["models"][name] = values

# PCGrad (Yu et al. 2020) of two tasks, so that no order is drawn: each gradient loses what it has against the other's.
for seed in range(100):
    torch.manual_seed(seed)
    model = SharedBottom({"buys": 1, "spend": 1})
    own = {}
    for task in model.tasks:
        model.zero_grad()
        losses(model(x), targets, weight)[task].backward()
        own[task] = {n: torch.zeros_like(p) if p.grad is None else p.grad.clone() for n, p in model.named_parameters()}
    flat = {t: torch.cat([g.flatten() for n, g in own[t].items() if model.is_shared(n)]) for t in own}
    if flat["buys"] @ flat["spend"] < -1e-2:
        break
projected = {}
for a, b in (("buys", "spend"), ("spend", "buys")):
    projected[a] = flat[a] - min(0, flat[a] @ flat[b]) / (flat[b] @ flat[b]) * flat[b]
total, at = projected["buys"] + projected["spend"], 0
combined = {}
for n, p in model.named_parameters():
    if model.is_shared(n):
        combined[n], at = plain(total[at:at + p.numel()]), at + p.numel()
    else:
        combined[n] = plain(own["buys"][n] + own["spend"][n])
result["pcgrad"] = {"start": {n: plain(p) for n, p in model.named_parameters()}, "gradients": combined,
                    "product": (flat["buys"] @ flat["spend"]).item()}
text = json.dumps(result, indent=1)
print(re.sub(r"\[[^\[\]{}]*\]", lambda numbers: " ".join(numbers.group().split()), text))
