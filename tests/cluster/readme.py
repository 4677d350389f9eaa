"""The README's sections 'On a cluster' and 'On two machines with mpirun', word for word: on a two-node Slurm, and on two nodes a and b with an
sshd each.

  python3 tests/cluster/readme.py build/release/chorale SOURCE
"""
import json
import os
import re
import signal
import subprocess
import sys
import time

import nodes
import slurm
import sshd

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from processes import running
from run_folder import has_checkpoint


class Readme:
    def __init__(self, source):
        with open(source + "/README.md", encoding="utf-8") as file:
            self.text = file.read()
        self.wrong = 0

    def section(self, title):
        return self.text.split(f"\n## {title}\n")[1].split("\n## ")[0]

    def commands(self, title):
        """Indented lines, without what explains them behind two blanks."""
        return [re.split("  +", line)[0] for line in re.findall(r"^    (\S.*)$", self.section(title), re.M)]

    def inline(self, title):
        return [command.replace("\n", " ") for command in re.findall(r"`((?:srun|chorale)\s[^`]*)`", self.section(title))]

    def check(self, is_right, text, *facts):
        print("ok   " if is_right else "WRONG", text, *([] if is_right else facts), flush=True)
        self.wrong += not is_right


def work_folder(two, source, name):
    work = f"{two.folder}/{name}"
    os.mkdir(work)
    os.symlink(source + "/examples", work + "/examples")
    return work


def hash_of(run):
    with open(run + "/summary.json", encoding="utf-8") as file:
        return json.load(file)["parameters_hash"]


def on_a_cluster(readme, chorale, source):
    with nodes.TwoNodes("") as two, slurm.Slurm(two) as cluster:
        cluster.environment |= {"PATH": os.path.dirname(chorale) + ":" + cluster.environment["PATH"], "OMPI_MCA_mpi_yield_when_idle": "1"}
        work = work_folder(two, source, "work")
        commands = [c for c in readme.commands("On a cluster") if not c.startswith("--")]
        readme.check(len(commands) >= 5, "there are commands to try", commands)
        said = {command: cluster.run(["bash", "-c", command], cwd=work) for command in commands}
        for command in commands:
            print("      $ " + command)
        job = next(found[1] for text in said.values() if (found := re.match(r"job (\d+): ", text)))
        cluster.wait_for(lambda: cluster.state(job) in ("COMPLETED", "FAILED", "GONE"), 120, "the job goes on")
        state = json.loads(cluster.run(["chorale", "status", "runs/shop", "--json"], cwd=work))["state"]
        readme.check(cluster.state(job) == "COMPLETED" and state in ("done", "early_stopped"), "the job trains", state)
        doctor = next(c for c in readme.inline("On a cluster") if c.startswith("srun") and "doctor" in c)
        code, text = cluster.run(["salloc", "-N2", "-n4", "--overcommit", "-Q", "bash", "-c", doctor], cwd=work, check=False)
        readme.check(code == 0 and "world" in text, doctor, code, text)


class Machines:
    """a and b, for a user on a."""

    def __init__(self, two, ssh, chorale, work):
        self.two, self.ssh, self.work = two, ssh, work
        # Both nodes are this machine, whose cores are fewer than 8: nobody is bound, and waits yield.
        self.environment = {"PATH": os.path.dirname(chorale) + ":" + os.environ["PATH"], "HOME": os.environ.get("HOME", "/root"), "OMPI_ALLOW_RUN_AS_ROOT": "1",
                            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_hwloc_base_binding_policy": "none", "OMPI_MCA_mpi_yield_when_idle": "1"}

    def start(self, command):
        print("      $ " + command, flush=True)
        return subprocess.Popen(self.ssh.on_first(["bash", "-c", command]), cwd=self.work, env=self.environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def end(self, child, limit=200):
        try:
            said = child.communicate(timeout=limit)[0]
        except subprocess.TimeoutExpired:
            self.two.kill_all()
            said = "not ended in time: " + child.communicate()[0]
        return child.returncode, said

    def run(self, command):
        return self.end(self.start(command))

    def kill_rank(self, rank):
        """Of the run that trains in place of the one before, once it has a checkpoint."""
        run, until = self.work + "/runs/shop", time.time() + 60
        while os.path.exists(run + "/summary.json") or not has_checkpoint(run):
            if time.time() > until:
                sys.exit("the run does not come to a checkpoint")
            time.sleep(0.02)
        ranks = running("runs/shop")
        pids = [pid for pid in self.two.processes(rank // 4) if pid in ranks and ranks[pid][1].get("OMPI_COMM_WORLD_RANK") == str(rank)]
        if len(pids) != 1:
            sys.exit(f"there is no rank {rank} to kill: {pids}")
        os.kill(pids[0], signal.SIGKILL)


def on_two_machines(readme, chorale, source):
    title = "On two machines with mpirun"
    with nodes.TwoNodes("", hosts=("a", "b")) as two, sshd.Sshd(two) as ssh:
        machines = Machines(two, ssh, chorale, work_folder(two, source, "work"))
        run = machines.work + "/runs/shop"
        for command in [c for c in readme.commands("On a cluster") if c.startswith(("cp ", "chorale data "))]:
            code, said = machines.run(command)
            readme.check(code == 0, command, said)
        train = next(c for c in readme.commands(title) if c.startswith("chorale train"))
        options = {c.split()[0]: c for c in readme.commands(title) if c.startswith("--")}
        readme.check(set(options) == {"--restarts", "--min-ranks", "--prefix"}, "there are options to try", options)
        code, said = machines.run(train)
        readme.check(code == 0, "it trains on both", code, said)
        expected = hash_of(run)
        # The README's folder is an example; here Open MPI lies where Debian puts it.
        code, said = machines.run(train + " --overwrite --prefix /usr")
        readme.check(code == 0 and hash_of(run) == expected, "with --prefix too", code, said)

        often = " --overwrite --checkpoint.every_steps 20"
        child = machines.start(train + often + " " + options["--restarts"])
        machines.kill_rank(5)
        code, said = machines.end(child)
        readme.check(code == 0 and "rank 5 (node b" in said and "restart 1 of 3" in said, "a rank that is lost is named, and the run starts again", code, said)
        readme.check(hash_of(run) == expected, "with the same bits", hash_of(run), expected)

        doctor = next(c for c in readme.inline(title) if c.startswith("chorale doctor"))
        code, said = machines.run(doctor)
        answers = ("each answers and runs this build: a; b", "8 ranks by mpirun in one world on 2 hosts", "is written by one and read by all", "bandwidth")
        readme.check(code == 0 and all(text in said for text in answers), "it measures these hosts", code, said)

        ssh.stop(1)
        code, said = machines.run(train + " --overwrite")
        readme.check(code == 75 and "host b does not" in said and "--min-ranks" in said, "a host that does not answer is named, with the remedy", code, said)
        code, said = machines.run(train + often + " " + options["--min-ranks"])
        readme.check(code == 0 and "left out: host b" in said, "and left out where that is allowed", code, said)


def main():
    chorale, source = os.path.realpath(sys.argv[1]), os.path.abspath(sys.argv[2])
    readme, tried = Readme(source), 0
    for title, reason, act in (("On a cluster", slurm.why_not(), on_a_cluster), ("On two machines", nodes.why_not() or sshd.why_not(), on_two_machines)):
        if reason:
            print(f"CHORALE_SKIP README, {title}: {reason}")
            continue
        act(readme, chorale, source)
        tried += 1
    return 1 if readme.wrong else 0 if tried else 4


if __name__ == "__main__":
    sys.exit(main())
