"""The tables of examples/recipes/collab_retail are made of the past: later lines may change, and earlier rows stay. Then they train.
usage: collab_retail_test.py CHORALE SOURCE"""
import csv
import datetime
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

CHORALE, SOURCE = sys.argv[1:]
EXAMPLE = os.path.join(SOURCE, "examples/recipes/collab_retail")
TURN = datetime.datetime(2011, 6, 6)  # lines from here on differ; a Monday
WINDOW = {"repurchase": 28, "returns": 28, "recommendation": 28, "demand": 7}
LABEL = {"repurchase": "buys_again", "returns": "comes_back", "recommendation": "is_bought", "demand": "log_pieces"}


def write_lines(path, later_seed):
    """Some 25 customers who order now and then of 12 products, and send some back."""
    draw = random.Random(1)
    with open(path, "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"])
        time, invoice = datetime.datetime(2010, 12, 1, 9), 500000
        while time < datetime.datetime(2011, 12, 9):
            if time >= TURN and later_seed is not None:
                draw, later_seed = random.Random(later_seed), None
            customer = 12000 + int(25 * draw.random() ** 2)
            products = draw.sample(range(12), draw.randint(1, 4))
            for kind in ("", "C") if draw.random() < 0.3 else ("",):
                for p in products:
                    pieces = draw.randint(1, 9) * (-1 if kind else 1)
                    when = time + datetime.timedelta(hours=5 if kind else 0)
                    out.writerow([f"{kind}{invoice}", 20000 + p, "THING", pieces, when, 1.5 + p, customer, "United Kingdom"])
                invoice += 1
            time += datetime.timedelta(hours=draw.randint(1, 9))


def tables(folder, later_seed=None):
    write_lines(os.path.join(folder, "lines.csv"), later_seed)
    subprocess.run([sys.executable, os.path.join(EXAMPLE, "prepare.py"), "lines.csv", "retail"], cwd=folder, check=True)
    return {name: list(csv.DictReader(open(os.path.join(folder, "retail", name + ".csv")))) for name in LABEL}


def at(row):
    return datetime.datetime.fromisoformat(row["time"])


def features(rows, name, last):
    return [{k: v for k, v in row.items() if k != LABEL[name]} for row in rows if at(row) <= last]


with tempfile.TemporaryDirectory() as folder:
    for file in os.listdir(EXAMPLE):
        shutil.copy(os.path.join(EXAMPLE, file), folder)
    other, here = tables(folder, later_seed=2), tables(folder)
    for name, rows in here.items():
        window = datetime.timedelta(days=WINDOW[name])
        last = TURN - datetime.timedelta(seconds=1) if name == "returns" else TURN  # an order at that time is a changed line itself
        assert len(rows) > 200 and len({row[LABEL[name]] for row in rows}) > 1, f"{name}: {len(rows)} rows"
        assert features(rows, name, last) == features(other[name], name, last), f"{name}: a row has features, or exists, by later lines"
        assert [r for r in rows if at(r) + window <= TURN] == [r for r in other[name] if at(r) + window <= TURN], f"{name}: labels"
        assert rows != other[name], f"{name}: nothing has changed"
        for cut in (datetime.datetime(2011, 8, 15), datetime.datetime(2011, 10, 3)):
            assert not any(at(r) < cut < at(r) + window for r in rows), f"{name}: a label looks past {cut}"
    subprocess.run([CHORALE, "collab", "train", "retail.ini", "--launch", "threads", "--run-dir", "run", "--quiet", "--collab.every", "5",
                    "--collab.steps_per_tick", "repurchase:5 returns:5 recommendation:5 demand:5"], cwd=folder, check=True)
    with open(os.path.join(folder, "run/summary.json")) as file:
        tasks = json.load(file)["tasks"]
    assert sorted(tasks) == sorted(LABEL), tasks.keys()
    for name, task in tasks.items():
        assert task["metrics"]["test"]["loss"] > 0 and task["test_entities_peers_trained_on"] > 0, f"{name}: {task}"
