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


TOOLS = ("ip", "tc", "nsenter", "unshare", "mpirun")


def why_not():
    """Why there can be no two nodes here; empty where there can."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if os.geteuid() != 0 or missing:
        return "needs root and " + " ".join(missing or ["nothing else"])
    if subprocess.run(["unshare", "--net", "--uts", "--mount", "true"], capture_output=True).returncode != 0:
        return "network namespaces are not allowed here"
    return ""


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
    """rate: of the link, as tc has it ("1gbit"); empty: as fast as it goes. hosts: their names, where they matter."""

    def __init__(self, rate, hosts=()):
        self.rate = rate
        self.names = [f"chorale-{os.getpid()}-{i}" for i in (1, 2)]
        self.hosts = list(hosts) or [f"cn{os.getpid()}x{i}" for i in (1, 2)]
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
        self.heal()
        self.write_agent()

    def queue(self, i, *words):
        """How node i sends; what is under way in the old queue is lost, as in a cable."""
        tc = ["nsenter", "--net=/run/netns/" + self.names[i], "tc", "qdisc"]
        subprocess.run(tc + ["del", "dev", "eth0", "root"], capture_output=True)
        if words:
            subprocess.run(tc + ["add", "dev", "eth0", "root", *words], check=True)

    def drop_from(self, i):
        """What node i sends is lost from now on; it hears the other one."""
        self.queue(i, "blackhole")
        open(self.folder + "/link-is-cut", "w", encoding="ascii").close()

    def cut(self):
        for i in (0, 1):
            self.drop_from(i)

    def limit(self, rate):
        """In both directions. The queue holds half a second, so that one rank's bytes do not starve another's."""
        for i in (0, 1):
            self.queue(i, "tbf", "rate", rate, "burst", "16k", "latency", "500ms")

    def heal(self):
        """The link as it was made."""
        for i in (0, 1):
            self.queue(i, *(("tbf", "rate", self.rate, "burst", "128k", "latency", "10ms") if self.rate else ()))
        if os.path.exists(self.folder + "/link-is-cut"):
            os.remove(self.folder + "/link-is-cut")

    def write_agent(self):
        """What mpirun calls in place of ssh: host, then a command line for its shell. Comes through no more than ssh while the link is cut."""
        lines = ["#!/bin/sh", "host=$1; shift",
                 f'[ ! -e {self.folder}/link-is-cut ] || {{ echo "connect to host $host: Connection timed out" >&2; exit 255; }}', "case $host in"]
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

    def temporary(self):
        """Each node's TMPDIR."""
        return [f"{self.folder}/tmp{i}" for i in (0, 1)]

    def settings(self):
        """Open MPI's, by name, for what runs over both nodes."""
        return {"plm_rsh_agent": self.folder + "/agent", "routed": "direct", "btl": "tcp,self,vader", "btl_tcp_if_include": "eth0",
                "oob_tcp_if_include": "eth0"}

    def mpirun(self, per_node, words, options=()):
        """`words` on per_node ranks of each node, or on per_node[i] of node i."""
        ranks = [per_node] * 2 if isinstance(per_node, int) else per_node
        hosts = ",".join(f"{host}:{n}" for host, n in zip(self.hosts, ranks))
        mca = [word for key, value in self.settings().items() for word in ("--mca", key, value)]
        # Both nodes count the same cores, so binding would put all ranks on the first.
        return self.on(0, ["mpirun", "-q", "-np", str(sum(ranks)), "--host", hosts, "--bind-to", "none", *options] + mca + words)

    def processes(self, i):
        """Those on node i, zombies left out."""
        found = []
        for pid in map(int, subprocess.run(["ip", "netns", "pids", self.names[i]], capture_output=True, text=True).stdout.split()):
            try:
                with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                    if file.read().rsplit(")", 1)[1].split()[0] != "Z":
                        found.append(pid)
            except OSError:
                pass
        return found

    def kill_all(self):
        for i in (0, 1):
            for pid in self.processes(i):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    def remove(self):
        for name in self.names:
            remove_namespace(name)
        shutil.rmtree(self.folder, ignore_errors=True)
