"""A text trains, scores and goes on, with the same bits on any ranks and after a resume; what does not fit says why.
usage: text_test.py CHORALE"""
import json
import os
import random
import subprocess
import sys
import tempfile

CHORALE = sys.argv[1]
RECIPE = """
[data]
format = text
file = text.txt
context = 16
[model]
kind = transformer
depth = 1
heads = 2
width = 16
feed_forward = 32
dropout = 0.1
[train]
loss = cross_entropy
batch = 24
epochs = 3
metrics = accuracy perplexity
[parallel]
virtual_workers = 4
[optimizer]
name = adamw
lr = 0.01
"""


def call(code, *words, says=""):
    done = subprocess.run([CHORALE, *words], capture_output=True, text=True)
    text = done.stdout + done.stderr
    if done.returncode != code or says not in text:
        raise SystemExit(f"text_test.py: chorale {' '.join(words)}: code {done.returncode}, expected {code} and '{says}' in\n{text}")
    return done.stdout


def train(run, *words, code=0, says=""):
    call(code, "train", "recipe.ini", "--launch", "threads", "--quiet", "--run-dir", run, *words, says=says)


def summary(run):
    with open(os.path.join(run, "summary.json")) as file:
        return json.load(file)


def write(name, text, **how):
    with open(name, "w", **how) as file:
        file.write(text)


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    draw = random.Random(5)
    verses = ["the cat sat on the mat\n", "a dog ran to the sea\n", "caf\u00e9 noir, caf\u00e9 blanc\n"]
    write("text.txt", "".join(draw.choice(verses) for _ in range(400)), encoding="utf-8")
    write("recipe.ini", RECIPE)

    # The same bits on any ranks, and after a resume.
    for ranks in (1, 2, 4):
        train(f"run{ranks}", "-n", str(ranks))
    whole = summary("run1")
    assert {summary(f"run{ranks}")["parameters_hash"] for ranks in (2, 4)} == {whole["parameters_hash"]}, "other bits on other ranks"
    assert whole["metrics"]["test"]["perplexity"] < 4, whole["metrics"]["test"]
    train("halves", "--steps", "13")
    train("halves", "-n", "2", "--resume", "--steps", "0")
    assert summary("halves")["parameters_hash"] == whole["parameters_hash"], "other bits after a resume"

    # Going on with a text, in one character after the other.
    text = call(0, "generate", "run1", "--prompt", "the ", "--tokens", "30", "--temperature", "0")
    assert text.startswith("the ") and len(text) == 4 + 30 + 1, repr(text)
    assert text == call(0, "generate", "run1", "--prompt", "the ", "--tokens", "30", "--top-k", "1", "--seed", "9"), "the likeliest is the only one"
    seeds = {call(0, "generate", "run1", "--prompt", "the ", "--tokens", "40", "--temperature", "2", "--seed", str(seed)) for seed in range(4)}
    assert len(seeds) == 4, "seeds must give texts of their own"
    call(0, "generate", "run1", "--prompt", "caf\u00e9 & the long way round to the sea that no window holds", "--tokens", "3")
    call(64, "generate", "run1", says="--prompt TEXT")

    # Other files are read with the run's characters.
    own = json.loads(call(0, "eval", "run1", "--json"))
    assert own["metrics"]["loss"] == whole["metrics"]["test"]["loss"], own
    write("upper.txt", "THE CAT SAT ON THE MAT\n" * 20)
    other = json.loads(call(0, "eval", "run1", "--file", "upper.txt", "--json"))
    assert other["metrics"]["perplexity"] > 10 * own["metrics"]["perplexity"], other
    call(64, "predict", "run1", "--file", "text.txt", "--out", "out.csv", says="use chorale generate")
    call(0, "inspect", "run1", says="transformer_block")

    # Weights of another text: a row a token only where the tokens are the same.
    train("again", "--data.file", "text.txt", "--init-from", "run1", "--steps", "1")
    write("greek.txt", "\u03b1\u03b2\u03b3\u03b4 " * 400, encoding="utf-8")
    call(0, "train", "recipe.ini", "--launch", "threads", "--run-dir", "greek", "--data.file", "greek.txt", "--init-from", "run1", "--steps", "1",
         says="the two texts have other tokens")

    # Bytes, layers one by one, sinusoidal positions and a shared table.
    train("bytes", "--data.tokens", "byte", "--model.positions", "sinusoidal", "--model.tied", "true", "--model.norm", "post", "--steps", "20")
    assert len(call(0, "generate", "bytes", "--prompt", "the ", "--tokens", "9", "--temperature", "0")) >= 4
    layers = "embedding(27, 8) positions attention(2, causal=true) layer_norm linear(27)"
    write("layers.ini", RECIPE.split("[model]")[0] + f"[model]\nlayers = {layers}\n[train]" + RECIPE.split("[train]")[1])
    tokens = len(set(open("text.txt", encoding="utf-8").read())) + 1
    write("layers.ini", open("layers.ini").read().replace("27", str(tokens)))
    call(0, "train", "layers.ini", "--quiet", "--run-dir", "layers", "--steps", "5")

    # What does not fit.
    train("bad", "--model.heads", "3", code=64, says="the heads must divide them")
    train("bad", "--model.kind", "layers", code=64, says="model.depth does nothing with model.kind = layers")
    train("bad", "--data.split", "random 0.8 0.2", code=64, says="use order")
    train("bad", "--train.loss", "mse", code=64, says="use cross_entropy")
    train("bad", "--data.context", "100000", code=65, says="lower data.context")
    train("bad", "--data.target", "x", code=64, says="data.target does nothing with data.format = text")
    train("bad", "--data.memory", "1KB", code=64, says="data.memory leaves")
    with open("latin.txt", "wb") as file:
        file.write(b"abc caf\xe9 " * 100)
    train("bad", "--data.file", "latin.txt", code=65, says="latin.txt: byte 7 (0xe9) begins no character of UTF-8")
    train("blind", "--model.causal", "false", "--steps", "2")
    call(64, "generate", "blind", "--prompt", "a", says="sees what it would have to guess")
    both_ways = f"embedding({tokens}, 8) attention(2) linear({tokens})"
    call(0, "train", "layers.ini", "--quiet", "--run-dir", "both_ways", "--model.layers", both_ways, "--steps", "2")
    call(64, "train", "layers.ini", "--run-dir", "wide", "--model.layers", f"embedding({tokens}, 8) linear({tokens + 3})", says=f"end it with linear({tokens})")
    call(64, "generate", "both_ways", "--prompt", "a", says="causal=true")
    write("table.csv", "a,b,y\n" + "".join(f"{i % 7},{i % 5},{i % 2}\n" for i in range(200)))
    write("table.ini", "[data]\nfile = table.csv\ntarget = y\nsplit = order 0.6 0.2 0.2\n[model]\nlayers = linear(1)\n[train]\nepochs = 1\n")
    call(0, "train", "table.ini", "--quiet", "--run-dir", "table")
    call(64, "generate", "table", "--prompt", "a", says="was not trained on text")
    call(64, "train", "table.ini", "--quiet", "--run-dir", "bad", "--model.kind", "transformer", "--model.layers", "", says="use data.format = text")
    print("text: all as expected")
