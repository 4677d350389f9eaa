"""What can be submitted, and what starts its ranks: any folder name, mpirun where srun brings no ranks together, arrays, templates, the doctor."""
import json
import os
import re
import shlex
import signal

import run_folder


def submitted_jobs_train_to_the_bits_of_one_node_whatever_their_folder_is_called(t):
    pwned = t.work + "/pwned"
    job, run = t.submit(f"it's a \"run\" $(touch {os.path.basename(pwned)}) `id`; #SBATCH --time=1 \u00e9", "--job-name", "shoppers.v1_a")
    t.wait_end(job, run)
    assert t.hash_of(run) == t.expected, "other bits than mpirun -np 4 on one node"
    assert not os.path.exists(pwned) and not os.path.exists(run + "/" + os.path.basename(pwned)), "a name was run"
    assert "by srun --mpi=pmix" in t.output(run), t.output(run)
    assert "4 on 2 nodes" in t.output(run), t.output(run)
    assert t.status(run)["state"] == "done", (t.status(run), t.ends(run))
    for refused in ("two\nlines", "%j", "back\\slash"):
        code, said = t.slurm.run([t.chorale, "submit", *t.recipe, "--time", "01:00:00", "--run-dir", f"{t.work}/{refused}"], check=False)
        assert code == 64 and not os.path.exists(f"{t.work}/{refused}"), (refused, code, said)


def without_pmix_mpirun_starts_the_ranks_and_is_told_to_save(t):
    job, run = t.submit_without_pmix("mpirun")
    t.wait_step(run, 60)
    assert "ranks are started by mpirun" in t.output(run), t.output(run)
    t.slurm.run(["scancel", "--signal=USR2", job])
    t.goes_on(job, run)


def a_probe_that_fails_once_is_made_again(t):
    once = t.work + "/probe-failed"
    text = f'case " $* " in *" --mpi=pmix "*) [ -e "{once}" ] || {{ touch "{once}"; echo "srun: error: a task is lost" >&2; exit 1; }};; esac'
    job, run = t.submit_by("srun", text, "probed_again")
    t.wait_end(job, run)
    assert "a task is lost" in t.output(run) and "ranks are started by srun --mpi=pmix" in t.output(run), t.output(run)
    assert t.hash_of(run) == t.expected, "other bits"


def a_run_of_an_array_requeues_itself_alone(t):
    job, run = t.submit("array", "--array", "seeds=1-2")
    for seed in (1, 2):
        t.wait_step(f"{run}/seed_{seed}", 20)
    # The array's last one has the array's own number: the one that could requeue all.
    os.kill(t.ranks(f"{run}/seed_2")[0], signal.SIGUSR2)
    t.slurm.wait_for(lambda: t.ends(f"{run}/seed_2"), 60, "no verdict")
    t.slurm.wait_state(f"{job}_2", "PENDING", 60)
    assert not any(code == 99 for _, code, _ in t.ends(f"{run}/seed_1")), "the other one was requeued too"
    t.slurm.release(f"{job}_2")
    for seed in (1, 2):
        t.wait_end(f"{job}_{seed}", f"{run}/seed_{seed}")
    codes = [[code for _, code, _ in t.ends(f"{run}/seed_{seed}")] for seed in (1, 2)]
    assert codes == [[0], [99, 0]], (codes, t.output(run))
    assert t.hash_of(f"{run}/seed_1") != t.hash_of(f"{run}/seed_2"), "two seeds gave one result"
    assert "seed_1" in t.slurm.run([t.chorale, "status", run])


def the_folder_of_a_job_is_not_submitted_into_and_a_resumed_run_keeps_its_bits_with_fewer_ranks(t):
    job, run = t.submit("taken")
    t.wait_step(run, 20)
    for path, folders, files in os.walk(run):
        modes = {oct(os.stat(f"{path}/{name}").st_mode & 0o777) for name in files}, {oct(os.stat(f"{path}/{name}").st_mode & 0o777) for name in folders}
        assert modes[0] <= {"0o640"} and modes[1] <= {"0o750"}, (path, modes)
    again = [t.chorale, "submit", *t.recipe, "--nodes", "2", "--time", "01:00:00", "--run-dir", run]
    with open(run + "/job.ini", encoding="utf-8") as file:
        before = file.read(), os.stat(run + "/job.ini").st_mtime_ns, os.stat(run + "/job.sh").st_mtime_ns
    for more in (["--resume"], []):
        code, said = t.slurm.run(again + ["--ranks-per-node", "1", *more], check=False)
        assert code == 76 and f"belongs to job {job}, which is RUNNING" in said, (code, said)
    with open(run + "/job.ini", encoding="utf-8") as file:
        assert before == (file.read(), os.stat(run + "/job.ini").st_mtime_ns, os.stat(run + "/job.sh").st_mtime_ns), "something was touched"
    t.slurm.run(["scancel", "--signal=USR2", job])
    t.slurm.wait_state(job, "PENDING", 60)
    t.slurm.run(["scancel", job])
    t.slurm.wait_state(job, ("CANCELLED", "GONE"), 60)
    code, said = t.slurm.run(again + ["--ranks-per-node", "1"], check=False)
    assert code == 64 and "--resume" in said and "--overwrite" not in said, (code, said)
    code, said = t.slurm.run(again + ["--ranks-per-node", "3", "--resume"], check=False)
    assert code == 64 and "6 ranks for 4 virtual workers" in said and "--parallel.virtual_workers 6" in said, (code, said)
    job = re.match(r"job (\d+): ", t.slurm.run(again + ["--ranks-per-node", "1", "--resume"])).group(1)
    t.wait_end(job, run)
    assert t.hash_of(run) == t.expected, "other bits"


def a_job_that_is_submitted_from_a_task_of_an_array_is_none_of_it(t):
    run = t.work + "/from_inside"
    words = [t.chorale, "submit", *t.recipe, "--nodes", "1", "--ranks-per-node", "2", "--time", "01:00:00", "--run-dir", run, "--train.steps", "10"]
    outer = t.slurm.run(["sbatch", "--parsable", "--array=5", "--output=/dev/null", "--wrap", shlex.join(words)], cwd=t.work).strip()
    t.slurm.wait_for(lambda: os.path.exists(run + "/events.jsonl"), 60, "nothing was submitted")
    job = run_folder.events(run, "submit")[0]["job"]
    t.wait_end(job, run)
    assert run_folder.events(run, "start")[0]["job"] == job != outer and f"job {job}: start 0," in t.output(run), t.output(run)


def the_doctor_looks_at_the_tasks_of_srun_and_says_when_pmix_does_not_join_them(t):
    def visit(*srun):
        errors = t.work + "/doctor.errors"  # a file of its own: what Slurm complains of would stand in the middle of the report
        for _ in range(3):
            code, said = t.slurm.run(["sh", "-c", 'errors=$1; shift; exec "$@" 2>"$errors"', "sh", errors, "srun", "--overcommit", "-N2", "-n4", *srun,
                                      t.chorale, "doctor", "--json"], check=False, cwd=t.work)
            found = re.search(r"^\{$.*?^\}$", said, re.M | re.S)
            with open(errors, encoding="utf-8", errors="replace") as file:
                complaints = file.read()
            # On a busy machine Slurm's own plug-in loses a task while MPI starts, now and then, and kills all: nobody is left to report.
            if found or "pmixp_client" not in complaints:
                break
        assert found, (code, said, complaints)
        return json.loads(found.group(0)), complaints

    report, complaints = visit("--mpi=pmix")
    checks = {check["name"]: check for check in report["checks"]}
    assert report["ranks"] == 4 and report["launcher"] == "the outer srun", report
    assert checks["slurm"]["state"] == "ok" and checks["slurm"]["values"]["pmix"], checks["slurm"]
    assert checks["world"]["state"] == "ok" and checks["world"]["values"]["hosts"] == 2, checks["world"]
    assert checks["all_reduce"]["state"] == "ok" and checks["run_directory"]["state"] == "ok", (checks, complaints)
    assert "rank 0 on" in checks["bandwidth"]["found"] and checks["bandwidth"]["state"] == "warning", checks["bandwidth"]  # of RATE
    report, _ = visit("--mpi=none")
    world = next(check for check in report["checks"] if check["name"] == "world")
    assert report["code"] == 75 and world["state"] == "failed", world
    assert "PMIx did not connect" in world["found"] and "--mpi=pmix" in world["remedy"], world


def the_templates_train_and_requeue(t):
    for name, expected in (("cpu.sh", ["ended with 0"]), ("requeue.sh", ["queued again", "ended with 0"]), ("array.sh", ["ended with 0"])):
        work = f"{t.work}/template_{name}"
        os.mkdir(work)
        words = ["env", "RECIPE=" + t.recipe[0], "FLAGS=" + " ".join(t.recipe[1:3] + t.recipe[3:5] + ["--train.log_every", "1"])]
        job = t.slurm.run(words + ["sbatch", "--parsable", "--nodes=2", "--ntasks-per-node=2", *(["--array=1"] if name == "array.sh" else []),
                                   f"{t.source}/slurm/{name}"], cwd=work).strip()
        run = work + ("/run_1" if name == "array.sh" else "/run")
        each = job + "_1" if name == "array.sh" else job
        if name == "requeue.sh":
            t.wait_step(run, 30)
            t.slurm.run(["scancel", "--signal=USR2", job])
            t.slurm.release(job)
        t.wait_end(each, work)
        assert t.ends(run)[-1][1] == 0, t.output(work)
        for text in expected:
            assert text in t.output(work), (text, t.output(work))


SHORT = [submitted_jobs_train_to_the_bits_of_one_node_whatever_their_folder_is_called,
         the_doctor_looks_at_the_tasks_of_srun_and_says_when_pmix_does_not_join_them]
LONG = [without_pmix_mpirun_starts_the_ranks_and_is_told_to_save, a_probe_that_fails_once_is_made_again,
        a_run_of_an_array_requeues_itself_alone, the_templates_train_and_requeue,
        the_folder_of_a_job_is_not_submitted_into_and_a_resumed_run_keeps_its_bits_with_fewer_ranks,
        a_job_that_is_submitted_from_a_task_of_an_array_is_none_of_it]
