"""Checkpoints that were cut, changed, mixed up or made by others: what is wrong and where is said, and the one before is resumed from.

  python3 tests/fault/damage.py build/release/chorale [ROW ...] [--seed N]
"""
import json
import os
import random
import shutil
import struct
import subprocess
import sys

from rows import main

STEPS = ["--train.steps", "400", "--train.evaluate_every", "400"]


def run_of(row, *options, folder=None):
    return subprocess.run([row.chorale, "train", row.folder + "/recipe.ini", "-n", "2", "--launch", "threads", "--quiet", "--run-dir", folder or row.run, *STEPS,
                           *options], capture_output=True, text=True, errors="replace", timeout=60, check=False)


def hash_in(folder):
    with open(folder + "/summary.json", encoding="utf-8") as file:
        return json.load(file)["parameters_hash"]


class Damaged:
    """A run cut after step 300 with checkpoints of steps 200 and 300; each use is a fresh copy."""

    def __init__(self, row):
        self.row = row
        whole = run_of(row, folder=row.run + "-whole")
        row.check(whole.returncode == 0, "an undisturbed run", whole.stderr)
        self.expected = hash_in(row.run + "-whole")
        self.source = row.run + "-cut"
        cut = run_of(row, "--train.steps", "300", "--checkpoint.every_steps", "100", "--checkpoint.keep_last", "2", folder=self.source)
        row.check(sorted(os.listdir(self.source + "/checkpoints")) == ["step_200", "step_300"], "two checkpoints to damage", cut.stderr)

    def copy(self):
        shutil.rmtree(self.row.run, ignore_errors=True)
        shutil.copytree(self.source, self.row.run)
        return self.row.run + "/checkpoints/step_300/"

    def verify(self):
        return subprocess.run([self.row.chorale, "inspect", self.row.run + "/checkpoints/step_300", "--verify"], capture_output=True, text=True, errors="replace", timeout=60,
                              check=False)

    def found(self, what, *says, resumes=True):
        """inspect --verify names it with 66; a resume falls back to step 200, loudly, to the same bits."""
        seen = self.verify()
        words = seen.stdout + seen.stderr
        self.row.check(seen.returncode == 66 and all(text in words for text in says), f"{what}: 66 and {says}", seen.returncode, words)
        if not resumes:
            return
        on = run_of(self.row, "--resume")
        self.row.check(on.returncode == 0 and "falling back to the checkpoint of step 200" in on.stderr and "resumes at step 200" in on.stderr,
                       f"{what}: falls back loudly", on.returncode, on.stderr)
        self.row.check(hash_in(self.row.run) == self.expected, f"{what}: the bits of an undisturbed run")

    def only(self, what, *says):
        """Without one before it: 66, before anything is trained."""
        shutil.rmtree(self.row.run + "/checkpoints/step_200")
        on = run_of(self.row, "--resume")
        self.row.check(on.returncode == 66 and all(text in on.stderr for text in says), f"{what}, the only one: 66 and {says}", on.returncode, on.stderr)


def header_of(path):
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        return size, json.loads(file.read(size))


def cut_short(row, expected):
    del expected
    damaged = Damaged(row)
    for name in ("model.safetensors", "optimizer.safetensors"):
        path = damaged.source + "/checkpoints/step_300/" + name
        size, header = header_of(path)
        border = 8 + size + sorted(t["data_offsets"][1] for n, t in header.items() if n != "__metadata__")[0]
        for where, at in (("nothing left", 0), ("7 bytes", 7), ("in the header", 8 + size // 2), ("a border of tensors", border),
                          ("the last byte", os.path.getsize(path) - 1)):
            os.truncate(damaged.copy() + name, at)
            damaged.found(f"{name} cut, {where}", f"step_300/{name}", str(at), str(os.path.getsize(path)), resumes=where != "in the header")
    os.truncate(damaged.copy() + "model.safetensors", 7)
    damaged.only("model.safetensors cut", "model.safetensors")


def missing_and_swapped(row, expected):
    del expected
    damaged = Damaged(row)
    for name in ("model.safetensors", "optimizer.safetensors", "state.safetensors"):
        os.remove(damaged.copy() + name)
        damaged.found(f"{name} missing", f"step_300/{name}", resumes=name == "model.safetensors")
    for name in ("model.safetensors", "optimizer.safetensors", "manifest.json"):
        newer = damaged.copy()
        older = newer.replace("step_300", "step_200")
        shutil.copy(older + name, newer + name)
        damaged.found(f"{name} of another step", "step_300", resumes=name != "optimizer.safetensors")
    os.remove(damaged.copy() + "manifest.json")
    on = run_of(row, "--resume")
    row.check(on.returncode == 0 and "resumes at step 200" in on.stderr, "without a manifest it is no finished checkpoint", on.stderr)


def flipped_bits(row, expected):
    """One bit at 200 random places of all its files."""
    del expected
    damaged, seed = Damaged(row), int(os.environ.get("CHORALE_TEST_SEED", random.randrange(1 << 30)))
    print("      seed", seed, flush=True)
    rng, missed = random.Random(seed), []
    folder = damaged.copy()
    files = [(name, os.path.getsize(folder + name)) for name in sorted(os.listdir(folder))]
    flips = 0
    while flips < 200:
        # Half of them by size, half one file as likely as another: the small ones matter as much.
        name, size = rng.choices(files, [size for _, size in files])[0] if flips % 2 else rng.choice(files)
        if size == 0:
            continue
        at, bit = rng.randrange(size), 1 << rng.randrange(8)
        with open(folder + name, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ bit]))
            file.flush()
            seen = damaged.verify()
            if seen.returncode != 66 or name.split(".")[0] not in seen.stdout + seen.stderr:
                missed.append((name, at, bit, seen.returncode, (seen.stdout + seen.stderr)[:200]))
            file.seek(at)
            file.write(bytes([byte]))
        flips += 1
    row.check(not missed, "200 flipped bits are found, each with its file named", len(missed), missed[:5])
    row.check(damaged.verify().returncode == 0, "and mended it is sound", damaged.verify().stderr)


def made_by_others(row, expected):
    del expected
    damaged = Damaged(row)
    for what, options, says in (("another model", ["--model.layers", "linear(16) relu linear(1)"], ("bias is f32", ", the model has f32")),
                                ("another type", ["--train.dtype", "f64"], ("bias is f32", ", the model has f64"))):
        damaged.copy()
        on = run_of(row, "--resume", *options)
        row.check(on.returncode == 66 and all(text in on.stderr for text in says), f"{what}: 66, tensor and both types and shapes", on.returncode, on.stderr)
        row.check(hash_in(row.run) == hash_in(damaged.source), f"{what}: nothing was trained")
    # The files themselves of another model, with a manifest that agrees with them.
    other = row.run + "-other"
    run_of(row, "--model.layers", "linear(16) relu linear(1)", "--train.steps", "300", "--checkpoint.every_steps", "100", folder=other)
    folder = damaged.copy()
    shutil.rmtree(folder)
    shutil.copytree(other + "/checkpoints/step_300", folder)
    on = run_of(row, "--resume")
    row.check(on.returncode == 66 and "step_300/model.safetensors: has no tensor '" in on.stderr, "files of another model: 66, with what differs",
              on.returncode, on.stderr)
    newer = damaged.copy() + "manifest.json"
    with open(newer, encoding="utf-8") as file:
        text = file.read()
    version = json.loads(text)["version"]
    with open(newer, "w", encoding="utf-8") as file:
        file.write(text.replace(f'"version": {version}', f'"version": {version + 1}'))
    damaged.found("a newer version", "step_300/manifest.json")


ROWS = {f.__name__: f for f in (cut_short, missing_and_swapped, flipped_bits, made_by_others)}

if __name__ == "__main__":
    sys.exit(main(ROWS))
