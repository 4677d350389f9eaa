"""Two "nodes" on one machine: network namespaces joined by one link of a given rate, each with its own host name and hosts file.

Needs root, iproute2 and util-linux. Everything goes when the block ends, also by an error, Ctrl-C or SIGTERM; what a killed program left is
removed by the next one. The host's own /etc/hosts and network stay as they are.
"""
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

ENTER = 'hostname "$1"; mount --bind "$2" /etc/hosts; shift 2; exec "$@"'


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def remove_namespace(name):
    pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout.split()
    for pid in pids:
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass
    subprocess.run(["ip", "netns", "del", name], capture_output=True)


def folder_of(pid):
    return os.path.join(tempfile.gettempdir(), f"nodes-of-{pid}")


def remove_orphans():
    for line in subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout.splitlines():
        found = re.match(r"chorale-(\d+)-[12]\b", line)
        if found and not os.path.exists("/proc/" + found.group(1)):
            remove_namespace(found.group(0))
            shutil.rmtree(folder_of(found.group(1)), ignore_errors=True)


class TwoNodes:
    def __init__(self, rate):
        self.rate = rate
        self.names = [f"chorale-{os.getpid()}-{i}" for i in (1, 2)]
        self.hosts = [f"cn{os.getpid()}x{i}" for i in (1, 2)]
        self.addresses = ["10.79.0.1", "10.79.0.2"]
        self.folder = ""

    def __enter__(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # also where a shell started us with them ignored
            signal.signal(number, lambda number, _: sys.exit(128 + number))
        remove_orphans()
        self.folder = folder_of(os.getpid())
        try:
            os.mkdir(self.folder, 0o700)
            self.make()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_):
        self.remove()

    def make(self):
        with open(self.folder + "/hosts", "w", encoding="ascii") as file:
            file.write("127.0.0.1 localhost\n" + "".join(f"{a} {h}\n" for a, h in zip(self.addresses, self.hosts)))
        for name in self.names:
            ip("netns", "add", name)
        ip("link", "add", "eth0", "netns", self.names[0], "type", "veth", "peer", "name", "eth0", "netns", self.names[1])
        for i, name in enumerate(self.names):
            os.mkdir(f"{self.folder}/tmp{i}")
            ip("-n", name, "addr", "add", self.addresses[i] + "/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
            if self.rate:
                subprocess.run(["nsenter", "--net=/run/netns/" + name, "tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", self.rate,
                                "burst", "128k", "latency", "10ms"], check=True)
        self.write_agent()

    def write_agent(self):
        """What mpirun calls in place of ssh: host, then a command line for its shell."""
        lines = ["#!/bin/sh", "host=$1; shift", "case $host in"]
        for i, host in enumerate(self.hosts):
            lines.append(f'{host}) exec {shlex.join(self.on(i, ["bash", "-c"]))} "$*" ;;')
        with open(self.folder + "/agent", "w", encoding="ascii") as file:
            file.write("\n".join(lines + ["esac", 'echo "no node $host" >&2; exit 1', ""]))
        os.chmod(self.folder + "/agent", 0o700)

    def on(self, i, words):
        """The words that run `words` on node i, 0 or 1."""
        enter = ["nsenter", "--net=/run/netns/" + self.names[i], "unshare", "--uts", "--mount", "bash", "-c", ENTER, "node", self.hosts[i],
                 self.folder + "/hosts"]
        return enter + ["env", f"TMPDIR={self.folder}/tmp{i}", "GLOO_SOCKET_IFNAME=eth0"] + words

    def mpirun(self, per_node, words, options=()):
        """`words` on per_node ranks of each node, or on per_node[i] of node i."""
        ranks = [per_node] * 2 if isinstance(per_node, int) else per_node
        hosts = ",".join(f"{host}:{n}" for host, n in zip(self.hosts, ranks))
        settings = {"plm_rsh_agent": self.folder + "/agent", "routed": "direct", "btl": "tcp,self,vader", "btl_tcp_if_include": "eth0",
                    "oob_tcp_if_include": "eth0"}
        mca = [word for key, value in settings.items() for word in ("--mca", key, value)]
        # Both nodes count the same cores, so binding would put all ranks on the first.
        return self.on(0, ["mpirun", "-q", "-np", str(sum(ranks)), "--host", hosts, "--bind-to", "none", *options] + mca + words)

    def remove(self):
        for name in self.names:
            remove_namespace(name)
        shutil.rmtree(self.folder, ignore_errors=True)
