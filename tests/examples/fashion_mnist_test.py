"""The Fashion-MNIST recipes on the first pictures of the real data: they learn, with the same bits on 1, 2 and 4 ranks.
usage: fashion_mnist_test.py CHORALE SOURCE      CHORALE_DATA: the folder above fashion_mnist/"""
import gzip
import json
import os
import struct
import subprocess
import sys
import tempfile

CHORALE, SOURCE = sys.argv[1:]
DATA = os.path.join(os.environ.get("CHORALE_DATA", ""), "fashion_mnist")
ROWS = {"train": 4000, "t10k": 1000}
LEARNT = {"mlp": 0.75, "cnn": 0.70, "resnet": 0.62}  # after so few pictures; 0.80, 0.76 and 0.73 were measured, 0.1 is chance

if not os.path.isdir(DATA):
    print(f"CHORALE_SKIP Fashion-MNIST: CHORALE_DATA names no folder above fashion_mnist/ ('{os.environ.get('CHORALE_DATA', '')}')")
    sys.exit(4)


def cut(part, kind, to):
    """The first rows of one of the four files."""
    name = f"{part}-{'images-idx3' if kind == 'images' else 'labels-idx1'}-ubyte"
    with gzip.open(os.path.join(DATA, name + ".gz")) as file:
        data = file.read()
    dimensions = data[3]
    begin = 4 + 4 * dimensions
    rows, *rest = struct.unpack(f">{dimensions}I", data[4:begin])
    size = (len(data) - begin) // rows
    with gzip.open(os.path.join(to, name + ".gz"), "wb") as file:
        file.write(data[:4] + struct.pack(f">{dimensions}I", ROWS[part], *rest) + data[begin:begin + ROWS[part] * size])


def train(network, ranks, epochs, folder):
    run = os.path.join(folder, f"{network}{ranks}")
    done = subprocess.run([CHORALE, "train", os.path.join(SOURCE, f"examples/recipes/fashion_mnist_{network}.ini"), "-n", str(ranks), "--launch",
                           "threads", "--data.dir", folder, "--epochs", str(epochs), "--run-dir", run, "--quiet"], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"fashion_mnist_test.py: {network} on {ranks} ranks: code {done.returncode}\n{done.stderr}")
    with open(os.path.join(run, "summary.json")) as file:
        return json.load(file)


with tempfile.TemporaryDirectory() as folder:
    for part in ROWS:
        for kind in ("images", "labels"):
            cut(part, kind, folder)
    for network, epochs in (("mlp", 5), ("cnn", 2), ("resnet", 3)):
        runs = [train(network, ranks, epochs, folder) for ranks in (1, 2, 4)]
        hashes = {run["parameters_hash"] for run in runs}
        assert len(hashes) == 1, f"{network}: other bits on 1, 2 and 4 ranks: {hashes}"
        accuracy = runs[0]["metrics"]["test"]["accuracy"]
        print(f"{network}: {accuracy} of the test pictures after {epochs} passes over {ROWS['train']}")
        assert accuracy > LEARNT[network], f"{network} has learnt too little"
