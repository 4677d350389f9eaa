#!/usr/bin/env python3
"""Writes sklearn_metrics.json: what scikit-learn gives for rows with ties, sample weights and absent classes. Needs scikit-learn; the
tests read the file and need nothing.   usage: sklearn_metrics.py > sklearn_metrics.json"""
import json
import re

import numpy as np
from sklearn import metrics as m

random = np.random.default_rng(3)


def averaged(y, given, w):
    return {f"{a}_f1": m.f1_score(y, given, average=a, sample_weight=w, zero_division=0) for a in ("macro", "micro", "weighted")}


def binary(weighted):
    rows = 61
    y = random.integers(0, 2, rows)
    p = np.round(np.clip(0.3 * y + random.random(rows) * 0.7, 0, 1), 2)  # two digits: many ties, some at 0.5
    w = random.random(rows) + 0.1 if weighted else np.ones(rows)
    given = (p > 0.5).astype(int)
    bins = np.minimum((p * 10).astype(int), 9)
    calibration = sum(abs((w * p)[bins == b].sum() - (w * y)[bins == b].sum()) for b in range(10)) / w.sum()  # no function of the library
    return {"outputs": 1, "task": "binary", "prediction": p.tolist(), "target": y.tolist(), "weight": w.tolist() if weighted else [], "scores": {
        "accuracy": m.accuracy_score(y, given, sample_weight=w), "precision": m.precision_score(y, given, sample_weight=w),
        "recall": m.recall_score(y, given, sample_weight=w), "f1": m.f1_score(y, given, sample_weight=w),
        "auc": m.roc_auc_score(y, p, sample_weight=w), "average_precision": m.average_precision_score(y, p, sample_weight=w),
        "log_loss": m.log_loss(y, p, sample_weight=w), "perplexity": np.exp(m.log_loss(y, p, sample_weight=w)), "brier": m.brier_score_loss(y, p, sample_weight=w),
        "confusion": m.accuracy_score(y, given, sample_weight=w), "calibration": calibration, "top2_accuracy": 1.0, **averaged(y, given, w)},
        "matrix": m.confusion_matrix(y, given, sample_weight=w).tolist()}


def classes(weighted):
    rows, c = 83, 4
    y = random.integers(0, c, rows)
    z = random.normal(size=(rows, c)) + 1.5 * np.eye(c)[y]
    z[:, 2] -= 9  # a class that is never given
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    w = random.random(rows) + 0.1 if weighted else np.ones(rows)
    given, hot = p.argmax(1), np.eye(c)[y]
    macro = dict(average="macro", sample_weight=w, zero_division=0)
    return {"outputs": c, "task": "classes", "prediction": p.ravel().tolist(), "target": y.tolist(), "weight": w.tolist() if weighted else [],
        "scores": {
            "accuracy": m.accuracy_score(y, given, sample_weight=w), "precision": m.precision_score(y, given, **macro),
            "recall": m.recall_score(y, given, **macro), "f1": m.f1_score(y, given, **macro),
            "auc": np.mean([m.roc_auc_score(hot[:, k], p[:, k], sample_weight=w) for k in range(c)]),
            "average_precision": np.mean([m.average_precision_score(hot[:, k], p[:, k], sample_weight=w) for k in range(c)]),
            "log_loss": m.log_loss(y, p, sample_weight=w), "perplexity": np.exp(m.log_loss(y, p, sample_weight=w)), "brier": np.average(((p - hot) ** 2).sum(1), weights=w),
            "confusion": m.accuracy_score(y, given, sample_weight=w), **averaged(y, given, w),
            **{f"top{k}_accuracy": m.top_k_accuracy_score(y, p, k=k, sample_weight=w, labels=range(c)) for k in (2, 3)},
            "top5_accuracy": 1.0, "top10_accuracy": 1.0},
        "matrix": m.confusion_matrix(y, given, sample_weight=w).tolist()}


def value(weighted):
    rows = 47
    y = 2000 + 3 * random.normal(size=rows)  # years: far from 0, so that a careless variance cancels
    p = y + random.normal(size=rows)
    w = random.random(rows) + 0.1 if weighted else None
    return {"outputs": 1, "task": "value", "prediction": p.tolist(), "target": y.tolist(), "weight": w.tolist() if weighted else [], "scores": {
        "rmse": m.mean_squared_error(y, p, sample_weight=w) ** 0.5, "mae": m.mean_absolute_error(y, p, sample_weight=w),
        "r2": m.r2_score(y, p, sample_weight=w), "mape": m.mean_absolute_percentage_error(y, p, sample_weight=w),
        "rmsle": m.mean_squared_log_error(y, p, sample_weight=w) ** 0.5,
        # no functions of the library
        "smape": np.average(2 * abs(y - p) / (abs(y) + abs(p)), weights=w), "wape": np.average(abs(y - p), weights=w) / np.average(y, weights=w)}}


text = json.dumps([make(weighted) for make in (binary, classes, value) for weighted in (False, True)], indent=1)
print(re.sub(r"\[[^\[\]{}]*\]", lambda numbers: " ".join(numbers.group().split()), text))
