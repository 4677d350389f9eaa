#!/usr/bin/env python3
"""Writes sequence_values.json: what PyTorch computes in double precision for layers over sequences of tokens, result and every gradient.
Rows are [T, C], or token numbers [T]; parameters are named and laid out as PyTorch's. Needs torch; the tests read the file and need
nothing.   usage: sequence_values.py > sequence_values.json"""
import json
import re

import torch
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(11)
ROWS = 2


def plain(tensor):
    return [round(float(v), 15) for v in tensor.detach().flatten()]


class Attention(nn.Module):
    def __init__(self, width, heads, causal):
        super().__init__()
        self.add_module("0", nn.MultiheadAttention(width, heads, batch_first=True))
        self.causal = causal

    def forward(self, x):
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1) if self.causal else None
        return self.get_submodule("0")(x, x, x, attn_mask=mask, need_weights=False)[0]


class Block(nn.Module):
    def __init__(self, width, heads, hidden, pre=False, causal=False, activation="relu"):
        super().__init__()
        self.add_module("0", nn.TransformerEncoderLayer(width, heads, hidden, dropout=0.0, activation=activation, batch_first=True, norm_first=pre))
        self.causal = causal

    def forward(self, x):
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1) if self.causal else None
        return self.get_submodule("0")(x, src_mask=mask)


class Recurrent(nn.Module):
    def __init__(self, layer, last=False):
        super().__init__()
        self.add_module("0", layer)
        self.last = last

    def forward(self, x):
        y = self.get_submodule("0")(x)[0]
        return y[:, -1] if self.last else y


class Positions(nn.Module):
    def __init__(self, time, width):
        super().__init__()
        self.add_module("0", nn.Embedding(time, width))

    def forward(self, x):
        return x + self.get_submodule("0").weight


class Model(nn.Module):
    """Names as those of model.kind = transformer."""

    def __init__(self, tokens, time, width, heads, hidden, depth, pre, tied):
        super().__init__()
        self.embedding, self.positions = nn.Embedding(tokens, width), nn.Embedding(time, width)
        layer = nn.TransformerEncoderLayer(width, heads, hidden, dropout=0.0, activation="gelu", batch_first=True, norm_first=pre)
        self.encoder = nn.TransformerEncoder(layer, depth, norm=nn.LayerNorm(width) if pre else None, enable_nested_tensor=False)
        self.head = nn.Linear(width, tokens)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, x):
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        return self.head(self.encoder(self.embedding(x) + self.positions.weight, mask=mask))


def case(what, row, model, tokens=0):
    """what: our layers, or the keys of [model]; row: shape of a row; tokens: above 0, rows are token numbers below it."""
    x = torch.randint(0, tokens, (ROWS, *row)) if tokens else torch.randn(ROWS, *row).requires_grad_()
    for p in model.parameters():  # norms start at 1 and 0, which hides a great deal
        nn.init.normal_(p, 0.0, 0.7)
    y = model(x)
    dy = torch.randn_like(y)
    y.backward(dy)
    return {**what, "row": list(row), "tokens": tokens, "x": plain(x), "y": plain(y), "dy": plain(dy), "dx": [] if tokens else plain(x.grad),
            "parameters": {n: plain(p) for n, p in model.named_parameters()}, "gradients": {n: plain(p.grad) for n, p in model.named_parameters()}}


layers = lambda text: {"layers": text}
result = {
    "torch": torch.__version__,
    "rows": ROWS,
    "cases": [
        case(layers("embedding(7, 5)"), (9,), nn.Sequential(nn.Embedding(7, 5)), 7),
        case(layers("positions"), (4, 3), Positions(4, 3)),
        case(layers("attention(1)"), (5, 4), Attention(4, 1, False)),
        case(layers("attention(3)"), (7, 12), Attention(12, 3, False)),
        case(layers("attention(2, causal=true)"), (7, 10), Attention(10, 2, True)),
        case(layers("attention(2, causal=true)"), (70, 4), Attention(4, 2, True)),
        case(layers("transformer_block(2, 9)"), (6, 8), Block(8, 2, 9)),
        case(layers("transformer_block(2, 9, causal=true, gelu=true)"), (6, 8), Block(8, 2, 9, False, True, "gelu")),
        case(layers("transformer_block(4, 5, pre_norm=true)"), (5, 8), Block(8, 4, 5, True)),
        case(layers("transformer_block(1, 16, pre_norm=true, causal=true, gelu=true)"), (6, 4), Block(4, 1, 16, True, True, "gelu")),
        case(layers("lstm(6)"), (5, 4), Recurrent(nn.LSTM(4, 6, batch_first=True))),
        case(layers("lstm(35) last"), (3, 2), Recurrent(nn.LSTM(2, 35, batch_first=True), True)),
        case(layers("gru(5)"), (6, 3), Recurrent(nn.GRU(3, 5, batch_first=True))),
        case(layers("gru(33) last"), (2, 4), Recurrent(nn.GRU(4, 33, batch_first=True), True)),
    ],
    "models": [
        case({"norm": "pre", "tied": False, "depth": 2, "heads": 2, "width": 6, "feed_forward": 10}, (8,), Model(11, 8, 6, 2, 10, 2, True, False), 11),
        case({"norm": "post", "tied": True, "depth": 1, "heads": 1, "width": 4, "feed_forward": 7}, (5,), Model(9, 5, 4, 1, 7, 1, False, True), 9),
    ],
}
text = json.dumps(result, indent=1)
print(re.sub(r"\[[^\[\]{}]*\]", lambda numbers: " ".join(numbers.group().split()), text))
