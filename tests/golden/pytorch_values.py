#!/usr/bin/env python3
"""Writes pytorch_values.json: what PyTorch computes in double precision for a two-layer network, and for each of our activations,
losses and optimisers alone. Needs torch; the tests read the file and need nothing.   usage: pytorch_values.py > pytorch_values.json"""
import json
import re

import torch

torch.set_default_dtype(torch.float64)
torch.manual_seed(4)


def plain(tensor):
    return [float(v) for v in tensor.detach().flatten()]


def network(rule, **options):
    """5-4-1 with tanh, binary cross-entropy of six samples with weights, five updates on all of them."""
    model = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    x, y, w = torch.randn(6, 5), torch.tensor([0.0, 1, 1, 0, 1, 0]), torch.rand(6) + 0.5
    out = {"x": plain(x), "target": plain(y), "weight": plain(w), "start": {n: plain(p) for n, p in model.named_parameters()}}
    optimizer = rule(model.parameters(), **options)
    for step in range(5):
        optimizer.zero_grad()
        logits = model(x).flatten()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, y, weight=w, reduction="sum") / w.sum()
        loss.backward()
        if step == 0:
            out |= {"logits": plain(logits), "loss": loss.item(), "gradients": {n: plain(p.grad) for n, p in model.named_parameters()}}
        optimizer.step()
    out["end"] = {n: plain(p) for n, p in model.named_parameters()}
    return out


def activation(layer):
    x = torch.cat([torch.linspace(-9, 9, 37) + 0.01, torch.tensor([-30.0, -1e-3, 1e-3, 30.0])]).requires_grad_()
    y = layer(x)
    y.sum().backward()
    return {"x": plain(x), "y": plain(y), "dx": plain(x.grad)}


def loss(function, columns, target, weight_of):
    z = (3 * torch.randn(7, columns)).requires_grad_()
    weight = torch.rand(7) + 0.1
    total = (function(z, target) * weight * weight_of(target)).sum()
    total.backward()
    return {"columns": columns, "z": plain(z), "target": plain(target), "weight": plain(weight), "total": total.item(), "dz": plain(z.grad)}


def optimiser(name, rule, **options):
    p = torch.randn(9).requires_grad_()
    gradients = [torch.randn(9) for _ in range(6)]
    words = {k: v for k, v in options.items() if k != "betas"} | dict(zip(["beta1", "beta2"], options.get("betas", ())))
    out = {"name": name, "options": words, "start": plain(p), "gradients": [plain(g) for g in gradients]}
    steps = rule([p], **options)
    for g in gradients:
        p.grad = g.clone()
        steps.step()
    return out | {"end": plain(p)}


F, O = torch.nn.functional, torch.optim
ids, truth, values = torch.tensor([0, 2, 1, 4, 3, 2, 0]), torch.tensor([0.0, 1, 1, 0, 1, 0, 1]), torch.randn(7)
one = lambda target: torch.ones(7)
two_classes, five_classes = torch.tensor([0.7, 2.5]), torch.tensor([0.5, 1, 2, 3, 0.1])
result = {
    "torch": torch.__version__,
    "networks": {"sgd": network(O.SGD, lr=0.1, momentum=0.9, nesterov=True), "adam": network(O.Adam, lr=0.01)},
    "activations": {
        "relu": activation(torch.nn.ReLU()), "leaky_relu": activation(torch.nn.LeakyReLU()), "leaky_relu(0.2)": activation(torch.nn.LeakyReLU(0.2)),
        "elu": activation(torch.nn.ELU()), "elu(0.5)": activation(torch.nn.ELU(0.5)), "gelu": activation(torch.nn.GELU()),
        "sigmoid": activation(torch.nn.Sigmoid()), "tanh": activation(torch.nn.Tanh()), "softmax": activation(torch.nn.Softmax(0)),
    },
    "losses": {
        "binary_cross_entropy": loss(lambda z, t: F.binary_cross_entropy_with_logits(z[:, 0], t, reduction="none"), 1, truth,
                                     lambda t: two_classes[t.long()]) | {"class_weights": plain(two_classes)},
        "cross_entropy": loss(lambda z, t: F.cross_entropy(z, t, reduction="none"), 5, ids, lambda t: five_classes[t])
        | {"class_weights": plain(five_classes)},
        "mse": loss(lambda z, t: F.mse_loss(z[:, 0], t, reduction="none"), 1, values, one),
        "mae": loss(lambda z, t: F.l1_loss(z[:, 0], t, reduction="none"), 1, values, one),
        "huber": loss(lambda z, t: F.huber_loss(z[:, 0], t, reduction="none", delta=0.8), 1, values, one),
    },
    "optimisers": [
        optimiser("sgd", O.SGD, lr=0.1),
        optimiser("sgd", O.SGD, lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.05),
        optimiser("sgd", O.SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.05),
        optimiser("adam", O.Adam, lr=0.01),
        optimiser("adam", O.Adam, lr=0.01, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1),
        optimiser("adamw", O.AdamW, lr=0.01, weight_decay=0.1),
        optimiser("rmsprop", O.RMSprop, lr=0.01),
        optimiser("rmsprop", O.RMSprop, lr=0.01, alpha=0.9, eps=1e-4, momentum=0.7, weight_decay=0.1),
        optimiser("adagrad", O.Adagrad, lr=0.05, eps=1e-8),
        optimiser("adagrad", O.Adagrad, lr=0.05, eps=1e-3, weight_decay=0.1),
    ],
}
text = json.dumps(result, indent=1)
print(re.sub(r"\[[^\[\]{}]*\]", lambda numbers: " ".join(numbers.group().split()), text))
