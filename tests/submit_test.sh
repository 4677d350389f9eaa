#!/usr/bin/env bash
# chorale submit and status with stand-ins for Slurm's commands: what is refused, what is written, and by which mode.
# usage: submit_test.sh CHORALE SOURCE
set -uo pipefail
chorale=$(realpath "$1") source=$(realpath "$2")
. "$source/tests/expect.sh"
mkdir bin
export PATH="$PWD/bin:$PATH"
stand_in() { printf '#!/bin/bash\n%s\n' "$2" >"bin/$1" && chmod +x "bin/$1"; }
stand_in sbatch 'env >seen; touch slurm-41.out; echo 41'
stand_in squeue "cat '$PWD/state' 2>/dev/null || { echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1; }"
stand_in scontrol 'echo "ClusterName = here"'
printf '[data]\nfile = rows.csv\ntarget = y\n' >recipe.ini
submit=(submit recipe.ini --time 01:00:00)
umask 022

# Everything is its owner's, and the group's to read; nothing of an outer job reaches the new one.
SLURM_JOB_ID=7 SLURM_ARRAY_JOB_ID=6 SLURM_ARRAY_TASK_ID=5 SLURM_HET_SIZE=2 expect 0 "job 41: 2 nodes" "${submit[@]}" --nodes 2 --ranks-per-node 2 --run-dir deep/run
check "modes: $(find deep -printf '%m %p, ')" [ -z "$(find deep -type d ! -perm 750 -o -type f ! -perm 640)" ]
check "an outer job's variables reach sbatch" [ "$(grep -c '^SLURM_' deep/run/seen)" = 0 ]
check "virtual workers are not as many as ranks" grep -q '^virtual_workers = 4$' deep/run/job.ini

# The folder of a job that is queued or runs is another's, and nothing in it is touched.
before=$(cat deep/run/job.*)
for state in 'PENDING (Priority)' 'RUNNING (None)' 'COMPLETING (None)'; do
  echo "$state" >state
  expect 76 "belongs to job 41, which is $state" "${submit[@]}" --resume --run-dir deep/run
  expect 76 "belongs to job 41" "${submit[@]}" --run-dir deep/run
done
check "a refused submit has touched the folder" [ "$before" = "$(cat deep/run/job.*)" ]
rm state
expect 64 "or --resume to go on with the run in it" "${submit[@]}" --run-dir deep/run

# A run goes on with its virtual workers.
printf '[parallel]\nvirtual_workers = 4\n' >deep/run/recipe.resolved.ini
expect 64 "6 ranks for 4 virtual workers, which" "${submit[@]}" --resume --run-dir deep/run --nodes 3 --ranks-per-node 2
expect 0 "job 41: 1 nodes" "${submit[@]}" --resume --run-dir deep/run
check "the run has lost its virtual workers" grep -q '^virtual_workers = 4$' deep/run/job.ini
expect 64 "4 ranks for 2 virtual workers; ask for" "${submit[@]}" --run-dir new --nodes 2 --ranks-per-node 2 --parallel.virtual_workers 2
check "a refused submit has made a folder" [ ! -e new ]

# An array's lead is measured in its seeds' runs; a task that has not begun hides no other.
expect 0 "job 41" "${submit[@]}" --array seeds=1-2 --run-dir array
mkdir array/seed_1 array/seed_2
echo '{"event":"checkpoint","pause_ms":0,"write_ms":50000}' >array/seed_1/metrics.jsonl
echo '{"attempt":1,"event":"end","step":5,"code":0,"cause":"done"}' >array/seed_2/events.jsonl
expect 0 "--signal=USR2@180" "${submit[@]}" --array seeds=1-2 --resume --run-dir array --dry-run
echo '{"event":"checkpoint","pause_ms":0,"write_ms":70000}' >array/seed_2/metrics.jsonl
expect 0 "--signal=USR2@240" "${submit[@]}" --array seeds=1-2 --resume --run-dir array --dry-run
echo 'RUNNING (None)' >state
check "the cluster of the job is not said" grep -q '"job":"41","cluster":"here"' array/events.jsonl
expect 0 "starting: the job runs" status array
sed -i 's/"cluster":"here"/"cluster":"there"/' array/events.jsonl
expect 0 "queued: it has not started yet" status array
sed -i 's/"cluster":"there"/"cluster":"here"/' array/events.jsonl
expect 0 "done" status array
rm state

# Pipes that others have put into a run or beside it are waited for by nobody.
mkdir recipe-2 && mkfifo recipe-2/metrics.jsonl
expect 0 "#SBATCH" "${submit[@]}" --run-dir another --dry-run
mkdir -p piped/logs && mkfifo piped/events.jsonl piped/logs/flight_rank_0.json
expect 64 "holds no run" status piped
expect 74 "is no regular file" inspect piped --flight
exit $failed
