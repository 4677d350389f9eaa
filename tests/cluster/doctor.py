"""`chorale doctor --hosts` over two nodes: a healthy pair, a slow link, a folder that the nodes do not share, a host that is not there.

  python3 tests/cluster/doctor.py build/release/chorale
"""
import json
import os
import subprocess
import sys
import time

from nodes import TwoNodes, why_not


class Visits:
    def __init__(self, chorale, nodes):
        self.chorale, self.nodes, self.wrong = chorale, nodes, 0
        self.hosts = ",".join(host + ":2" for host in nodes.hosts)
        mca = nodes.settings() | {"hwloc_base_binding_policy": "none"}
        self.env = dict(os.environ, **{"OMPI_MCA_" + key: value for key, value in mca.items()})
        self.runs = nodes.folder + "/runs"
        os.mkdir(self.runs)

    def visit(self, *options, before=(), **settings):
        """The exit code and the checks by name."""
        words = [*before, self.chorale, "doctor", "--hosts", self.hosts, "--run-dir", self.runs, "--json", *options]
        start = time.time()
        done = subprocess.run(self.nodes.on(0, words), env=dict(self.env, **settings), capture_output=True, text=True, timeout=60)
        took = time.time() - start
        self.check(took < 30, "a visit takes less than 30 s", took)
        if not done.stdout.startswith("{"):
            sys.exit(f"no JSON, code {done.returncode}: {done.stdout} {done.stderr}")
        return done.returncode, {check["name"]: check for check in json.loads(done.stdout)["checks"]}

    def check(self, is_right, text, *facts):
        print("ok" if is_right else "WRONG", text, *([] if is_right else facts), flush=True)
        self.wrong += not is_right

    def set_rate(self, rate):
        subprocess.run(["nsenter", "--net=/run/netns/" + self.nodes.names[1], "tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", rate,
                        "burst", "128k", "latency", "10ms"], check=True)

    def agent_with_own_runs(self):
        """As the nodes' own agent, but the second node has another file system at the folder of runs."""
        path = self.nodes.folder + "/agent_own_runs"
        with open(path, "w", encoding="ascii") as file:
            file.write(f'#!/bin/sh\nhost=$1; shift\nexec {self.nodes.folder}/agent "$host" "mount -t tmpfs none {self.runs}; $*"\n')
        os.chmod(path, 0o700)
        return path


def run_all(chorale):
    with TwoNodes("") as nodes:
        v = Visits(chorale, nodes)
        first, second = nodes.hosts
        code, checks = v.visit()
        v.check(code == 0 and checks["world"]["values"] == {"expected": 4, "started": 4, "formed": True, "hosts": 2}, "4 ranks on 2 hosts", checks["world"])
        v.check(checks["hosts"]["state"] == "ok", "both hosts answer", checks["hosts"])
        v.check("10.79.0.0/24" in checks["interfaces"]["found"], "the common network is named", checks["interfaces"])
        v.check(checks["run_directory"]["state"] == "ok", "the folder is shared", checks["run_directory"])
        v.check(checks["clocks"]["state"] == "ok" and checks["all_reduce"]["state"] == "ok", "clocks and sums", checks["clocks"], checks["all_reduce"])
        pairs = [(p["first_host"], p["second_host"]) for p in checks["latency"]["values"]["pairs"]]
        v.check(sorted(pairs) == sorted([(first, first), (first, second), (second, second)]), "every pair of each kind was measured", pairs)

        for rate, least, most in (("100mbit", 0.006, 0.05), ("1mbit", 0.00003, 0.001)):
            v.set_rate(rate)
            code, checks = v.visit()
            found, gbs = checks["bandwidth"]["found"], [p["gbs"] for p in checks["latency"]["values"]["pairs"] if p["first_host"] != p["second_host"]]
            v.check(code == 0 and checks["bandwidth"]["state"] == "warning" and f"rank 0 on {first} - rank 2 on {second}" in found,
                    f"a link of {rate} is named as slow", code, found)
            v.check(least < gbs[0] < most, "and was measured", gbs)
            v.check(checks["all_reduce"]["state"] == "ok", "sums over it are right", checks["all_reduce"])
        subprocess.run(["nsenter", "--net=/run/netns/" + nodes.names[1], "tc", "qdisc", "del", "dev", "eth0", "root"], check=True)

        code, checks = v.visit(OMPI_MCA_plm_rsh_agent=v.agent_with_own_runs())
        v.check(code == 74 and f"on {second} cannot read" in checks["run_directory"]["found"], "a folder that is not shared is found", code,
                checks["run_directory"])
        v.check(not os.listdir(v.runs), "no file stays", os.listdir(v.runs))

        v.hosts = v.hosts.replace(second, "nobody")
        code, checks = v.visit()
        v.check(code == 75 and "nobody does not" in checks["hosts"]["found"] and checks["world"]["state"] == "skipped", "a host that is not there is named",
                code, checks["hosts"], checks["world"])

        v.hosts = first + ":2," + second + ":2"
        code, checks = v.visit(OMPI_MCA_btl_tcp_if_include="eth7")
        v.check(code == 75, "an interface that is not there ends with 75", code, checks["world"])
        return v.wrong


def main():
    if reason := why_not():
        print("CHORALE_SKIP doctor: " + reason)
        return 4
    return 1 if run_all(os.path.abspath(sys.argv[1])) else 0


if __name__ == "__main__":
    sys.exit(main())
