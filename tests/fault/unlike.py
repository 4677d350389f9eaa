"""Ranks that are not alike: another recipe, another build of the program, another data file. Refused before step 0, with the difference named.

  python3 tests/fault/unlike.py build/release/chorale [ROW ...]

The user's mpirun starts them in folders of their own, RANK/, each with its program, recipe and data; the same words mean other things there.
"""
import os
import re
import shutil
import subprocess
import sys
import time

from ends import STEPS
from rows import Mpirun, main

OWN = 'cd "$0/$OMPI_COMM_WORLD_RANK" && exec "$0/$OMPI_COMM_WORLD_RANK/bin/chorale" "$@"'


class Unlike(Mpirun):
    """Two ranks that differ in what they find under the same names."""

    def make(self):
        self.folders = [f"{self.folder}/{self.name}-ranks/{rank}" for rank in (0, 1)]
        for folder in self.folders:
            os.makedirs(folder + "/bin")
            shutil.copy(self.chorale, folder + "/bin/chorale")
            shutil.copy(self.folder + "/shop/sessions.csv", folder + "/data.csv")
            shutil.copy(self.folder + "/recipe.ini", folder + "/recipe.ini")

    def start(self, *options, ranks=2):
        words = ["mpirun", "-np", str(ranks), "--oversubscribe", "--bind-to", "none", "bash", "-c", OWN, os.path.dirname(self.folders[0]), "train", "recipe.ini",
                 "--data.file", "/proc/self/cwd/data.csv", "--run-dir", self.run, "--quiet", *STEPS, *options]
        library = os.path.dirname(self.chorale)
        mine = {"OMPI_MCA_orte_tmpdir_base": self.temporary, "OMPI_MCA_mpi_yield_when_idle": "1", "TMPDIR": self.temporary, "LD_LIBRARY_PATH": library}
        self.child = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=dict(os.environ, **mine), start_new_session=True)


def refused(row, expected, spoil, code, says, restore):
    """spoil: what is done to rank 1's folder. Nothing has begun when it is refused, and with restore done the run has the bits of any other."""
    run = Unlike(row.chorale, row.folder, row.name + "-" + spoil.__name__)
    run.make()
    shm, begun = set(os.listdir("/dev/shm")), time.time()
    spoil(run.folders[1])
    run.start()
    got, said = run.end()
    took = time.time() - begun
    run.check(got == code and re.search(says, said), f"refused with {code}, the difference and the rank are named", got, said)
    run.check(took < 10, "within seconds", took)
    run.check(len(re.findall(says, said)) <= 2 and "step 1" not in said, "and once", said)
    run.check(not os.path.exists(run.run), "before the run has a folder, an event or a checkpoint", said)
    run.check_clean(shm)
    restore(run.folders[1])
    run.start()
    got, said = run.end()
    run.check(got == 0 and run.hash() == expected, "alike they train to the bits of an undisturbed run", got, said)
    run.check_clean(shm)
    row.wrong += run.wrong


def copy_from_rank_0(name):
    return lambda folder: shutil.copy(f"{folder}/../0/{name}", f"{folder}/{name}")


def other_recipe(row, expected):
    def spoil(folder):
        with open(folder + "/recipe.ini", "a", encoding="ascii") as file:
            file.write("[optimizer]\nlr = 0.0123\n")
    spoil.__name__ = "lr"
    refused(row, expected, spoil, 64, r"rank 0 and rank 1 differ before step 0: optimizer.lr is '\S+' on rank 0 and '0.0123' on rank 1", copy_from_rank_0("recipe.ini"))


def other_binary(row, expected):
    def spoil(folder):
        """As another build has it: its id, which the linker makes from all that is in it."""
        notes = subprocess.run(["readelf", "-n", folder + "/bin/chorale"], capture_output=True, text=True, check=True).stdout
        mark = bytes.fromhex(re.search(r"Build ID: ([0-9a-f]+)", notes)[1])
        with open(folder + "/bin/chorale", "rb") as file:
            program = file.read()
        assert program.count(mark) == 1
        with open(folder + "/bin/chorale", "wb") as file:
            file.write(program.replace(mark, bytes([mark[0] ^ 1]) + mark[1:]))
    refused(row, expected, spoil, 64, r"rank 0 and rank 1 differ before step 0: build is '[0-9a-f-]+' on rank 0 and '[0-9a-f-]+' on rank 1; start all ranks with one program",
            copy_from_rank_0("bin/chorale"))


def other_data(row, expected):
    def one_line_more(folder):
        with open(folder + "/data.csv", encoding="utf-8") as file:
            lines = file.read().splitlines(keepends=True)
        with open(folder + "/data.csv", "a", encoding="utf-8") as file:
            file.write(lines[-1])

    def one_digit(folder):
        with open(folder + "/data.csv", encoding="utf-8") as file:
            text = file.read()
        at = re.search(r"\d", text[text.index("\n"):]).start() + text.index("\n")
        with open(folder + "/data.csv", "w", encoding="utf-8") as file:
            file.write(text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1:])
    back = copy_from_rank_0("data.csv")
    refused(row, expected, one_line_more, 65, r"data.csv has \d+ bytes on rank 0 and \d+ on rank 1; all ranks must read the same file", back)
    refused(row, expected, one_digit, 65, r"data.csv begins otherwise on rank 1 than on rank 0", back)


ROWS = {f.__name__: f for f in (other_recipe, other_binary, other_data)}

if __name__ == "__main__":
    sys.exit(main(ROWS, *STEPS))
