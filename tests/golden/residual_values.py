#!/usr/bin/env python3
"""Writes residual_values.json: what PyTorch computes in double precision for batch normalisation, residual and concatenated layers (result in
training and in evaluation, every gradient, running statistics) and for five updates of a small residual network. Rows are channels-last,
as ours; parameters and buffers are named and laid out as PyTorch's. Needs torch; the tests read the file and need nothing.
usage: residual_values.py > residual_values.json"""
import json
import re

import torch
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(11)
ROWS = 4


def plain(tensor):
    return [round(float(v), 15) for v in tensor.detach().flatten()]


def channels_first(x):
    return x.movedim(-1, 1) if x.dim() > 2 else x


def channels_last(y):
    return y.movedim(1, -1) if y.dim() > 2 else y


class Residual(nn.Module):
    def __init__(self, main, shortcut=None):
        super().__init__()
        self.main = main
        if shortcut is not None:
            self.shortcut = shortcut

    def forward(self, x):
        return self.main(x) + (self.shortcut(x) if hasattr(self, "shortcut") else x)


class Concat(nn.Module):
    def __init__(self, *branches):
        super().__init__()
        for i, branch in enumerate(branches):
            self.add_module(str(i), branch)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.children()], 1)


def state(model):
    return {n: plain(v) for n, v in model.state_dict().items()}


def case(layers, row, model):
    """layers: our expression for rows of shape `row`; model: the same in PyTorch."""
    x = (3 + torch.randn(ROWS, *row)).requires_grad_()
    for p in model.parameters():  # norms start at 1 and 0, which hides a great deal
        nn.init.normal_(p)
    for name, b in model.named_buffers():
        if name.endswith("running_mean"):
            nn.init.normal_(b)
        elif name.endswith("running_var"):
            nn.init.uniform_(b, 0.5, 2)
    start = state(model)
    model.train()
    y = channels_last(model(channels_first(x)))
    dy = torch.randn_like(y)
    y.backward(dy)
    out = {"layers": layers, "row": list(row), "x": plain(x), "y": plain(y), "dy": plain(dy), "dx": plain(x.grad), "start": start,
           "gradients": {n: plain(p.grad) for n, p in model.named_parameters()}, "buffers": {n: plain(b) for n, b in model.named_buffers()}}
    model.eval()
    x.grad = None
    model.zero_grad()
    y = channels_last(model(channels_first(x)))
    return out | {"evaluated": plain(y)}


class Reshape(nn.Module):
    def forward(self, x):
        return x.reshape(-1, 6, 6, 2).movedim(-1, 1)


def conv(i, o, k, stride=1):
    return nn.Conv2d(i, o, k, stride, k // 2, bias=False)


def block(i, o, stride):
    main = nn.Sequential(conv(i, o, 3, stride), nn.BatchNorm2d(o), nn.ReLU(), conv(o, o, 3), nn.BatchNorm2d(o))
    return Residual(main, nn.Sequential(conv(i, o, 1, stride), nn.BatchNorm2d(o)) if stride != 1 or i != o else None)


def updates():
    """Widths 3 and 5, one block a stage, on all of twelve images of 6 x 6 x 2."""
    model = nn.Sequential(Reshape(), conv(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), block(3, 3, 1), nn.ReLU(), block(3, 5, 2), nn.ReLU(),
                          nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3))
    x, target = torch.randn(12, 72), torch.randint(0, 3, (12,))
    x = x.float().double()  # data sets hold f32
    out = {"x": plain(x), "target": plain(target), "start": state(model)}
    groups = [{"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.01},
              {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0}]
    rule = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    for _ in range(5):
        rule.zero_grad()
        nn.functional.cross_entropy(model(x), target).backward()
        rule.step()
    model.eval()
    return out | {"end": state(model), "evaluated_loss": nn.functional.cross_entropy(model(x), target).item()}


S = nn.Sequential
result = {
    "torch": torch.__version__,
    "rows": ROWS,
    "cases": [
        case("batch_norm", (5,), S(nn.BatchNorm1d(5))),
        case("batch_norm(0.1, 0.3)", (6, 3), S(nn.BatchNorm1d(3, 0.1, 0.3))),
        case("batch_norm", (4, 3, 2), S(nn.BatchNorm2d(2))),
        case("batch_norm(affine=false)", (1, 2, 70), S(nn.BatchNorm2d(70, affine=False))),
        case("batch_norm relu", (3, 4, 3), S(nn.BatchNorm2d(3), nn.ReLU())),
        case("conv2d(3, 3, padding=1) batch_norm relu max_pool2d(2)", (4, 4, 2),
             S(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2))),
        case("residual(conv2d(3, 3, padding=1, bias=false) batch_norm relu conv2d(3, 3, padding=1, bias=false) batch_norm) relu", (5, 4, 3),
             S(block(3, 3, 1), nn.ReLU())),
        case("residual(conv2d(4, 3, stride=2, padding=1, bias=false) batch_norm relu conv2d(4, 3, padding=1, bias=false) batch_norm | "
             "conv2d(4, 1, stride=2, bias=false) batch_norm) relu", (5, 4, 3), S(block(3, 4, 2), nn.ReLU())),
        case("residual(linear(4) tanh linear(5)) linear(2)", (5,), S(Residual(S(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 5))), nn.Linear(5, 2))),
        case("concat(conv2d(2, 3, padding=1) relu | conv2d(3, 1) batch_norm | identity) relu", (3, 4, 2),
             S(Concat(S(nn.Conv2d(2, 2, 3, padding=1), nn.ReLU()), S(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)), S(nn.Identity())), nn.ReLU())),
        case("residual(residual(linear(4) batch_norm) relu linear(4)) batch_norm", (4,),
             S(Residual(S(Residual(S(nn.Linear(4, 4), nn.BatchNorm1d(4))), nn.ReLU(), nn.Linear(4, 4))), nn.BatchNorm1d(4))),
    ],
    "updates": updates(),
}
text = json.dumps(result, indent=1)
print(re.sub(r"\[[^\[\]{}]*\]", lambda numbers: " ".join(numbers.group().split()), text))
