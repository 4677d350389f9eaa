#!/usr/bin/env python3
"""Writes optimizer_values.json: five updates of a matrix, a vector and a stack of matrices by PyTorch's optimisers, and by plain float64
references where it has none (Lion, LAMB, LARS). Needs torch; the tests read the file.   usage: optimizer_values.py > optimizer_values.json"""
import json
import re

import torch

torch.set_default_dtype(torch.float64)
torch.manual_seed(11)
STEPS = 5


def plain(tensor):
    return [float(v) for v in tensor.detach().flatten()]


class Lion(torch.optim.Optimizer):
    """Chen et al. 2023, algorithm 2."""

    def __init__(self, params, lr, betas=(0.9, 0.999), weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p -= group["lr"] * (torch.sign(b1 * m + (1 - b1) * p.grad) + group["decay"] * p)
                m.copy_(b2 * m + (1 - b2) * p.grad)


class Lamb(torch.optim.Optimizer):
    """You et al. 2020, algorithm 2."""

    def __init__(self, params, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "decay": weight_decay, "t": 0})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            group["t"] += 1
            b1, b2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                v = self.state[p].setdefault("v", torch.zeros_like(p))
                m.copy_(b1 * m + (1 - b1) * p.grad)
                v.copy_(b2 * v + (1 - b2) * p.grad**2)
                u = m / (1 - b1 ** group["t"]) / ((v / (1 - b2 ** group["t"])).sqrt() + group["eps"]) + group["decay"] * p
                p -= group["lr"] * p.norm() / u.norm() * u


class Lars(torch.optim.Optimizer):
    """You, Gitman & Ginsburg 2017, algorithm 1, in front of torch.optim.SGD's momentum."""

    def __init__(self, params, lr, momentum=0.0, eps=1e-8, weight_decay=0.0, trust_coefficient=0.001, nesterov=False):
        super().__init__(params, {"eps": eps, "decay": weight_decay, "trust": trust_coefficient})
        self.sgd = torch.optim.SGD(params, lr=lr, momentum=momentum, nesterov=nesterov)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                trust = group["trust"] * p.norm() / (p.grad.norm() + group["decay"] * p.norm() + group["eps"])
                p.grad = trust * (p.grad + group["decay"] * p)
        self.sgd.step()


def case(name, rule, words=None, **options):
    """words: the keys of a recipe's [optimizer], where they are not the options' own."""
    shapes = {"matrix": [5, 4], "vector": [5], "stack": [2, 2, 3, 2], "column": [3, 1]}
    params = {n: torch.randn(s).requires_grad_() for n, s in shapes.items()}
    out = {"name": name, "options": {k: v for k, v in options.items() if k not in ("betas", "decoupled_weight_decay")}}
    out["options"] |= dict(zip(["beta1", "beta2"], options.get("betas", ()))) | {"lr": options["lr"]}
    out["options"] = words if words is not None else out["options"]
    out["tensors"] = {n: {"shape": shapes[n], "start": plain(p), "gradients": []} for n, p in params.items()}
    steps = rule(list(params.values()), **options)
    for _ in range(STEPS):
        for n, p in params.items():
            p.grad = torch.randn(shapes[n])
            out["tensors"][n]["gradients"].append(plain(p.grad))
        steps.step()
    for n, p in params.items():
        out["tensors"][n]["end"] = plain(p)
    return out


O = torch.optim
result = {
    "torch": torch.__version__,
    "optimisers": [
        case("sgd", O.SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.05),
        case("adam", O.Adam, lr=0.01, weight_decay=0.1),
        case("adamw", O.AdamW, lr=0.01, weight_decay=0.1),
        case("rmsprop", O.RMSprop, lr=0.01, alpha=0.9, momentum=0.7, weight_decay=0.1),
        case("adagrad", O.Adagrad, lr=0.05, eps=1e-8),
        case("adamax", O.Adamax, lr=0.02),
        case("adamax", O.Adamax, lr=0.02, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1),
        case("nadam", O.NAdam, lr=0.01),
        case("nadam", O.NAdam, lr=0.01, betas=(0.8, 0.95), eps=1e-3, momentum_decay=0.05, weight_decay=0.1),
        case("nadam", O.NAdam, {"lr": 0.01, "weight_decay": 0.1, "decay": "decoupled"}, lr=0.01, weight_decay=0.1, decoupled_weight_decay=True),
        case("adafactor", O.Adafactor, {"lr": 0.05}, lr=0.05, eps=(1e-8, 1e-3)),
        case("adafactor", O.Adafactor, {"lr": 0.9, "eps": 0.9, "weight_decay": 0.1}, lr=0.9, eps=(0.9, 1e-3), weight_decay=0.1),
        case("lion", Lion, lr=0.003),
        case("lion", Lion, lr=0.003, betas=(0.95, 0.98), weight_decay=0.5),
        case("lamb", Lamb, lr=0.02),
        case("lamb", Lamb, lr=0.02, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.3),
        case("lars", Lars, lr=0.5),
        case("lars", Lars, lr=0.5, momentum=0.9, weight_decay=0.05, trust_coefficient=0.02, nesterov=True),
    ],
}
text = json.dumps(result, indent=1)
print(re.sub(r"\[[^\[\]{}]*\]", lambda numbers: " ".join(numbers.group().split()), text))
