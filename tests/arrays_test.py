"""Images and labels as IDX and NPY files train, score and predict, with the same bits on any ranks; files that are wrong say where.
usage: arrays_test.py CHORALE"""
import gzip
import json
import os
import random
import struct
import subprocess
import sys
import tempfile

CHORALE = sys.argv[1]
SIDE, CLASSES = 8, 3
RECIPE = """
[data]
format = idx
dir = images
augment = flip crop(1) cutout(2)
validation = 0.2
[model]
layers = conv2d(4, 3, padding=1) relu max_pool2d(2) flatten dropout(0.1) linear(16) relu linear(3)
[train]
loss = cross_entropy
batch = 48
epochs = 6
metrics = accuracy top2_accuracy macro_f1
[parallel]
virtual_workers = 4
[optimizer]
name = adam
lr = 0.01
"""


def images(rows, seed):
    """Noise with a bright bar, lying, standing or slanting. Labels are 2, 5 and 9: classes need not be 0, 1, 2."""
    draw = random.Random(seed)
    out, labels = bytearray(), bytearray()
    for _ in range(rows):
        kind, place = draw.randrange(CLASSES), draw.randrange(SIDE)
        labels.append((2, 5, 9)[kind])
        for y in range(SIDE):
            for x in range(SIDE):
                on = (y == place, x == place, (x + y) % SIDE == place)[kind]
                out.append(draw.randrange(180, 256) if on else draw.randrange(0, 120))
    return bytes(out), bytes(labels)


def idx(data, *extents):
    return struct.pack(">BBBB", 0, 0, 8, len(extents)) + struct.pack(f">{len(extents)}I", *extents) + data


def npy(descr, data, *extents):
    header = repr({"descr": descr, "fortran_order": False, "shape": tuple(extents)})
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + data


def write(path, data):
    opened = gzip.open(path, "wb") if path.endswith(".gz") else open(path, "wb")
    with opened as file:
        file.write(data)


def run(*words, code=0):
    done = subprocess.run([CHORALE, *map(str, words)], capture_output=True, text=True)
    if done.returncode != code:
        raise SystemExit(f"arrays_test.py: chorale {' '.join(map(str, words))}: code {done.returncode}, expected {code}\n{done.stderr}")
    return done


def train(ranks, name, *flags):
    run("train", "recipe.ini", "-n", ranks, "--launch", "threads", "--run-dir", name, "--quiet", *flags)
    with open(f"{name}/summary.json") as file:
        return json.load(file)


def refused(code, *parts, flags=()):
    words = run("train", "recipe.ini", "-n", 2, "--launch", "threads", "--run-dir", "refused", "--overwrite", *flags, code=code).stderr
    for part in parts:
        assert part in words, f"expected '{part}' in:\n{words}"


def same(a, b, what):
    assert a == b, f"{what}: {a} and {b}"


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    os.mkdir("images")
    x, y = images(600, 1)
    tx, ty = images(200, 2)
    names = {"train-images-idx3-ubyte.gz": idx(x, 600, SIDE, SIDE), "train-labels-idx1-ubyte": idx(y, 600),
             "t10k-images-idx3-ubyte": idx(tx, 200, SIDE, SIDE), "t10k-labels-idx1-ubyte.gz": idx(ty, 200)}
    for name, data in names.items():
        write("images/" + name, data)
    write("recipe.ini", RECIPE.encode())

    one = train(1, "one")
    for ranks in (2, 4):
        same(train(ranks, f"on{ranks}")["parameters_hash"], one["parameters_hash"], f"1 and {ranks} ranks")
    assert one["metrics"]["test"]["accuracy"] > 0.8, one["metrics"]
    assert one["metrics"]["test"]["top2_accuracy"] >= one["metrics"]["test"]["accuracy"], one["metrics"]
    plain = train(2, "plain", "--data.augment", "")
    assert plain["parameters_hash"] != one["parameters_hash"], "augmentation changes nothing"

    # A run that goes on has the bits of one that was never interrupted, at another number of ranks.
    train(2, "part", "--steps", 30)
    same(train(4, "part", "--resume")["parameters_hash"], one["parameters_hash"], "a run in two parts")

    # The same rows as arrays of NumPy: bytes, and the same numbers as floats, which have the channel and another type.
    write("x.npy", npy("|u1", x, 600, SIDE, SIDE, 1)), write("tx.npy", npy("|u1", tx, 200, SIDE, SIDE, 1))
    write("y.npy", npy("<i8", struct.pack("<600q", *y), 600)), write("ty.npy", npy("<f4", struct.pack("<200f", *ty), 200))
    write("fx.npy", npy("<f8", struct.pack(f"<{len(x)}d", *x), 600, SIDE, SIDE))
    write("ftx.npy", npy("<f8", struct.pack(f"<{len(tx)}d", *tx), 200, SIDE, SIDE))
    arrays = ["--data.format", "npy", "--data.dir", "", "--data.labels", "y.npy", "--data.test_labels", "ty.npy"]
    as_bytes = train(2, "npy", *arrays, "--data.file", "x.npy", "--data.test_file", "tx.npy")
    same(as_bytes["parameters_hash"], one["parameters_hash"], "idx and npy")
    numbers = train(2, "floats", *arrays, "--data.file", "fx.npy", "--data.test_file", "ftx.npy", "--data.shape", "8x8x1")
    assert numbers["metrics"]["test"]["accuracy"] > 0.8, numbers["metrics"]
    by_split = train(2, "split", "--data.dir", "", "--data.file", "images/train-images-idx3-ubyte.gz", "--data.labels",
                     "images/train-labels-idx1-ubyte", "--data.split", "stratified 0.6 0.2 0.2", "--data.validation", "0.1", "--data.scale", "minmax")
    assert by_split["metrics"]["test"]["accuracy"] > 0.7, by_split["metrics"]

    # Scores and predictions of the trained model.
    own = json.loads(run("eval", "one", "--json").stdout)
    same(own["metrics"]["accuracy"], one["metrics"]["test"]["accuracy"], "eval of the test rows")
    write("more-images-idx3-ubyte", names["t10k-images-idx3-ubyte"]), write("more-labels-idx1-ubyte", idx(ty, 200))
    more = json.loads(run("eval", "one", "--file", "more-images-idx3-ubyte", "--json").stdout)
    same(more["metrics"], own["metrics"], "eval of a file")
    run("eval", "npy", "--file", "tx.npy", "--labels", "ty.npy")
    run("eval", "npy", "--file", "tx.npy", code=64)
    os.remove("more-labels-idx1-ubyte")
    run("predict", "one", "--file", "more-images-idx3-ubyte", "--out", "out.csv")
    lines = open("out.csv").read().split()
    same(lines[0], "probability,class", "header of predictions")
    hits = sum(int(line.split(",")[1]) == label for line, label in zip(lines[1:], ty, strict=True))
    same(hits / 200, own["metrics"]["accuracy"], "predicted classes")
    assert "[8, 8, 1]" not in run("predict", "one", "--file", "more-images-idx3-ubyte", "--out", "out.csv").stderr
    assert "has rows of [8, 8] f64" in run("predict", "npy", "--file", "ftx.npy", "--out", "o.csv", code=65).stderr
    assert json.loads(run("inspect", "recipe.ini", "--json").stdout)["data"]["classes"] == ["2", "5", "9"]

    # Numbers that single precision cannot tell apart before they are scaled: 1.7e9 and a few seconds.
    draw = random.Random(3)
    moments = [1.7e9 + 5 * draw.randrange(-20, 21) for _ in range(600)]
    write("t.npy", npy("<f8", struct.pack("<600d", *moments), 600, 1)), write("late.npy", npy("|u1", bytes(t > 1.7e9 for t in moments), 600))
    rows = ["--data.format", "npy", "--data.dir", "", "--data.augment", "", "--data.file", "t.npy", "--data.labels", "late.npy", "--data.validation", "0.1",
            "--model.layers", "linear(8) relu linear(2)", "--train.metrics", "accuracy", "--epochs", "30"]
    late = train(2, "late", *rows)
    assert late["metrics"]["test"]["accuracy"] > 0.95, late["metrics"]
    moments[7] = 1e300
    write("t.npy", npy("<f8", struct.pack("<600d", *moments), 600, 1))
    refused(65, "t.npy: row 7, at byte", "holds 1e+300, which is too large for train.dtype", flags=[*rows, "--data.scale", "none"])

    # A model that reads [8, 8, 1] does not score [1, 8, 8]; a glob means one file; a class beyond int64 is none; packed rows find plain labels.
    write("chw.npy", npy("|u1", tx, 200, 1, SIDE, SIDE))
    assert "has rows of [1, 8, 8] u8, the model reads [8, 8, 1]" in run("eval", "npy", "--file", "chw.npy", "--labels", "ty.npy", code=65).stderr
    assert "data.file = ?x.npy names 2 files; an array is one" in run("predict", "npy", "--file", "?x.npy", "--out", "o.csv", code=64).stderr
    assert "data.labels must name a readable file" in run("eval", "npy", "--file", "tx.npy", "--labels", "nowhere.npy", code=65).stderr
    write("large.npy", npy("<u8", struct.pack("<200Q", 1 << 63, *ty[1:]), 200))
    assert "holds 9223372036854775808, which is too large for a class" in run("eval", "npy", "--file", "tx.npy", "--labels", "large.npy", code=65).stderr
    write("beside-images-idx3-ubyte.gz", names["t10k-images-idx3-ubyte"]), write("beside-labels-idx1-ubyte", idx(ty, 200))
    run("eval", "one", "--file", "beside-images-idx3-ubyte.gz")

    # What is wrong is said with file, place and remedy; 65 is the data's, 64 the recipe's.
    def damaged(name, data, *parts):
        was = open("images/" + name, "rb").read()
        with open("images/" + name, "wb") as file:
            file.write(data)
        refused(65, "images/" + name, *parts)
        with open("images/" + name, "wb") as file:
            file.write(was)

    packed = gzip.compress(names["train-images-idx3-ubyte.gz"])
    damaged("train-images-idx3-ubyte.gz", packed[:900], "cut short", "fetch or pack the file again")
    damaged("t10k-images-idx3-ubyte", names["t10k-images-idx3-ubyte"][:-1], "from byte 16 on", "the file was cut")
    damaged("t10k-images-idx3-ubyte", idx(tx, 200, SIDE * SIDE), "has rows of [64]", "both must be alike")
    damaged("t10k-images-idx3-ubyte", b"label,pixel\n", "an IDX file was expected", "at byte 0")
    damaged("train-labels-idx1-ubyte", idx(y[:-1], 599), "expected one label a row, [600]")
    damaged("t10k-labels-idx1-ubyte.gz", gzip.compress(idx(ty[:-1] + b"\7", 200)), "row 199, at byte 207, has class 7")
    bad = bytearray(struct.pack(f"<{len(x)}d", *x))
    bad[8 * 70:8 * 71] = struct.pack("<d", float("nan"))
    write("nan.npy", npy("<f8", bytes(bad), 600, SIDE, SIDE, 1))
    refused(65, "nan.npy: row 1, at byte", "holds NaN", flags=[*arrays, "--data.test_labels", "", "--data.validation", "0.1", "--data.file",
                                                              "nan.npy"])
    refused(65, "there is no such file", "data.dir must hold", flags=["--data.dir", "."])
    refused(64, "data.separator does nothing with data.format = idx", flags=["--data.separator", ";"])
    refused(64, "data.dir does nothing with data.format = csv", flags=["--data.format", "csv", "--data.augment", ""])
    refused(64, "data.split does nothing", flags=["--data.split", "random 0.8 0.2"])
    refused(64, "data.memory leaves 10.0 KB", flags=["--data.memory", "10KB"])
    refused(64, "data.shape = 4x4x1 has 16 numbers", flags=["--data.shape", "4x4x1"])
print("arrays: same bits on 1, 2 and 4 ranks, as idx and npy; scores, predictions and refusals are right")
