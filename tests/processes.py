"""What runs on this machine, for tests that kill and freeze."""
import os


def running(word):
    """Processes whose command line has `word` in it, zombies left out: {pid: (name, environment)}."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
                line = file.read()
            with open(f"/proc/{pid}/environ", encoding="utf-8", errors="replace") as file:
                pairs = [pair.split("=", 1) for pair in file.read().split("\0") if "=" in pair]
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                stat = file.read()
        except OSError:
            continue
        if word in line and stat[stat.rindex(")") + 2] != "Z":
            found[int(pid)] = (stat[stat.index("(") + 1:stat.rindex(")")], dict(pairs))
    return found


def pid_of_rank(word, rank, variable="OMPI_COMM_WORLD_RANK"):
    """0: there is none."""
    return next((pid for pid, (_, environment) in running(word).items() if environment.get(variable) == str(rank)), 0)
