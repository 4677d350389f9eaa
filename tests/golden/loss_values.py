#!/usr/bin/env python3
"""Writes loss_values.json: sums and gradients of losses by PyTorch's functions, and by its automatic differentiation of the papers' formulas
where it has none (focal, pinball, Tweedie). Needs torch; the tests read the file and need nothing.   usage: loss_values.py > loss_values.json"""
import json
import re

import torch

F = torch.nn.functional
torch.manual_seed(5)
torch.set_default_dtype(torch.float64)

ROWS = 9
IDS, TRUTH = torch.tensor([0, 2, 1, 4, 3, 2, 0, 1, 4]), torch.tensor([0.0, 1, 1, 0, 1, 0, 1, 1, 0])
VALUES, COUNTS = torch.randn(ROWS), torch.tensor([0.0, 1, 0, 3, 7, 0, 2, 1, 0])
TWO, FIVE = torch.tensor([0.7, 2.5]), torch.tensor([0.5, 1, 2, 3, 0.1])


def case(name, function, columns, target, options, class_weights=None):
    """function: of z and target, a row's loss without its weight. options: of the loss, by their keys of [train]."""
    z = (3 * torch.randn(ROWS, columns)).requires_grad_()
    weight = torch.rand(ROWS) + 0.1
    total = (function(z if columns > 1 else z[:, 0], target) * weight).sum()
    total.backward()
    return {"loss": name, "options": options, "class_weights": [] if class_weights is None else class_weights.tolist(), "columns": columns,
            "z": z.flatten().tolist(), "target": target.tolist(), "weight": weight.tolist(), "total": total.item(), "dz": z.grad.flatten().tolist()}


def binary_focal(gamma):
    def of(z, t):
        p = torch.sigmoid(z)
        right = torch.where(t > 0.5, p, 1 - p)
        return (1 - right) ** gamma * F.binary_cross_entropy_with_logits(z, t, reduction="none") * TWO[t.long()]
    return of


def focal(gamma):
    def of(z, t):
        log_p = F.log_softmax(z, 1).gather(1, t[:, None])[:, 0]
        return -(1 - log_p.exp()) ** gamma * log_p * FIVE[t]
    return of


def smoothed_binary(smoothing):
    return lambda z, t: F.binary_cross_entropy_with_logits(z, t * (1 - smoothing) + smoothing / 2, reduction="none") * TWO[t.long()]


def tweedie(power):
    return lambda z, t: -t * torch.exp((1 - power) * z) / (1 - power) + torch.exp((2 - power) * z) / (2 - power)


text = json.dumps([
    case("cross_entropy", lambda z, t: F.cross_entropy(z, t, weight=FIVE, label_smoothing=0.1, reduction="none"), 5, IDS, {"label_smoothing": 0.1}, FIVE),
    case("cross_entropy", lambda z, t: F.cross_entropy(z, t, label_smoothing=0.3, reduction="none"), 5, IDS, {"label_smoothing": 0.3}),
    case("binary_cross_entropy", smoothed_binary(0.2), 1, TRUTH, {"label_smoothing": 0.2}, TWO),
    case("focal", focal(2), 5, IDS, {}, FIVE),
    case("focal", focal(0.5), 5, IDS, {"focal_gamma": 0.5}, FIVE),
    case("binary_focal", binary_focal(2), 1, TRUTH, {}, TWO),
    case("binary_focal", binary_focal(0.5), 1, TRUTH, {"focal_gamma": 0.5}, TWO),
    case("pinball", lambda z, t: torch.maximum(0.9 * (t - z), -0.1 * (t - z)), 1, VALUES, {"quantile": 0.9}),
    case("poisson", lambda z, t: F.poisson_nll_loss(z, t, log_input=True, reduction="none"), 1, COUNTS, {}),
    case("tweedie", tweedie(1.5), 1, COUNTS, {}),
    case("tweedie", tweedie(1.2), 1, COUNTS, {"tweedie_power": 1.2}),
], indent=1)
print(re.sub(r"\[[^\[\]{}]*\]", lambda numbers: " ".join(numbers.group().split()), text))
