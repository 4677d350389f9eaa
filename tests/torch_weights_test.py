"""Weights of a residual network go both ways between this program and PyTorch, running statistics included, with the same results.
usage: torch_weights_test.py CHORALE"""
import json
import os
import struct
import subprocess
import sys
import tempfile

CHORALE = sys.argv[1]
try:
    import torch
    from torch import nn
except ImportError:
    print("CHORALE_SKIP PyTorch is not installed; pip install torch")
    sys.exit(4)

ROWS, HEIGHT, WIDTH, CLASSES = 96, 8, 6, 3
TYPES = {"F32": torch.float32, "I64": torch.int64}
NAMES = {torch.float32: "F32", torch.int64: "I64"}


def load(path):
    with open(path, "rb") as file:
        data = file.read()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    out = {}
    for name, t in header.items():
        if name == "__metadata__":
            continue
        first, last = (8 + length + o for o in t["data_offsets"])
        out[name] = torch.frombuffer(bytearray(data[first:last]), dtype=TYPES[t["dtype"]]).reshape(t["shape"])
    return out


def save(tensors, path):
    header, content = {}, b""
    for name, t in tensors.items():
        values = bytes(t.contiguous().flatten().view(torch.uint8).tolist())
        header[name] = {"dtype": NAMES[t.dtype], "shape": list(t.shape), "data_offsets": [len(content), len(content) + len(values)]}
        content += values
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + content)


def npy(path, tensor, kind):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {tuple(tensor.shape)}, }}"
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        file.write(bytes(tensor.contiguous().flatten().view(torch.uint8).tolist()))


class Residual(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        conv = lambda i, o, k, s: nn.Conv2d(i, o, k, s, k // 2, bias=False)
        self.main = nn.Sequential(conv(i, o, 3, stride), nn.BatchNorm2d(o), nn.ReLU(), conv(o, o, 3, 1), nn.BatchNorm2d(o))
        self.shortcut = nn.Sequential(conv(i, o, 1, stride), nn.BatchNorm2d(o)) if stride != 1 or i != o else nn.Identity()

    def forward(self, x):
        return self.main(x) + self.shortcut(x)


def network():
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), Residual(4, 4, 1), nn.ReLU(), Residual(4, 6, 2),
                         nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, CLASSES))


def chorale(*words):
    done = subprocess.run([CHORALE, *words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"torch_weights_test.py: chorale {' '.join(words)}: code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def losses(model, x, y):
    model.eval()
    with torch.no_grad():
        return nn.functional.cross_entropy(model(x.movedim(-1, 1)), y).item()


torch.manual_seed(3)
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    x, y = torch.randn(ROWS, HEIGHT, WIDTH, 1), torch.randint(0, CLASSES, (ROWS,))
    x[:, :, :, 0] += y[:, None, None]
    npy("x.npy", x, "<f4"), npy("y.npy", y, "<i8")
    with open("r.ini", "w") as file:
        file.write("[data]\nformat = npy\nfile = x.npy\nlabels = y.npy\ntest_file = x.npy\ntest_labels = y.npy\nscale = none\n"
                   "[model]\nkind = resnet\nwidths = 4 6\nblocks = 1\n[train]\nloss = cross_entropy\nbatch = 32\nepochs = 3\n"
                   "[parallel]\nvirtual_workers = 2\n")
    loss_of = lambda run: json.load(open(f"{run}/summary.json"))["metrics"]["test"]["loss"]

    chorale("train", "r.ini", "--run-dir", "ours", "--quiet")
    model = network()
    step = sorted(os.listdir("ours/checkpoints"))[-1]
    model.load_state_dict(load(f"ours/checkpoints/{step}/model.safetensors"))
    assert model[1].num_batches_tracked.item() == 9 and model[1].num_batches_tracked.dtype == torch.int64
    there, here = losses(model, x, y), loss_of("ours")
    assert abs(there - here) < 1e-5 * here, f"PyTorch computes a loss of {there} from our weights, we {here}"

    rule = torch.optim.SGD(model.parameters(), 0.05)  # so that nothing is as it was
    model.train()
    for _ in range(4):
        rule.zero_grad()
        nn.functional.cross_entropy(model(x.movedim(-1, 1)), y).backward()
        rule.step()
    save({"net." + n: v for n, v in model.state_dict().items()}, "torch.safetensors")
    out = chorale("train", "r.ini", "--run-dir", "theirs", "--init-from", "torch.safetensors", "--map", "net.*=*", "--epochs", "0")
    assert "starts with weights of" in out and "not" not in out.split("starts with weights of")[1].split("\n")[0], out
    there, here = losses(model, x, y), loss_of("theirs")
    assert abs(there - here) < 1e-5 * here, f"we compute a loss of {here} from PyTorch's weights, PyTorch {there}"
    print("weights go both ways: losses agree to 5 digits")
