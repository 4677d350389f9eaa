"""Two nodes that are not alike: a flipped bit in one node's copy of the weights, an older data file on the second node.

  python3 tests/cluster/unlike.py build/release/chorale [ROW ...]
"""
import os
import re
import shutil
import subprocess
import sys
import time

import network

CHECKS = ["--parallel.exchange", "shared", "--train.check_replicas", "10"]
FLIP = ["--inject", "bitflip@2:305:0.weight"]
OWN = 'cd "$0/$((OMPI_COMM_WORLD_RANK / 2))" && exec "$@"'


def flipped_bit(run, expected):
    """`shared`: the ranks of a node have one copy, and nodes compare theirs. Rank 2 is the first of the second node."""
    run.start(*CHECKS, *FLIP)
    code, said = run.end()
    ends = run.ends()
    says = "copies of the parameters differ after step 310: tensor '0.weight' of rank 2 ("
    run.check(bool(ends) and ends[0]["code"] == 75 and ends[0]["rank"] == 2 and ends[0]["step"] == 310 and says in ends[0]["cause"],
              "found at the next check, with tensor, rank and step", ends, said)
    run.check("is not that of rank 0 (" in said and "which of them is right cannot be told" in said, "of two copies neither is called right", said)
    run.check(said.count(says) == 1, "said once", said)
    if run.is_mpirun:
        run.check(code == 75 and len(ends) == 1, "all ranks end", code, ends, said)
        run.start(*CHECKS, "--resume")
        code, said = run.end()
    run.check(code == 0 and [e["code"] for e in run.ends()] == [75, 0], "it goes on from the checkpoint before", code, run.ends(), said)
    run.check(run.hash() == expected, "with the bits of an undisturbed run", run.hash(), expected)
    run.check_resumed()


def other_data(run, expected):
    """Each node has a file of its own under the one name that the recipe has."""
    folders = [f"{run.path}-data/{node}" for node in (0, 1)]
    whole = run.nodes.folder + "/shop/sessions.csv"
    for folder in folders:
        os.makedirs(folder)
        shutil.copy(whole, folder + "/data.csv")
    with open(folders[1] + "/data.csv", "r+", encoding="utf-8") as file:
        text = file.read()
        at = re.compile(r"\d").search(text, text.index("\n")).start()
        file.seek(at)
        file.write(str((int(text[at]) + 1) % 10))

    def start():
        words = ["bash", "-c", OWN, os.path.dirname(folders[0]), run.chorale, "train", run.nodes.folder + "/recipe.ini", "--run-dir", run.path, "--quiet", "--data.file",
                 "/proc/self/cwd/data.csv"]
        run.child = subprocess.Popen(run.nodes.mpirun(2, words), env=dict(os.environ, OMPI_MCA_mpi_yield_when_idle="1"), stderr=subprocess.PIPE, text=True,
                                     start_new_session=True)
        return run.end()
    begun = time.time()
    code, said = start()
    run.check(code == 65 and "data.csv begins otherwise on rank 2 than on rank 0" in said and "all ranks must read the same file" in said, "refused with 65, the rank is named", code, said)
    run.check(time.time() - begun < 15 and not os.path.exists(run.path), "before the run has begun", time.time() - begun)
    run.check_clean()
    shutil.copy(whole, folders[1] + "/data.csv")
    code, said = start()
    run.check(code == 0 and run.hash() == expected, "alike they train to the bits of an undisturbed run", code, run.hash(), expected, said)


ROWS = [(flipped_bit, False), (flipped_bit, True), (other_data, True)]

if __name__ == "__main__":
    sys.exit(network.main("two nodes that are not alike", [row for row in ROWS if not sys.argv[2:] or row[0].__name__ in sys.argv[2:]]))
