"""A control group of this machine, version 1 or 2, for tests of memory and of numbers of processes."""
import os
import subprocess
import sys
import time


def _folder_of(controller):
    """Where groups of that controller are made, and the version; or why none can be."""
    old = f"/sys/fs/cgroup/{controller}"
    if os.path.isdir(old) and os.access(old, os.W_OK):
        return old, 1
    try:
        with open("/sys/fs/cgroup/cgroup.subtree_control", encoding="ascii") as file:
            if controller in file.read().split() and os.access("/sys/fs/cgroup", os.W_OK):
                return "/sys/fs/cgroup", 2
    except OSError:
        pass
    return f"no control group of {controller} can be made here", 0


class Group:
    """Made empty; gone with the `with`. why: empty, or why there is none."""

    def __init__(self, controller):
        self.folder, self.why = None, ""
        parent, self.version = _folder_of(controller)
        if not self.version:
            self.why = parent
            return
        self.folder = f"{parent}/chorale-test-{os.getpid()}-{controller}"
        try:
            os.mkdir(self.folder)
        except OSError as error:
            self.why, self.folder = f"a control group of {controller}: {error}", None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for _ in range(100 if self.folder else 0):
            try:
                return os.rmdir(self.folder)
            except OSError:  # the last of its processes are on their way out
                time.sleep(0.05)
        return None

    def write(self, old_name, new_name, value):
        with open(f"{self.folder}/{old_name if self.version == 1 else new_name}", "w", encoding="ascii") as file:
            file.write(str(value))

    def limit_memory(self, size):
        self.write("memory.limit_in_bytes", "memory.max", size if size else (-1 if self.version == 1 else "max"))

    def limit_processes(self, number):
        self.write("pids.max", "pids.max", number)

    def used(self):
        with open(f"{self.folder}/{'memory.usage_in_bytes' if self.version == 1 else 'memory.current'}", encoding="ascii") as file:
            return int(file.read())

    def inside(self, words):
        """The command that runs `words` in this group."""
        return ["sh", "-c", f'echo $$ >"{self.folder}/cgroup.procs" && exec "$@"', "inside", *words]

    def eat(self, size):
        """A process in this group that takes so much memory and keeps it, spared by the kernel when it looks for a victim."""
        text = f"open('/proc/self/oom_score_adj', 'w').write('-1000'); held = bytearray(b'1') * {size}; print('full', flush=True); import time; time.sleep(60)"
        return subprocess.Popen(self.inside([sys.executable, "-c", text]), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
