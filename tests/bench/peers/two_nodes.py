"""Chorale beside PyTorch DDP (gloo) and Open MPI between two nodes joined by a slow link, alternately, in one run. Needs root.

  python3 tests/bench/peers/two_nodes.py --rate 1gbit --networks article,mlp --repeat 5
  options: --per-node 1  --build build/release  --no-torch  -- OPTIONS OF BENCH STEP

The nodes are network namespaces (nodes.py); everything is taken down again, also after a failure.
"""
import argparse
import os
import shutil
import statistics
import sys

from compare import HEAD, Series, comparison_rows
from networks import NETWORKS, parameters
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "cluster"))
from nodes import TwoNodes
from programs import DEFAULT_BUILD, HERE, Asked, ProgramError, has_torch, run_json, widths

SKIPPED = 4  # as the tests read it
STEPS = {"article": 300, "mlp": 30, "wide": 4}
SENDER = """
import socket, sys, time
s = socket.create_connection((sys.argv[1], 29400))
block, start, sent = bytes(1 << 20), time.perf_counter(), 0
while time.perf_counter() - start < 2:
    s.sendall(block); sent += len(block)
s.shutdown(socket.SHUT_WR); s.recv(1)
print('{"gbs": %.5f}' % (sent / (time.perf_counter() - start) / 1e9))
"""
RECEIVER = """
import socket
s = socket.create_server(("", 29400)); s.settimeout(30)
c, _ = s.accept()
print("", flush=True)
while c.recv(1 << 20): pass
c.send(b"x"); c.close()
"""


def cannot():
    """Why there can be no nodes here; empty: they can be."""
    missing = [tool for tool in ("ip", "tc", "nsenter", "unshare", "mpirun") if not shutil.which(tool)]
    return "network namespaces need root" + "".join(f", {tool}" for tool in missing) if os.geteuid() != 0 or missing else ""


def link_speed(nodes):
    """Bytes a second through a plain socket, in 10^9."""
    receiver = Asked([nodes.on(1, [sys.executable, "-c", RECEIVER])])
    try:
        for attempt in range(20):
            try:
                return run_json(nodes.on(0, [sys.executable, "-c", SENDER, nodes.addresses[1]]), 20)["gbs"]
            except ProgramError:
                if attempt == 19:
                    raise
    finally:
        receiver.end()


def series_for(network, words, nodes, ddp):
    n, batch, steps = 2 * words.per_node, NETWORKS[network]["batch"], str(STEPS[network])
    p50 = lambda answer: answer["step_ms"]["p50"]
    chorale = [os.path.join(words.build, "chorale"), "bench", "step", "--preset", network, "--steps", steps, "--json"] + words.extra
    openmpi = [os.path.join(words.build, "tests", "mlp_mpi"), "--batch", str(batch), "--steps", steps] + widths(network)
    single = [os.path.join(words.build, "chorale"), "bench", "step", "--preset", network, "--steps", steps, "-n", "1", "--json"]
    out = {"chorale 1": Series("Chorale, 1 rank", 1, batch, lambda: p50(run_json(single))),
           "chorale n": Series(f"Chorale, 2 nodes x {words.per_node}", n, batch * n, lambda: p50(run_json(nodes.mpirun(words.per_node, chorale)))),
           "openmpi": Series(f"Open MPI by hand, 2 x {words.per_node}", n, batch * n, lambda: p50(run_json(nodes.mpirun(words.per_node, openmpi))))}
    if ddp:
        out["ddp"] = Series(f"PyTorch DDP (gloo), 2 x {words.per_node}", n, batch * n,
                            lambda: p50(ddp.measure(network=network, steps=STEPS[network])))
    return out


def start_ddp(words, nodes):
    if words.no_torch or not has_torch():
        print("without PyTorch: its rows are left out", file=sys.stderr)
        return None
    ranks = 2 * words.per_node
    command = [sys.executable, os.path.join(HERE, "ddp.py"), "--ranks", str(ranks), "--init", f"tcp://{nodes.addresses[0]}:29500", "--rank"]
    return Asked([nodes.on(rank // words.per_node, command + [str(rank)]) for rank in range(ranks)])


def measure(words, nodes):
    speed = link_speed(nodes)
    print(f"2 nodes x {words.per_node} ranks, link {words.rate} ({speed:.3f} GB/s through a socket), {words.repeat} rounds, alternating\n")
    print(HEAD)
    ddp = start_ddp(words, nodes)
    floors = []
    try:
        for network in words.networks:
            series = series_for(network, words, nodes, ddp)
            for repeat in range(words.repeat):
                order = list(series.values())
                for s in order if repeat % 2 == 0 else reversed(order):
                    s.ms.append(s.measure())
                print(f"{network}: round {repeat + 1} of {words.repeat}", file=sys.stderr)
            print("\n".join(comparison_rows(network, series)), flush=True)
            # Every node sends half of the sums and half of the results: once the gradients in all.
            floors.append(f"{network} {max(4e-6 * parameters(network) / speed, statistics.median(series['chorale 1'].ms)):.3f}")
    finally:
        if ddp:
            ddp.end()
    print("\nthe longer of one rank's step and the gradients' bytes over the link, ms: " + ", ".join(floors))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", default="1gbit", help="as tc writes it; empty: no limit")
    parser.add_argument("--per-node", type=int, default=1)
    parser.add_argument("--networks", default="article,mlp")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--build", default=DEFAULT_BUILD)
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("extra", nargs="*", help="options for chorale bench step, after --")
    words = parser.parse_args()
    words.networks = words.networks.split(",")
    if any(n not in NETWORKS for n in words.networks) or words.per_node < 1 or words.repeat < 1:
        parser.error(f"--networks takes {', '.join(NETWORKS)}; --per-node and --repeat take at least 1")
    if cannot():
        print(f"two_nodes.py: {cannot()}", file=sys.stderr)
        return SKIPPED
    words.build = os.path.abspath(words.build)
    try:
        with TwoNodes(words.rate) as nodes:
            measure(words, nodes)
    except ProgramError as error:
        print(f"two_nodes.py: {error}", file=sys.stderr)
        return 70
    return 0


if __name__ == "__main__":
    sys.exit(main())
