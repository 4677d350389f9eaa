"""A real sshd on each of two nodes of nodes.py, with keys of its own: every file of it lies in the nodes' folder."""
import os
import shutil
import subprocess
import time

SSHD = "/usr/sbin/sshd"
ENTER = 'mount --bind "$1" /etc/ssh/ssh_config; shift; exec "$@"'  # OpenSSH takes no HOME, so the system's file stands for the user's
SERVE = 'mount -t tmpfs none /run && mkdir /run/sshd && exec "$@"'  # the folder that it separates privileges in


def why_not():
    missing = [p for p in (SSHD, "ssh", "ssh-keygen") if not shutil.which(p)]
    return "not installed: " + " ".join(missing) + " (packages openssh-server openssh-client)" if missing else ""


class Sshd:
    def __init__(self, nodes):
        self.nodes, self.folder, self.servers = nodes, nodes.folder + "/ssh", []

    def __enter__(self):
        os.mkdir(self.folder, 0o700)
        for name in ("host", "key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{self.folder}/{name}"], check=True)
        with open(self.folder + "/host.pub", encoding="ascii") as file:
            key = " ".join(file.read().split()[:2])
        self.write("known", f"{','.join(self.nodes.hosts)} {key}\n")
        self.write("config", f"Host *\n IdentityFile {self.folder}/key\n UserKnownHostsFile {self.folder}/known\n StrictHostKeyChecking yes\n")
        for i in (0, 1):
            self.start(i)
        return self

    def __exit__(self, *_):
        for i in (0, 1):
            self.stop(i)

    def write(self, name, text):
        with open(f"{self.folder}/{name}", "w", encoding="ascii") as file:
            file.write(text)

    def start(self, i):
        self.write(f"sshd{i}", f"ListenAddress {self.nodes.addresses[i]}\nHostKey {self.folder}/host\nAuthorizedKeysFile {self.folder}/key.pub\n"
                   f"PidFile {self.folder}/pid{i}\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\n"
                   f"SetEnv TMPDIR={self.nodes.folder}/tmp{i}\n")
        words = ["bash", "-c", SERVE, "sshd", SSHD, "-D", "-e", "-f", f"{self.folder}/sshd{i}"]
        with open(f"{self.folder}/said{i}", "w", encoding="ascii") as said:
            self.servers.append(subprocess.Popen(self.nodes.on(i, words), stdin=subprocess.DEVNULL, stdout=said, stderr=said))
        until = time.monotonic() + 10
        while not os.path.exists(f"{self.folder}/pid{i}"):
            if time.monotonic() > until:
                with open(f"{self.folder}/said{i}", encoding="ascii", errors="replace") as said:
                    raise RuntimeError(f"sshd does not start: {said.read()}")
            time.sleep(0.05)

    def stop(self, i):
        self.servers[i].kill()
        self.servers[i].wait()

    def on_first(self, words):
        """The words that run `words` on the first node for a user who reaches both nodes by ssh without a password."""
        return self.nodes.on(0, ["bash", "-c", ENTER, "user", self.folder + "/config", *words])
