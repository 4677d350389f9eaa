#!/usr/bin/env python3
"""Writes schedule_values.json: the rates of 20 updates by PyTorch's schedulers, as factors, and by a formula where it has none
(warmup_stable_decay). Needs torch; the tests read the file.   usage: schedule_values.py > schedule_values.json"""
import json
import re

import torch

S = torch.optim.lr_scheduler
STEPS = 20


def rates(make, scores=None):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = make(optimizer)
    out = []
    for step in range(STEPS):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(*([scores[step]] if scores else []))
    return out


def warmed_up(make, warmup):
    """As make, after `warmup` updates that rise in a line."""

    def both(optimizer):
        up = S.LambdaLR(optimizer, lambda step: (step + 1) / warmup)
        return S.SequentialLR(optimizer, [up, make(optimizer)], [warmup])

    return both


scores = [5, 4, 4, 4, 4, 3, 3.5, 3.2, 3.1, 3, 2.9, 2.8, 2.8, 2.8, 2.8, 2.8, 2.8, 2.8, 2.8, 2.8]
cases = [
    ({"schedule": "constant", "warmup_steps": 4}, rates(lambda o: S.LambdaLR(o, lambda step: min(1, (step + 1) / 4)))),
    ({"schedule": "cosine", "end_factor": 0.1}, rates(lambda o: S.CosineAnnealingLR(o, STEPS, eta_min=0.1))),
    ({"schedule": "cosine", "warmup_steps": 5}, rates(warmed_up(lambda o: S.CosineAnnealingLR(o, STEPS - 5), 5))),
    ({"schedule": "linear", "end_factor": 0.2}, rates(lambda o: S.LinearLR(o, 1, 0.2, STEPS))),
    ({"schedule": "polynomial", "power": 3}, rates(lambda o: S.PolynomialLR(o, STEPS, power=3))),
    ({"schedule": "step", "drop_at": "1.5 3", "drop_factor": 0.3}, rates(lambda o: S.MultiStepLR(o, [6, 12], 0.3))),
    ({"schedule": "one_cycle", "end_factor": 0.004}, rates(lambda o: S.OneCycleLR(o, 1.0, STEPS, final_div_factor=10, cycle_momentum=False))),
    ({"schedule": "plateau", "plateau": "validation.loss 3", "drop_factor": 0.5, "end_factor": 0.2},
     rates(lambda o: S.ReduceLROnPlateau(o, factor=0.5, patience=2, threshold=0, min_lr=0.2), scores)),
    ({"schedule": "warmup_stable_decay", "cooldown_share": 0.25},
     rates(lambda o: S.LambdaLR(o, lambda step: min(1, (STEPS - step) / 5)))),
]
result = {"torch": torch.__version__, "scores": scores, "cases": [{"options": o, "rates": r} for o, r in cases]}
text = json.dumps(result, indent=1)
print(re.sub(r"\[[^\[\]{}]*\]", lambda numbers: " ".join(numbers.group().split()), text))
