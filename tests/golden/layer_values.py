#!/usr/bin/env python3
"""Writes layer_values.json: what PyTorch computes in double precision for layers over images and sequences, result and every gradient.
Rows are channels-last, [H, W, C] and [T, C], as ours; parameters are named and laid out as PyTorch's. Needs torch; the tests read the file
and need nothing.   usage: layer_values.py > layer_values.json"""
import json
import re

import torch
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(7)
ROWS = 3


def plain(tensor):
    return [round(float(v), 15) for v in tensor.detach().flatten()]


def channels_first(x):
    return x.movedim(-1, 1) if x.dim() > 2 else x


def channels_last(y):
    return y.movedim(1, -1) if y.dim() > 2 else y


class Last(nn.Module):
    """A layer over the last dimension, which PyTorch too has last."""

    def __init__(self, layer):
        super().__init__()
        self.add_module("0", layer)

    def forward(self, x):
        return channels_first(self.get_submodule("0")(channels_last(x)))


def case(layers, row, model):
    """layers: our expression for rows of shape `row`; model: the same in PyTorch."""
    x = torch.randn(ROWS, *row).requires_grad_()
    for p in model.parameters():  # norms start at 1 and 0, which hides a great deal
        nn.init.normal_(p)
    y = channels_last(model(channels_first(x)))
    dy = torch.randn_like(y)
    y.backward(dy)
    return {"layers": layers, "row": list(row), "x": plain(x), "y": plain(y), "dy": plain(dy), "dx": plain(x.grad),
            "parameters": {n: plain(p) for n, p in model.named_parameters()}, "gradients": {n: plain(p.grad) for n, p in model.named_parameters()}}


one = lambda layer: nn.Sequential(layer)
result = {
    "torch": torch.__version__,
    "rows": ROWS,
    "cases": [
        case("conv2d(4, 3, padding=1)", (5, 6, 3), one(nn.Conv2d(3, 4, 3, padding=1))),
        case("conv2d(2, 1, bias=false)", (3, 4, 5), one(nn.Conv2d(5, 2, 1, bias=False))),
        case("conv2d(6, 3x2, stride=2x1, padding=1x0, dilation=2x1, groups=3)", (8, 5, 6),
             one(nn.Conv2d(6, 6, (3, 2), (2, 1), (1, 0), (2, 1), 3))),
        case("conv2d(4, 5, stride=3, padding=2)", (7, 8, 1), one(nn.Conv2d(1, 4, 5, 3, 2))),
        case("conv1d(4, 3, padding=1)", (6, 3), one(nn.Conv1d(3, 4, 3, padding=1))),
        case("conv1d(6, 4, stride=3, padding=2, dilation=2, groups=2)", (13, 4), one(nn.Conv1d(4, 6, 4, 3, 2, 2, 2))),
        case("max_pool2d(2)", (5, 6, 3), one(nn.MaxPool2d(2))),
        case("max_pool2d(3x2, stride=2x1, padding=1)", (6, 5, 2), one(nn.MaxPool2d((3, 2), (2, 1), 1))),
        case("avg_pool2d(2)", (5, 6, 3), one(nn.AvgPool2d(2))),
        case("avg_pool2d(3, stride=2, padding=1)", (6, 7, 2), one(nn.AvgPool2d(3, 2, 1))),
        case("avg_pool2d(3, stride=2, padding=1, counts_padding=false)", (6, 7, 2), one(nn.AvgPool2d(3, 2, 1, count_include_pad=False))),
        case("adaptive_avg_pool2d(1)", (4, 5, 3), one(nn.AdaptiveAvgPool2d(1))),
        case("adaptive_avg_pool2d(3x4)", (7, 5, 2), one(nn.AdaptiveAvgPool2d((3, 4)))),
        case("layer_norm", (4, 5), Last(nn.LayerNorm(5))),
        case("layer_norm(0.1, affine=false)", (6,), Last(nn.LayerNorm(6, 0.1, False))),
        case("layer_norm(bias=false)", (6,), Last(nn.LayerNorm(6, bias=False))),
        case("rms_norm(1e-6)", (3, 5), Last(nn.RMSNorm(5, 1e-6))),
        case("group_norm(2)", (3, 4, 6), one(nn.GroupNorm(2, 6))),
        case("group_norm(4, affine=false)", (5, 4), one(nn.GroupNorm(4, 4, affine=False))),
        case("conv2d(3, 3, padding=1) relu max_pool2d(2) flatten linear(4)", (6, 4, 2),
             nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 4))),
    ],
}
text = json.dumps(result, indent=1)
print(re.sub(r"\[[^\[\]{}]*\]", lambda numbers: " ".join(numbers.group().split()), text))
