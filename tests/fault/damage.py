"""Checkpoints that were cut, changed, mixed up or made by others: what is wrong and where is said, and the one before is resumed from.

  python3 tests/fault/damage.py build/release/chorale [ROW ...] [--seed N]
"""
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys

from rows import main, run_folder

STEPS = ["--train.steps", "400", "--train.evaluate_every", "400"]


def limited(room):
    return ["prlimit", f"--as={room}"] if room else []


def run_of(row, *options, folder=None, room=0):
    return subprocess.run([*limited(room), row.chorale, "train", row.folder + "/recipe.ini", "-n", "2", "--launch", "threads", "--quiet", "--run-dir", folder or row.run, *STEPS,
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

    def verify(self, room=0):
        """room: a limit of address space."""
        return subprocess.run([*limited(room), *self.words_of_verify()], capture_output=True, text=True, errors="replace", timeout=60, check=False)

    def words_of_verify(self):
        return [self.row.chorale, "inspect", self.row.run + "/checkpoints/step_300", "--verify"]

    def peak_of_verify(self):
        """Of its memory, in bytes."""
        child = subprocess.Popen(self.words_of_verify(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return os.wait4(child.pid, 0)[2].ru_maxrss * 1024

    def found(self, what, *says, resumes=True, room=0):
        """inspect --verify names it with 66; a resume falls back to step 200, loudly, to the same bits."""
        seen = self.verify(room)
        words = seen.stdout + seen.stderr
        self.row.check(seen.returncode == 66 and all(text in words for text in says), f"{what}: 66 and {says}", seen.returncode, words)
        if not resumes:
            return
        on = run_of(self.row, "--resume", room=room)
        self.row.check(on.returncode == 0 and "falling back to the checkpoint of step 200" in on.stderr and "resumes at step 200" in on.stderr
                       and all(text in on.stderr for text in says[:1]), f"{what}: falls back loudly, and says to where and why", on.returncode, on.stderr)
        self.row.check(run_folder.starts(self.row.run)[-1] == 200, f"{what}: goes on from there", run_folder.starts(self.row.run))
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
    for name in ("state.safetensors", "manifest.json", "pipeline.json", "recipe.ini"):
        size = os.path.getsize(damaged.source + "/checkpoints/step_300/" + name)
        for where, at in (("nothing left", 0), ("7 bytes", 7), ("half", size // 2), ("the last byte", size - 1)):
            os.truncate(damaged.copy() + name, at)
            damaged.found(f"{name} cut, {where}", f"step_300/{name}", resumes=where in ("nothing left", "half"))
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
    rng, missed, flipped = random.Random(seed), [], set()
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
        flipped.add(name)
    row.check(len(flipped) == len(files), "each file was hit", flipped, files)
    row.check(not missed, "200 flipped bits are found, each with its file named", len(missed), missed[:5])
    row.check(damaged.verify().returncode == 0, "and mended it is sound", damaged.verify().stderr)
    for name, size in files:
        with open(damaged.copy() + name, "r+b") as file:
            file.seek(size // 2)
            byte = file.read(1)[0]
            file.seek(size // 2)
            file.write(bytes([byte ^ 1]))
        damaged.found(f"a bit of {name}", f"step_300/{name}")


TERABYTE = 1 << 40
ROOM = 1_000_000_000  # of address space; a sound checkpoint needs less


def claims_too_much(row, expected):
    """Sizes that a file only claims: nobody allocates them, under a limit that would not allow it, and not by the peak of memory either."""
    del expected
    damaged = Damaged(row)
    damaged.copy()
    usual = damaged.peak_of_verify()

    def claim(what, name, change):
        path = damaged.copy() + name
        with open(path, "rb") as file:
            data = file.read()
        with open(path, "wb") as file:
            file.write(change(data))
        damaged.found(what, f"step_300/{name}", room=ROOM)
        peak = damaged.peak_of_verify()
        row.check(peak < usual + (8 << 20), f"{what}: found before anything of that size is allocated", peak, usual)
    for name in ("model.safetensors", "optimizer.safetensors", "state.safetensors"):
        for size in (TERABYTE, (1 << 63) - 1):
            claim(f"{name}: a header of {size} bytes", name, lambda data, size=size: struct.pack("<Q", size) + data[8:])
    for name in ("model.safetensors", "optimizer.safetensors"):
        claim(f"{name}: a tensor of a terabyte", name, with_great_tensor)
    claim("manifest.json: a file of a terabyte", "manifest.json", lambda data: re.sub(rb'("bytes": ?)\d+', rb"\g<1>%d" % TERABYTE, data, count=1))


def with_great_tensor(data):
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    tensor = max((t for name, t in header.items() if name != "__metadata__"), key=lambda t: t["data_offsets"][1])
    tensor["shape"], tensor["data_offsets"][1] = [TERABYTE // 4], tensor["data_offsets"][0] + TERABYTE
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data[8 + size:]


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


ROWS = {f.__name__: f for f in (cut_short, missing_and_swapped, flipped_bits, claims_too_much, made_by_others)}

if __name__ == "__main__":
    sys.exit(main(ROWS))
