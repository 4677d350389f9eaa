"""What a run has left in its folder, for tests that kill and freeze: its lines, where its attempts went on, and what should not be there."""
import json
import os
import re

# What scripts may rely upon.
FIELDS = {"time", "attempt", "event", "rank", "where", "step", "code", "cause"}
CODES = {0, 64, 65, 66, 70, 74, 75, 76, 99, 130}
BELONGS = re.compile(
    r"checkpoints|logs|(events|metrics)\.jsonl|summary\.json|recipe\.resolved\.ini|curves\.svg|job\.(sh|ini)|\S+\.out"
    r"|tasks|sharing\.jsonl|pipeline\.json|init_from\.json")  # of a collaboration and its tasks
LOG = re.compile(r"rank_\d+\.jsonl|flight_rank_\d+\.json|backtrace_rank_\d+\.txt|batch_step_\d+\.json|attempt_\d+")


def lines(run, file):
    """Its whole lines; the last one may be under way."""
    if not os.path.exists(f"{run}/{file}"):
        return []
    with open(f"{run}/{file}", encoding="utf-8") as text:
        return [json.loads(line) for line in text if line.endswith("\n")]


def events(run, kind):
    return [line for line in lines(run, "events.jsonl") if line["event"] == kind]


def steps(run):
    """Those that have been logged, in the order of time: some twice, where a rank was lost."""
    return [line["step"] for line in lines(run, "metrics.jsonl") if line["event"] == "step"]


def starts(run):
    """The step after which each attempt began to train, 0 for one that began anew."""
    return [line["step"] for line in lines(run, "metrics.jsonl") if line["event"] == "start"]


def hash_of(run):
    try:
        with open(run + "/summary.json", encoding="utf-8") as file:
            return json.load(file)["parameters_hash"]
    except OSError:
        return "none"


def newest(run):
    """The step of the newest checkpoint; 0: there is none."""
    folder = run + "/checkpoints"
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return max((int(name[5:]) for name in names if re.fullmatch(r"step_\d+", name)), default=0)


def has_checkpoint(run):
    return newest(run) > 0


def not_resumed(run, checkpoint=None):
    """Why it cannot be said that its last attempt went on from the newest checkpoint of the one before it; empty where it did. checkpoint: the newest
    that was there when it began, where that may be newer than what the verdict says."""
    ends, begun = events(run, "end"), starts(run)
    if len(ends) < 2 or len(begun) < 2:
        return f"there were no two attempts: {ends}, which began to train after {begun}"
    checkpoint = checkpoint or ends[-2]["checkpoint"]
    if begun[-1] <= 0 or begun[-1] != checkpoint:
        return f"the last attempt began after step {begun[-1]}, the newest checkpoint was of step {checkpoint}"
    return ""


def wrong_lines(run):
    """What is wrong with its events: every attempt has one end, a known code, and a cause where it did not end well."""
    wrong, ended = [], []
    for line in lines(run, "events.jsonl"):
        wrong += [f"without {FIELDS - set(line)}: {line}"] if FIELDS - set(line) else []
        if line["event"] == "start" and line["attempt"] != len(ended) + 1:
            wrong.append(f"{len(ended)} attempts had ended: {line}")
        if line["event"] == "end":
            ended.append(line["attempt"])
            wrong += [f"no code of ours: {line}"] if line["code"] not in CODES else []
            wrong += [f"no cause: {line}"] if not line["cause"] else []
    if ended != list(range(1, len(ended) + 1)):
        wrong.append(f"attempts that have ended: {ended}")
    if ended and [line["attempt"] for line in events(run, "start")][-1:] > ended[-1:]:
        wrong.append(f"the last attempt has no end, the others were {ended}")
    return wrong


HELD = re.compile(r"lock(\.beat\.\w+)?|\S+\.tmp\.\S+")


def leftovers(run, was_killed=False):
    """Files that should not be there once nobody works on it. was_killed: with nobody left who could take away what a rank held and wrote;
    the next start does."""
    if not os.path.isdir(run):
        return []
    left = [name for name in os.listdir(run) if not BELONGS.fullmatch(name)]
    for folder, belongs in (("checkpoints", re.compile(r"step_\d+")), ("logs", LOG)):
        if os.path.isdir(f"{run}/{folder}"):
            left += [f"{folder}/{name}" for name in os.listdir(f"{run}/{folder}") if not belongs.fullmatch(name)]
    tasks = f"{run}/tasks"  # of a collaboration: each as a run of its own
    for task in os.listdir(tasks) if os.path.isdir(tasks) else []:
        left += [f"tasks/{task}/{name}" for name in leftovers(f"{tasks}/{task}", was_killed)]
    return [name for name in left if not (was_killed and HELD.fullmatch(name))]
