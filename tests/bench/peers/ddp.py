"""Training steps in PyTorch, strict f32, Adam: one process, or DistributedDataParallel over gloo; and gloo's all_reduce alone.

  python3 ddp.py --ranks 2 --networks article,mlp,wide      starts the processes itself and prints a JSON object a network
  python3 ddp.py --ranks 2 --serve                          stays, and measures what each line of standard input asks for:
                                                            {"network": "mlp", "batch": 128, "steps": 60, "threads": 1}
                                                            {"all_reduce": 1048576}, in bytes
  python3 ddp.py --rank 0 --ranks 2 --init URL              one rank, started by hand; URL as init_process_group takes it

Staying saves the import, which takes longer than most measurements. Batches are a rank's.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

from networks import NETWORKS


def build(torch, widths):
    layers = []
    for i, (fan_in, fan_out) in enumerate(zip(widths, widths[1:])):
        layers.append(torch.nn.Linear(fan_in, fan_out))
        if i + 2 < len(widths):
            layers.append(torch.nn.ReLU())
    return torch.nn.Sequential(*layers)


def measure(torch, dist, order, rank, ranks):
    network = NETWORKS[order["network"]]
    widths = order.get("widths", network["widths"])
    batch, steps = order.get("batch", network["batch"]), order.get("steps", network["torch_steps"])
    torch.set_num_threads(order.get("threads", 1))
    torch.manual_seed(1)
    model = build(torch, widths)
    if ranks > 1:
        model = torch.nn.parallel.DistributedDataParallel(model)
    torch.manual_seed(7 + rank)
    x = torch.randn(batch, widths[0])
    if widths[-1] == 1:
        loss, y = torch.nn.BCEWithLogitsLoss(), torch.randint(0, 2, (batch, 1)).float()
    else:
        loss, y = torch.nn.CrossEntropyLoss(), torch.randint(0, widths[-1], (batch,))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    times, value = [], None
    skipped = min(5, steps // 4)  # memory is touched, buckets are rebuilt
    for step in range(steps + skipped):
        if ranks > 1 and step % 50 == skipped:
            dist.barrier()
        start = time.perf_counter()
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        if step >= skipped:
            times.append(1e3 * (time.perf_counter() - start))
    times.sort()
    at = lambda q: times[int(q * (len(times) - 1))]
    return {"program": "pytorch", "network": order["network"], "ranks": ranks, "threads": order.get("threads", 1),
            "batch_per_rank": batch, "step_ms": {"p10": at(0.1), "p50": at(0.5), "p90": at(0.9)}, "loss": value.item()}


def measure_all_reduce(torch, dist, order, rank, ranks):
    """As `chorale bench comm` does: every repetition fills the data anew, meets, and takes the mean of the ranks' times."""
    data, times = torch.empty(order["all_reduce"] // 4), []
    repeat = order.get("repeat", 201 if order["all_reduce"] <= 1 << 20 else 11)
    for repetition in range(repeat + 3):
        data.fill_(rank + 1)
        dist.barrier()
        start = time.perf_counter()
        dist.all_reduce(data)
        if repetition >= 3:
            times.append(1e6 * (time.perf_counter() - start))
    if data[0].item() != ranks * (ranks + 1) / 2:
        raise RuntimeError(f"all_reduce gave {data[0].item()} where {ranks * (ranks + 1) / 2} was due")
    means = torch.tensor(times, dtype=torch.float64)
    dist.all_reduce(means)
    means = sorted((means / ranks).tolist())
    at = lambda q: means[int(q * (len(means) - 1))]
    return {"program": "gloo", "bytes": order["all_reduce"], "ranks": ranks, "time_us": {"p10": at(0.1), "p50": at(0.5), "p90": at(0.9)}}


def work(rank, ranks, init):
    import torch
    import torch.distributed as dist
    torch.set_float32_matmul_precision("highest")
    torch.set_num_threads(1)
    if ranks > 1:
        dist.init_process_group("gloo", init_method=init, rank=rank, world_size=ranks)
    for line in sys.stdin:
        order = json.loads(line)
        result = (measure_all_reduce if "all_reduce" in order else measure)(torch, dist, order, rank, ranks)
        if rank == 0:
            print(json.dumps(result), flush=True)
    if ranks > 1:
        dist.destroy_process_group()


def start_ranks(ranks, folder):
    environment = dict(os.environ)
    environment.setdefault("GLOO_SOCKET_IFNAME", "lo")  # a machine's name need not resolve
    words = [sys.executable, os.path.abspath(__file__), "--ranks", str(ranks), "--init", "file://" + folder + "/rendezvous", "--rank"]
    return [subprocess.Popen(words + [str(r)], stdin=subprocess.PIPE, text=True, env=environment) for r in range(ranks)]


def lead(ranks, orders):
    with tempfile.TemporaryDirectory() as folder:
        children = start_ranks(ranks, folder)
        try:
            for order in orders:
                for child in children:
                    child.stdin.write(order.strip() + "\n")
                    child.stdin.flush()
            for child in children:
                child.stdin.close()
            return max(child.wait() for child in children)
        finally:
            for child in children:
                if child.poll() is None:
                    child.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--rank", type=int, default=-1)
    parser.add_argument("--init", default="")
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--threads", type=int, default=1)
    words = parser.parse_args()
    if words.rank >= 0:
        return work(words.rank, words.ranks, words.init)
    orders = sys.stdin if words.serve else [json.dumps({"network": n, "threads": words.threads}) for n in words.networks.split(",")]
    return lead(words.ranks, orders)


if __name__ == "__main__":
    sys.exit(main())
