"""Ranks that die in every part of a run, whoever started them: `chorale train -n` or the user's own mpirun.

  python3 tests/fault/ends.py build/release/chorale [ROW ...]

A rank is killed while it reads a checkpoint, inside MPI_Init and inside MPI_Finalize; it leaves, throws, aborts and crashes before and after
the first collective. The others end within 3 s, the cause comes from that rank, and what goes on ends with the bits of an undisturbed run.
"""
import os
import sys
import time

from rows import Mpirun, Row, main, run_folder, shim, signal_is_known, time_of

STEPS = ["--train.steps", "600", "--train.evaluate_every", "300"]


def end_after_death(row, rank=1, attempt=1):
    """Code, words, and seconds from the death of that rank's process to that attempt's verdict, or to the end where there is none."""
    row.until(lambda: row.pid(rank), 20)
    pid = row.pid(rank)

    def is_dead():
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                return file.read().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            return True
    row.until(is_dead, 30)
    died = time.time()
    code, said = row.end()
    ends = [e for e in row.events("end") if e["attempt"] == attempt]
    return code, said, (time_of(ends[0]) if ends else time.time()) - died


def says_killed(cause):
    """By which signal is known where Linux says it."""
    return "SIGKILL" in cause or ("has died" in cause and not signal_is_known())


def own_mpirun(row, fault, code, says, expected, rank=1, verdict=75, environment=None):
    """The same fault under the user's own mpirun, then by hand with --resume to the same bits."""
    name = "mpirun-" + "".join(c if c.isalnum() else "-" for c in f"{row.name}-{fault}")
    run = Mpirun(row.chorale, row.folder, name)
    shm = set(os.listdir("/dev/shm"))
    run.environment = environment or {}
    begun = time.time()
    run.start(*STEPS, *(["--inject", fault] if not environment else []))
    got, said, took = end_after_death(run, rank)
    run.check(got in code, f"{fault}: mpirun's code is one of {code}", got, said)
    run.check(took <= 3 and time.time() - begun < 20, f"{fault}: ended within 3 s", took)
    run.check(all(text in said for text in says), f"{fault}: says {says}", said)
    ends = run.events("end")
    run.check([e["code"] for e in ends] == [verdict] and ends[0]["attempt"] == 1, f"{fault}: one verdict of {verdict}", ends)
    run.check(verdict == 0 or ends[0]["rank"] == rank, f"{fault}: the verdict names rank {rank}", ends)
    run.environment = {}
    if verdict != 0:
        run.start(*STEPS, "--resume")
        got, said = run.end()
        run.check(got == 0, f"{fault}: goes on by hand", got, said)
        if ":0:" not in fault and "init of MPI" not in fault:  # these end before there is a checkpoint
            run.check_resumed(fault)
    run.check(run.hash() == expected, f"{fault}: the bits of an undisturbed run", run.hash())
    run.check_clean(shm)
    row.wrong += run.wrong


def supervised(row, fault, rank, says, expected, code=75, environment=None):
    name = "".join(c if c.isalnum() else "-" for c in f"{row.name}-{fault}")
    run = Row(row.chorale, row.folder, name)
    shm = set(os.listdir("/dev/shm"))
    run.environment = environment or {}
    run.start(*STEPS, *(["--inject", fault] if not environment else []))
    got, said, took = end_after_death(run, rank)
    ends = run.events("end")
    codes = [code, 0] if code else [0]
    run.check(got == 0 and [e["code"] for e in ends] == codes, f"{fault}: verdicts {codes}, and done", got, ends, said)
    run.check([e["attempt"] for e in ends] == list(range(1, len(codes) + 1)), f"{fault}: attempts are counted from 1", ends)
    run.check(took <= 3, f"{fault}: verdict within 3 s", took)
    if code:
        run.check(ends[0]["rank"] == rank and says in ends[0]["cause"], f"{fault}: names rank {rank} and '{says}'", ends)
    run.check(says in said, f"{fault}: says '{says}'", said)
    run.check(run.hash() == expected, f"{fault}: the bits of an undisturbed run", run.hash())
    if code and "@" in fault and ":0:" not in fault:
        run.check_resumed(fault)
    run.check_clean(shm)
    row.wrong += run.wrong
    return said


def rank_0_gone(row, expected):
    """Nobody watches, and the rank that would write the verdict is killed, with another one or alone, or hangs: one of the others writes it."""
    del expected
    three, shm = ["--parallel.virtual_workers", "3"], set(os.listdir("/dev/shm"))
    whole = Row(row.chorale, row.folder, row.name + "-whole")
    whole.start(*STEPS, *three, ranks=3)
    whole.end()
    for name, faults, says in (("alone", ["kill9@0:500"], "SIGKILL, cause unknown" if signal_is_known() else "rank 0 (node"), ("with-rank-1", ["kill9@0:500", "kill9@1:500"], "has ended"),
                               ("frozen", ["freeze@0:500", "--watchdog.seconds", "2"], "waiting for rank 0")):
        run = Mpirun(row.chorale, row.folder, row.name + "-" + name)
        words = list(faults)
        for fault in faults:
            if "@" in fault:
                words.insert(words.index(fault), "--inject")
        run.start(*STEPS, *three, *words, ranks=3)
        code, said = run.end()
        ends = run.events("end")
        run.check(code != 0 and [e["code"] for e in ends] == [75] and ends[0]["attempt"] == 1, f"{name}: exactly one verdict of 75", code, ends, said)
        run.check(bool(ends) and ends[0]["rank"] in ((0, 1) if name == "with-rank-1" else (0,)) and says in ends[0]["cause"],
                  f"{name}: it names the rank and '{says}'", ends, said)
        run.check(bool(ends) and ends[0]["step"] in (499, 500), f"{name}: and the step, as far as the others had come", ends)
        run.check("the verdict in place of rank 0" in said, f"{name}: another rank says that it has written it", said)
        newest = run_folder.newest(run.run)  # a stopped rank 0, woken to be ended, may still finish a save, behind the verdict
        run.start(*STEPS, *three, "--resume", ranks=3)
        code, said = run.end()
        run.check(code == 0 and "none" != run.hash() == whole.hash(), f"{name}: goes on by hand to the bits of an undisturbed run", code, run.hash(), said)
        run.check_resumed(name, newest)
        run.check_clean(shm)
        row.wrong += run.wrong


def in_restore(row, expected):
    """While it reads a checkpoint, parameters read, optimiser state not yet."""
    for kind in (Row, Mpirun):
        run = kind(row.chorale, row.folder, row.name + "-" + kind.__name__)
        shm = set(os.listdir("/dev/shm"))
        run.start(*STEPS, "--train.steps", "400")
        code, said = run.end()
        run.check(code == 0 and run.has_checkpoint(), "there is something to restore", code, said)
        run.start(*STEPS, "--resume", "--inject", "kill9@1:0:restore:read")
        code, said, took = end_after_death(run, 1, attempt=2)
        run.check(took <= 3, f"{kind.__name__}: a rank killed in restore: verdict within 3 s", took)
        if kind is Mpirun:
            run.check(code == 137 and "rank 1 (node" in said and "has ended" in said, "under mpirun: ends and names the rank", code, said)
            run.start(*STEPS, "--resume")
            code, said = run.end()
        ends = run.events("end")
        run.check(code == 0 and [(e["attempt"], e["code"]) for e in ends] == [(1, 0), (2, 75), (3, 0)], "one verdict of 75, goes on", code, ends, said)
        run.check(ends[1]["rank"] == 1 and says_killed(ends[1]["cause"]), "it names rank and signal", ends)
        run.check_resumed()
        run.check(run.hash() == expected, "the bits of an undisturbed run", run.hash())
        run.check_clean(shm)
        row.wrong += run.wrong


def in_mpi(row, expected):
    """Inside MPI_Init and inside MPI_Finalize, where it meets the others."""
    for rank in (0, 1):
        for place, code in (("init", 75), ("finalize", 0)):
            for start in (supervised, own_mpirun):
                file = f"{row.folder}/once-{place}-{rank}-{start.__name__}"
                environment = {"LD_PRELOAD": shim(row), "CHORALE_FAULT_KILL": f"{place}:{rank}:{file}"}
                if start is supervised:
                    says = "SIGKILL"
                    supervised(row, f"{place} of MPI, rank {rank}", rank, says, expected, code, environment)
                else:
                    own_mpirun(row, f"{place} of MPI, rank {rank}", [137], ["signal 9"], expected, rank, code, environment)
                row.check(os.path.exists(file), f"{place}, rank {rank}: it was really killed there")


def before_the_first_collective(row, expected):
    for kind, says in (("exit0", "without a word"), ("throw", "asked for by --inject"), ("abort", "SIGABRT"), ("segv", "SIGSEGV")):
        said = supervised(row, f"{kind}@1:0:all_gather", 1, says, expected)
        if kind in ("abort", "segv"):
            row.check(f"rank 1: {says}, last seen in" in said and "\nthread " in said, f"{kind}: the rank itself says so first, its frames beside it", said)
            row.check(said.index(f"rank 1: {says}") < said.index("has ended"), f"{kind}: the rank's own word comes first", said)
    own_mpirun(row, "exit0@1:0:all_gather", [1], ["rank 1 (node", "without a word"], expected)
    own_mpirun(row, "throw@1:0:all_gather", [75], ["rank 1: asked for by --inject"], expected)
    own_mpirun(row, "abort@1:0:all_gather", [134], ["rank 1: SIGABRT, last seen in"], expected)
    own_mpirun(row, "segv@0:0:all_gather", [139], ["rank 0: SIGSEGV, last seen in"], expected, rank=0)


def after_the_first_collective(row, expected):
    for rank in (0, 1):
        own_mpirun(row, f"kill9@{rank}:500", [137], [f"rank {rank} (", "signal 9"], expected, rank)
        own_mpirun(row, f"segv@{rank}:500", [139], [f"rank {rank}: SIGSEGV, last seen in forward", f"backtrace_rank_{rank}.txt"], expected, rank)
    own_mpirun(row, "exit0@1:500", [1], ["rank 1 (node", "without a word"], expected)
    own_mpirun(row, "throw@1:500", [75], ["rank 1: asked for by --inject"], expected)
    own_mpirun(row, "abort@1:500:backward", [134], ["rank 1: SIGABRT, last seen in backward", "backtrace_rank_1.txt"], expected)
    supervised(row, "segv@0:500", 0, "SIGSEGV", expected)
    supervised(row, "throw@0:500", 0, "asked for by --inject", expected)


ROWS = {f.__name__: f for f in (rank_0_gone, in_restore, in_mpi, before_the_first_collective, after_the_first_collective)}

if __name__ == "__main__":
    sys.exit(main(ROWS, *STEPS))
