"""A real Slurm over two "nodes" of nodes.py: munge, slurmctld and two slurmd from Debian's packages, every file of theirs in the nodes' folder.

slurmctld lives on node 0, so commands run there; munge listens on a socket of its own. Whatever is set up on this machine is not touched.
"""
import os
import re
import shutil
import signal
import subprocess
import time

from nodes import why_not as why_no_nodes

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel")
SBIN = "/usr/sbin:/sbin"


def why_not():
    """Why there can be no Slurm here; empty where there can."""
    path = os.environ.get("PATH", "") + ":" + SBIN
    missing = [p for p in PROGRAMS + ("setpriv",) if not shutil.which(p, path=path)]
    if missing:
        return "not installed: " + " ".join(missing) + " (packages slurmctld slurmd slurm-client munge iproute2 openmpi-bin)"
    if not any(os.path.exists(f"/usr/lib/{folder}/libpmix.so") for folder in (".", "x86_64-linux-gnu", "aarch64-linux-gnu")):
        return "Slurm's PMIx plug-in needs libpmix.so (package libpmix-dev)"
    return why_no_nodes()


class Slurm:
    def __init__(self, nodes, kill_wait=30):
        self.nodes = nodes
        self.kill_wait = kill_wait
        self.folder = nodes.folder + "/slurm"
        self.munged = None
        # What a login shell of a cluster would have; jobs inherit it from sbatch.
        kept = {k: os.environ[k] for k in ("HOME", "LANG", "CHORALE_DATA", "LSAN_OPTIONS", "ASAN_OPTIONS") if k in os.environ}
        self.environment = kept | {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin") + ":" + SBIN, "SLURM_CONF": self.folder + "/slurm.conf",
            "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_btl_tcp_if_include": "eth0",
            "OMPI_MCA_oob_tcp_if_include": "eth0"}

    def __enter__(self):
        try:
            self.configure()
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def configure(self):
        folder, hosts = self.folder, self.nodes.hosts
        for name in ("", "/state", "/munge", *(f"/spool-{h}" for h in hosts), *(f"/tmp-{h}" for h in hosts)):
            os.mkdir(folder + name, 0o700)
        with open(folder + "/munge/key", "wb") as file:
            file.write(os.urandom(1024))
        os.chmod(folder + "/munge/key", 0o400)
        # TmpFS by node: PMIx makes folders of the same name there, and both nodes see one file system.
        settings = {
            "ClusterName": "chorale", "SlurmctldHost": f"{hosts[0]}({self.nodes.addresses[0]})", "SlurmUser": "root", "SlurmdUser": "root",
            "AuthType": "auth/munge", "AuthInfo": f"socket={folder}/munge/socket", "StateSaveLocation": folder + "/state",
            "SlurmdSpoolDir": folder + "/spool-%n", "SlurmctldPidFile": folder + "/slurmctld.pid", "SlurmdPidFile": folder + "/slurmd-%n.pid",
            "SlurmctldLogFile": folder + "/slurmctld.log", "SlurmdLogFile": folder + "/slurmd-%n.log", "TmpFS": folder + "/tmp-%n",
            "ProctrackType": "proctrack/linuxproc", "TaskPlugin": "task/none", "JobAcctGatherType": "jobacct_gather/none",
            "SelectType": "select/cons_tres", "SelectTypeParameters": "CR_Core", "MpiDefault": "none", "SlurmdParameters": "config_overrides",
            "SchedulerParameters": "batch_sched_delay=0,sched_interval=1", "ReturnToService": "2", "SlurmdTimeout": "10",
            "KillWait": str(self.kill_wait), "InactiveLimit": "0"}
        lines = [f"{key}={value}" for key, value in settings.items()]
        lines += [f"NodeName={h} NodeAddr={a} CPUs=4 RealMemory=2000 State=UNKNOWN" for h, a in zip(hosts, self.nodes.addresses)]
        lines += [f"PartitionName=main Nodes={','.join(hosts)} Default=YES MaxTime=INFINITE State=UP"]
        with open(folder + "/slurm.conf", "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        with open(folder + "/cgroup.conf", "w", encoding="ascii") as file:
            file.write("CgroupPlugin=cgroup/v1\n")

    def start(self):
        munge = self.folder + "/munge"
        with open(munge + "/said", "w", encoding="ascii") as said:
            self.munged = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "/usr/sbin/munged", "--foreground", "--force", f"--key-file={munge}/key", f"--socket={munge}/socket", f"--pid-file={munge}/pid",
                 f"--log-file={munge}/log", f"--seed-file={munge}/seed"], stdout=said, stderr=said)
        self.wait_for(lambda: os.path.exists(munge + "/socket"), 10, "munged has no socket")
        self.run(["slurmctld"])
        for i in (0, 1):
            self.start_node(i)
        self.wait_for(lambda: self.run(["sinfo", "-h", "-o", "%D", "-t", "idle"]).strip() == "2", 30, "two nodes are not idle")

    def start_node(self, i):
        self.run(["slurmd", "-N", self.nodes.hosts[i]], node=i)

    def kill_daemon(self, i):
        """slurmd of a node, and nothing else of it."""
        with open(f"{self.folder}/slurmd-{self.nodes.hosts[i]}.pid", encoding="ascii") as file:
            os.kill(int(file.read()), signal.SIGKILL)

    def take_down(self, i):
        """As a power cut: no process of the node is left, and the others hear nothing from it."""
        subprocess.run(["ip", "-n", self.nodes.names[i], "link", "set", "eth0", "down"], check=True)
        self.kill_all(self.nodes.names[i])

    def bring_back(self, i):
        subprocess.run(["ip", "-n", self.nodes.names[i], "link", "set", "eth0", "up"], check=True)
        # A start of the machine clears /tmp and keeps /var/spool, where the plug-in has a socket of each step that it did not see end.
        folder = f"{self.folder}/tmp-{self.nodes.hosts[i]}"
        for name in os.listdir(folder):
            shutil.rmtree(f"{folder}/{name}", ignore_errors=True)
        self.start_node(i)

    def kill_all(self, name):
        for pid in subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout.split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass

    def stop(self):
        """Daemons first: nobody restarts or reports anything while the nodes are taken down."""
        for name in self.nodes.names:
            self.kill_all(name)
        if self.munged:
            self.munged.terminate()
            try:
                self.munged.wait(5)
            except subprocess.TimeoutExpired:
                self.munged.kill()
                self.munged.wait()

    def words(self, words, node=0, environment=None):
        setting = [f"{k}={v}" for k, v in (self.environment | (environment or {})).items()]
        return self.nodes.on(node, ["env", "-i", *setting] + words)

    def start_program(self, words, node=0, **popen):
        return subprocess.Popen(self.words(words, node), **popen)

    def run(self, words, node=0, check=True, timeout=60, cwd=None, environment=None):
        """What the command writes, run on a node as a user would."""
        with open(self.folder + "/command", "w+", encoding="utf-8") as said:  # no pipe: a daemon would keep it open
            done = subprocess.run(self.words(words, node, environment), stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, timeout=timeout,
                                  cwd=cwd)
            said.seek(0)
            text = said.read()
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}: {text}")
        return text if check else (done.returncode, text)

    def state(self, job):
        """As scontrol has it, finished jobs too: PENDING, RUNNING, COMPLETED, ..."""
        code, text = self.run(["scontrol", "show", "job", str(job)], check=False)
        found = re.search(r"JobState=(\w+)", text)
        return found.group(1) if code == 0 and found else "GONE"

    def wait_for(self, condition, seconds, complaint):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if condition():
                return
            time.sleep(0.1)
        raise RuntimeError(f"{complaint() if callable(complaint) else complaint}, after {seconds} s")

    def wait_state(self, job, wanted, seconds):
        wanted = {wanted} if isinstance(wanted, str) else set(wanted)
        self.wait_for(lambda: self.state(job) in wanted, seconds, lambda: f"job {job} is {self.state(job)}, not {' or '.join(sorted(wanted))}")

    def steps_are_running(self):
        for name in self.nodes.names:
            for pid in subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout.split():
                try:
                    with open(f"/proc/{pid}/cmdline", "rb") as file:
                        if file.read().startswith(b"slurmstepd"):
                            return True
                except (FileNotFoundError, ProcessLookupError):
                    pass
        return False

    def release(self, job):
        """A requeued job is held for two minutes, in which its nodes clear away its last start; this one may start when they have."""
        self.wait_for(lambda: self.state(job) == "PENDING", 60, lambda: f"job {job} is not requeued but {self.state(job)}")
        self.wait_for(lambda: not self.steps_are_running(), 60, "the last start is still being cleared away")
        time.sleep(2)  # word of its end is under way; it would count as the new start's

        def starts():
            self.run(["scontrol", "update", f"jobid={job}", "StartTime=now"], check=False)
            time.sleep(0.3)
            return self.state(job) != "PENDING"
        self.wait_for(starts, 60, lambda: f"job {job} does not start: {self.run(['squeue'])}")
