"""Runs that lose ranks, their launcher or their supervisor: verdict, time to it, what is left over, and the bits at the end.

  python3 tests/fault/supervised.py build/release/chorale [ROW ...]

Processes are really killed and frozen. Each row has a hard limit.
"""
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time

from rows import Row, main, run_folder, running, time_of

def killed_rank(row, expected):
    row.start()
    row.check(row.until(row.has_checkpoint), "trains")
    killed = time.time()
    os.kill(row.pid(rank=1), signal.SIGKILL)
    code, said = row.end()
    ends = row.events("end")
    row.check(code == 0 and [e["code"] for e in ends] == [75, 0], "ends well after one verdict of 75", code, ends, said)
    row.check(ends[0]["rank"] == 1 and "SIGKILL" in ends[0]["cause"] and said.count("SIGKILL") == 1, "names rank and signal once", ends, said)
    row.check(time_of(ends[0]) - killed <= 3, "verdict within 3 s", time_of(ends[0]) - killed)
    flight = subprocess.run([row.chorale, "inspect", row.run, "--flight", "--json"], capture_output=True, text=True, timeout=60, check=False)
    row.check(flight.returncode == 0 and json.loads(flight.stdout)["first"]["rank"] == 1, "the restart keeps what the survivor recorded", flight, os.listdir(row.run + "/logs"))
    row.check(row.hash() == expected, "ends with the bits of an undisturbed run", row.hash())
    row.check_resumed()


def killed_at_start(row, expected):
    row.start()
    row.check(row.until(lambda: row.pid(rank=1)), "starts")
    killed = time.time()
    os.kill(row.pid(rank=1), signal.SIGKILL)
    code, said = row.end()
    ends = row.events("end")
    row.check(code == 0 and row.hash() == expected and "restart 1 of 3" in said, "a rank killed before MPI is up: started again, same bits", code, said)
    row.check([e["code"] for e in ends] == [75, 0], "one verdict of 75, then done", ends)
    # Before any of them had a connection mpirun alone knows of it, and by its code not whose end it was.
    row.check(bool(ends) and (ends[0]["rank"] == 1 or "one of the ranks 0, 1 has ended" in ends[0]["cause"]), "it names the rank", ends)
    row.check(bool(ends) and time_of(ends[0]) - killed <= 3, "verdict within 3 s", ends, killed)


def is_stopped(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "T"
    except OSError:
        return False


def interrupted(row, expected):
    """Ctrl-C while no step can end: the ranks are ended, and the run says so itself, also where a second one comes at once."""
    for name, times in (("once", 1), ("twice", 2)):
        run = Row(row.chorale, row.folder, row.name + "-" + name)
        shm = set(os.listdir("/dev/shm"))
        run.start("--inject", "freeze@1:500")
        run.check(run.until(lambda: run.has_checkpoint() and is_stopped(run.pid(rank=1))), f"{name}: rank 1 is stopped")
        for _ in range(times):
            run.child.send_signal(signal.SIGINT)
            time.sleep(0.1)
        code, said = run.end(10)
        ends = run.events("end")
        run.check(code == 130 and [e["code"] for e in ends] == [130] and "interrupted" in ends[0]["cause"], f"{name}: 130, in events.jsonl too", code, ends)
        run.check(bool(ends) and ends[0]["cause"] in said, f"{name}: it is said", said)
        run.check(not os.path.exists(run.run + "/lock"), f"{name}: the lock is given back")
        run.start("--resume")
        code, said = run.end()
        run.check(code == 0 and run.hash() == expected, f"{name}: goes on to the same bits", code, run.hash(), said)
        run.check_clean(shm)
        row.wrong += run.wrong


def interrupted_between_starts(row, expected):
    row.start("--inject", "kill9@1:100!", "--restarts", "5")
    row.check(row.until(lambda: len(row.events("end")) == 2, 60), "waits for 1 s before the third start", row.events("end"))
    row.child.send_signal(signal.SIGINT)
    code, said = row.end(10)
    row.check(code == 130 and [e["code"] for e in row.events("end")] == [75, 75], "Ctrl-C in a wait ends with 130", code, said)
    del expected


def port_of(pid):
    """On which that process listens; 0: on none."""
    mine = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            mine.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
    with open("/proc/net/tcp", encoding="ascii") as file:
        for words in (line.split() for line in file.readlines()[1:]):
            if words[3] == "0A" and f"socket:[{words[9]}]" in mine:
                return int(words[1].split(":")[1], 16)
    return 0


def strangers(row, expected):
    """Who does not know the secret connects first, and stays silent."""
    row.start("--inject", "kill9@1:1000", "--restarts", "1")
    ports = []
    row.check(row.until(lambda: ports.append(port_of(row.child.pid)) or ports[-1], 20), "listens")
    silent = [socket.create_connection(("127.0.0.1", ports[-1]), 5) for _ in range(100)]
    code, said = row.end()
    for one in silent:
        one.close()
    ends = row.events("end")
    row.check(code == 0 and [e["code"] for e in ends] == [75, 0], "they keep no rank out", code, ends, said)
    row.check(bool(ends) and ends[0]["rank"] == 1 and "SIGKILL" in ends[0]["cause"] and "connections were ended at port" in ends[0]["cause"],
              "the verdict of the killed rank says how many there were", ends)
    row.check(row.hash() == expected, "ends with the bits of an undisturbed run", row.hash())
    row.check_resumed()


def killed_launcher(row, expected):
    row.start()
    row.until(row.has_checkpoint)
    killed = time.time()
    os.kill(row.launcher(), signal.SIGKILL)
    row.check(row.until(lambda: row.events("end"), 10) and time.time() - killed < 4, "verdict within 4 s", time.time() - killed)
    code, said = row.end()
    row.check(code == 0 and row.hash() == expected, "a killed mpirun: started again, same bits", code, said)
    row.check([e["code"] for e in row.events("end")] == [75, 0], "one verdict of 75, then done", row.events("end"))
    row.check_resumed()


def launcher_asked_to_end(row, expected):
    """By somebody else: the supervisor was not. Ranks save, which mpirun may not wait for."""
    row.start()
    row.check(row.until(row.has_checkpoint), "trains")
    os.kill(row.launcher(), signal.SIGTERM)
    code, said = row.end()
    ends = row.events("end")
    row.check(code == 0 and row.hash() == expected, "a TERM to mpirun: started again, same bits", code, said)
    row.check(len(ends) == 2 and ends[0]["code"] in (75, 99) and ends[1]["code"] == 0, "one verdict, then done", ends)
    row.check("interrupted" not in said, "nobody pressed Ctrl-C", said)
    row.check_resumed()


def overwritten(row, expected):
    """A rank is lost before the run that is to be replaced has gone: the new one is trained from its beginning."""
    row.start("--train.steps", "400", "--optimizer.lr", "0.02")
    row.check(row.end()[0] == 0, "the old run")
    old = row.hash()
    for fault in ("kill9@1:0:init", "kill9@0:0:read", "kill9@1:500"):
        row.start("--overwrite", "--inject", fault)
        code, said = row.end()
        ends = row.events("end")
        row.check(code == 0 and row.hash() == expected != old, f"{fault}: the bits of the new run", code, row.hash(), said)
        row.check([e["code"] for e in ends] == [75, 0] and "SIGKILL" in ends[0]["cause"], f"{fault}: one verdict of 75, then done", ends)
        row.check([e["attempt"] for e in ends] == [1, 2] and not run_folder.wrong_lines(row.run), f"{fault}: attempts from 1 on", ends)


def frozen_launcher(row, expected):
    row.start()
    row.until(row.has_checkpoint)
    os.kill(row.launcher(), signal.SIGSTOP)
    row.until(lambda: row.events("end"))
    over = time.time()
    code, said = row.end()
    row.check(code == 0 and time.time() - over < 4, "an mpirun that never ends is given up", code, time.time() - over, said)
    row.check([(e["attempt"], e["code"]) for e in row.events("end")] == [(1, 0)], "what the ranks said is the verdict", row.events("end"))
    row.check(row.hash() == expected, "same bits", row.hash())


def frozen_launcher_of_dead_ranks(row, expected):
    """Nobody tells the supervisor that they are gone: it knows it from their connections."""
    row.start()
    row.check(row.until(row.has_checkpoint), "trains")
    os.kill(row.launcher(), signal.SIGSTOP)
    killed = time.time()
    for pid in [row.pid(rank) for rank in (0, 1)]:
        os.kill(pid, signal.SIGKILL)
    code, said = row.end()
    ends = row.events("end")
    row.check(code == 0 and [e["code"] for e in ends] == [75, 0] and "SIGKILL" in ends[0]["cause"], "one verdict of 75 from its own knowledge, then done", code, ends, said)
    row.check(bool(ends) and time_of(ends[0]) - killed <= 3, "verdict within 3 s", ends, killed)
    row.check(row.hash() == expected, "same bits", row.hash())
    row.check_resumed()


def killed_supervisor(row, expected):
    row.start()
    row.until(row.has_checkpoint)
    row.child.kill()
    row.check(row.until_gone(10), "no orphan 10 s after the supervisor was killed", running(row.run))
    row.child.communicate()
    before = row.events("end")
    row.start("--resume")
    code, said = row.end()
    row.check(code == 0 and row.hash() == expected, "goes on with the same bits", code, said)
    ends = row.events("end")
    row.check([(e["attempt"], e["code"]) for e in ends] == [(1, 75), (2, 0)] and (before or ends[0]["cause"].startswith("no end was recorded; its ranks")),
              "every attempt has an end", ends)
    row.check_resumed()


def paused_supervisor(row, expected):
    """It is stopped, its ranks die, and another start takes the run over: what it would say when it wakes up is no longer its to say."""
    for new_owner in ("trains", "has come and gone"):
        run, row.run = row.run, row.run + "-" + new_owner.split()[0]
        row.start()
        row.check(row.until(row.has_checkpoint), "trains")
        old = row.child
        for pid in (old.pid, row.launcher()):
            os.kill(pid, signal.SIGSTOP)
        for pid in [row.pid(rank) for rank in (0, 1)]:
            os.kill(pid, signal.SIGKILL)
        row.child = None
        row.start("--resume")
        row.check(row.until(lambda: len(row.events("start")) == 2, 30), "another start takes the run over", row.events("start"))
        new = row.child
        if new_owner == "trains":
            os.kill(new.pid, signal.SIGSTOP)  # so that the old one speaks first, however fast the rest is trained
        else:
            new.wait(timeout=120)
        for pid in (row.launcher_of(old), old.pid):
            os.kill(pid, signal.SIGCONT)
        said = old.communicate(timeout=60)[1]
        row.check(old.returncode == 76 and "has another owner now" in said, f"the new one {new_owner}: the old one leaves with 76", old.returncode, said)
        if new_owner == "trains":
            os.kill(new.pid, signal.SIGCONT)
        code, said = row.end()
        row.check(code == 0 and row.hash() == expected, f"the new one {new_owner}: the bits of an undisturbed run", code, said)
        ends = [(e["attempt"], e["code"]) for e in row.events("end")]
        row.check(ends == [(1, 75), (2, 0)] and row.events("end")[0]["cause"].startswith("no end was recorded"),
                  f"the new one {new_owner}: it alone has written verdicts", row.events("end"))
        row.check_resumed(f"the new one {new_owner}")
        row.run = run


def gone_for_good(row, expected):
    row.start("--restarts", "1")
    for _ in range(2):
        row.until(lambda: row.pid(rank=0))
        row.until(row.has_checkpoint)
        pid = row.pid(rank=0)
        os.kill(pid, signal.SIGKILL)
        row.until(lambda: not os.path.exists(f"/proc/{pid}") and row.pid(rank=0) != pid, 5)
    code, said = row.end()
    row.check(code == 75 and "1 restarts are used up" in said and "--resume goes on" in said, "ends with 75 when restarts are used up, and says how to go on",
              code, said)
    left = [name for name in os.listdir(row.run) if name.startswith("lock")]
    row.check(not left, "the lock of the rank that was killed is given back", left)
    row.start("--resume")
    code, said = row.end()
    row.check(code == 0 and row.hash() == expected, "goes on by hand to the same bits", code, said)
    row.check([(e["attempt"], e["code"]) for e in row.events("end")] == [(1, 75), (2, 75), (3, 0)], "each attempt has its verdict", row.events("end"))
    row.check_resumed()


def waits_that_grow(row, expected):
    """Between starts that come to nothing; none after a new checkpoint."""
    row.start("--restarts", "9")
    for _ in range(3):
        row.until(lambda: row.pid(rank=1))
        pid = row.pid(rank=1)
        os.kill(pid, signal.SIGKILL)
        row.until(lambda: row.pid(rank=1) not in (0, pid))
    row.check(row.until(row.has_checkpoint) and row.pid(rank=1), "trains")
    os.kill(row.pid(rank=1), signal.SIGKILL)
    code, said = row.end()
    for text in ("restart 1 of 9, ", "restart 2 of 9 in 1 s, ", "restart 3 of 9 in 2 s, ", "restart 4 of 9, from step_"):
        row.check(said.count(text) == 1, f"says '{text}'", said)
    starts = [time_of(e) for e in row.events("end")]
    row.check(len(starts) == 5 and starts[2] - starts[1] >= 1 and starts[3] - starts[2] >= 2, "and waits so long", row.events("end"))
    row.check(code == 0 and row.hash() == expected, "same bits", code, row.hash())
    row.check_resumed()


def random_kills(row, expected, kills, *options):
    seed = int(os.environ.get("CHORALE_TEST_SEED", random.randrange(1 << 30)))
    rng = random.Random(seed)
    print("      seed", seed, flush=True)
    row.start("--restarts", str(kills + 5), *options)
    row.until(lambda: row.pid(rank=1))
    begun, killed = time.time(), []
    row.check(row.until(row.has_checkpoint), "trains")
    first_save = time.time() - begun  # of this machine as it is now
    newest, without = 0, 0
    while len(killed) < kills and row.until(lambda: row.pid(rank=0) not in killed + [0] and row.pid(rank=1) not in killed + [0]):
        newest, without = run_folder.newest(row.run), without + 1 if run_folder.newest(row.run) == newest else 0
        if without < 4 and rng.random() < 0.5:
            time.sleep(rng.uniform(0, first_save))
        else:  # what has come to a new checkpoint is started again without a wait, and the fifth in a row without one waits for 8 s
            before = run_folder.newest(row.run)
            row.until(lambda: run_folder.newest(row.run) > before)
            time.sleep(rng.uniform(0, 0.1))
        pid = row.pid(rank=rng.randrange(2))
        if pid:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
    code, said = row.end(600)
    ends = row.events("end")
    row.check(code == 0 and row.hash() == expected, f"{len(killed)} random kills: ends with the bits of an undisturbed run", code, said[-2000:])
    row.check(len(killed) > kills / 2, "it lasted long enough for them", len(killed))
    row.check(len(ends) > 2 and {e["code"] for e in ends[:-1]} == {75} and all("SIGKILL" in e["cause"] for e in ends[:-1]), "each attempt but the last was ended by one", ends)
    row.check_resumed()


def few_random_kills(row, expected):
    random_kills(row, expected, 6)


def hundred_random_kills(row, expected):
    del expected
    longer = ("--train.steps", "40000", "--train.evaluate_every", "40000")
    whole, shm = Row(row.chorale, row.folder, row.name + "-whole"), set(os.listdir("/dev/shm"))
    whole.start(*longer)
    whole.end(600)
    whole.check_clean(shm)
    random_kills(row, whole.hash(), 100, *longer)
    row.wrong += whole.wrong


ROWS = {f.__name__: f for f in (killed_rank, interrupted, interrupted_between_starts, overwritten, strangers, launcher_asked_to_end, killed_at_start, killed_launcher, frozen_launcher,
                                frozen_launcher_of_dead_ranks, killed_supervisor, paused_supervisor, gone_for_good,
                                waits_that_grow, few_random_kills, hundred_random_kills)}

if __name__ == "__main__":
    sys.exit(main(ROWS))
