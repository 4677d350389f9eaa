"""Confirms truth.json of a generated shop with models of another library.

    python tests/golden/shop_attainable.py SHOP_FOLDER [boosting]     (needs numpy, pandas, scikit-learn)

Prints, for each task, the attainable AUC that the generator states, and the five-fold out-of-fold AUC of gradient boosting,
logistic regression and a small network, each on the table's own columns without ids.
`boosting` leaves the other two out, for large draws that show the limit rather than what few rows allow.
"""
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

SKEWED = {"pages", "seconds", "visits_per_month", "unit_price"}


def columns(table, target):
    x = table.drop(columns=[c for c in table if c.endswith("_id")] + [target])
    for name in [c for c in x if c.endswith("date")]:
        x[name] = pd.to_datetime(x[name]).dt.dayofyear
    return x


def encoded(x, model):
    words = [c for c in x if not pd.api.types.is_numeric_dtype(x[c])]
    skewed = [c for c in x if c in SKEWED]
    numbers = [c for c in x if c not in words and c not in skewed]
    fill = lambda: SimpleImputer(add_indicator=True)
    return make_pipeline(ColumnTransformer([
        ("words", OneHotEncoder(handle_unknown="ignore"), words),
        ("skewed", make_pipeline(fill(), FunctionTransformer(np.log1p), StandardScaler()), skewed),
        ("numbers", make_pipeline(fill(), StandardScaler()), numbers)]), model)


def boosting(x):
    words = [c for c in x if not pd.api.types.is_numeric_dtype(x[c])]
    codes = x.assign(**{c: x[c].astype("category") for c in words})
    return codes, HistGradientBoostingClassifier(
        learning_rate=0.04, max_iter=600, max_leaf_nodes=12, min_samples_leaf=25, l2_regularization=2, max_features=0.5,
        early_stopping=True, n_iter_no_change=30, categorical_features="from_dtype", random_state=1)


def main(folder, boosting_only):
    warnings.filterwarnings("ignore")
    truth = json.loads((folder / "truth.json").read_text())["tasks"]
    print("task      rows    rate   attainable boosting logistic network network's share of (attainable - 0.5)")
    for name, task in truth.items():
        table = pd.read_csv(folder / task["table"])
        x, y = columns(table, task["target"]), table[task["target"]]
        folds = StratifiedKFold(5, shuffle=True, random_state=1)
        auc = lambda model, x: roc_auc_score(y, cross_val_predict(model, x, y, cv=folds, method="predict_proba")[:, 1])
        codes, trees = boosting(x)
        best = task["auc_attainable"]
        if boosting_only:
            print(f"{name:9} {len(y):6} {y.mean():6.3f} {best:11.4f} {auc(trees, codes):8.4f}", flush=True)
            continue
        network = MLPClassifier((64, 32), alpha=0.01, early_stopping=True, n_iter_no_change=8, max_iter=100, random_state=1)
        a, b, c = auc(trees, codes), auc(encoded(x, LogisticRegression(max_iter=2000)), x), auc(encoded(x, network), x)
        print(f"{name:9} {len(y):6} {y.mean():6.3f} {best:11.4f} {a:8.4f} {b:8.4f} {c:7.4f} {(c - 0.5) / (best - 0.5):7.3f}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), "boosting" in sys.argv[2:])
