"""Fashion-MNIST's idx files as one CSV that a recipe reads: label, part (train or test) and 784 pixels a row.

  python3 tests/bench/fashion_csv.py FOLDER      writes FOLDER/fashion.csv from CHORALE_DATA/fashion_mnist, unless it is there
"""
import gzip
import os
import sys

import numpy

PARTS = {"train": "train", "test": "t10k"}


def idx(path, offset, shape):
    with gzip.open(path) as file:
        return numpy.frombuffer(file.read(), numpy.uint8, offset=offset).reshape(shape)


def rows_of(part, folder):
    start = os.path.join(folder, "fashion_mnist", PARTS[part])
    images = idx(start + "-images-idx3-ubyte.gz", 16, (-1, 784))
    labels = idx(start + "-labels-idx1-ubyte.gz", 8, (-1,))
    if len(images) != len(labels):
        raise SystemExit(f"fashion_csv.py: {start}: {len(images)} images, but {len(labels)} labels")
    words = [str(i) for i in range(256)]
    for label, image in zip(labels.tolist(), images.tolist()):
        yield f"{label},{part}," + ",".join([words[p] for p in image]) + "\n"


def missing():
    """Why there is no table to be had; empty: there is."""
    data = os.environ.get("CHORALE_DATA", "")
    there = os.path.isdir(os.path.join(data, "fashion_mnist"))
    return "" if there else f"CHORALE_DATA names '{data}', where no fashion_mnist/ is; set it to the folder above it"


def write(folder):
    """The path of the table in `folder`."""
    if missing():
        raise SystemExit("fashion_csv.py: " + missing())
    path = os.path.join(folder, "fashion.csv")
    if not os.path.exists(path):
        with open(path + ".part", "w", encoding="ascii") as file:
            file.write("label,part," + ",".join(f"p{i}" for i in range(784)) + "\n")
            for part in PARTS:
                file.writelines(rows_of(part, os.environ["CHORALE_DATA"]))
        os.replace(path + ".part", path)
    return path


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(write(sys.argv[1]))
