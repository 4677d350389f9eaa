#!/usr/bin/env bash
# Who owns a run directory: two runs at once, an attempt that died, one elsewhere, one that lost it while it trains.
# usage: lock_test.sh CHORALE SOURCE
set -uo pipefail
chorale=$(realpath "$1") source=$(realpath "$2")
. "$source/tests/fault/fault.sh"
lock_of() {  # lock_of MACHINE PID STARTED JOB: as an attempt with a deadline of 0.4 s leaves it
  printf '{"nonce":"elsewhere","cluster":"here","job":"%s","restart":0,"supervisor":0,"host":"other","machine":"%s","pid":%s,"started":%s,"deadline_s":0.4}' "$4" "$1" "$2" "$3"
}
here="$(cat /proc/sys/kernel/random/boot_id) $(readlink /proc/self/ns/pid)"

expect 0 "" "${train[@]}" --run-dir run --train.steps 10
[ ! -e run/lock ] && [ -z "$(find run -name 'lock.*')" ] || fail "a run that ended has left its lock"
[ "$(stat -c %a run run/checkpoints run/checkpoints/step_10 | sort -u)" = 750 ] || fail "folders are not 750: $(stat -c '%a %n' run run/*)"
[ -z "$(find run -type f -perm /137)" ] || fail "files are not 640: $(find run -type f -perm /137)"

# The run's secret is in the environment of its ranks and on no command line.
"$chorale" train recipe.ini --quiet -n 2 --run-dir secretive --train.epochs 100000 --train.early_stop "" 2>/dev/null &
first=$!
for _ in $(seq 300); do [ -s secretive/metrics.jsonl ] && break; sleep 0.1; done
secret=$(for p in /proc/[0-9]*; do
  [ "$(readlink "$p/cwd")" != "$PWD" ] || tr '\0' '\n' <"$p/environ" 2>/dev/null | sed -n 's/^CHORALE_SECRET=//p'
done | sort -u)
[[ $secret =~ ^[0-9a-f]{32}$ ]] || fail "the ranks of a run have no one secret of 128 bits: '$secret'"
lines=$(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ')
[[ $lines != *"$secret"* ]] || fail "the secret stands on a command line"
kill -TERM $first
wait $first

# Two at once: the second is refused, whatever it wants, and touches nothing.
"${train[@]}" --run-dir busy --train.epochs 100000 --train.steps 0 &
first=$!
for _ in $(seq 200); do [ -s busy/metrics.jsonl ] && break; sleep 0.1; done
for how in --resume --overwrite; do
  expect 76 "owned by another attempt" timeout 20 "${train[@]}" --run-dir busy $how
done
expect 76 "owned by another attempt" "$chorale" checkpoint prune busy
expect 76 "owned by another attempt" timeout 60 "${train[@]/threads/mpirun}" --run-dir busy --resume  # its supervisor too writes nothing
kill -0 $first 2>/dev/null || fail "the first run did not survive the second"
[ "$(grep -c . busy/events.jsonl)" = 1 ] || fail "a refused run wrote an event: $(cat busy/events.jsonl)"

# The first loses the folder while it trains: it leaves with 76, and what the new owner has there stays as it is.
lock_of elsewhere 1 1 "" >busy/lock.new && mv busy/lock.new busy/lock
before=$(cat busy/events.jsonl | md5sum)
wait $first
status=$?
[ $status = 76 ] || fail "an attempt that lost its folder left with $status"
[ "$(cat busy/events.jsonl | md5sum)" = "$before" ] && [ ! -e busy/summary.json ] || fail "the old attempt wrote into the folder"
holds busy/lock elsewhere
sleep 0.3
steps=$(ls busy/checkpoints)
sleep 0.3
[ "$(ls busy/checkpoints)" = "$steps" ] || fail "the old attempt still saves"

# An attempt of this machine that is gone, by number, and by number and start.
for pid in 4194305 $$; do
  lock_of "$here" $pid 1 "" >run/lock
  mkdir -p run/checkpoints/step_7.tmp.dead
  expect 0 "this one takes the run directory" timeout 20 "${train[@]}" --run-dir run --resume --train.steps 12
  [ ! -e run/checkpoints/step_7.tmp.dead ] && [ ! -e run/lock ] || fail "leftovers stay: $(find run -name '*.tmp.*' -o -name lock)"
done
# And one that is there: this shell.
lock_of "$here" $$ "$(sed 's/.*) //' /proc/$$/stat | cut -d' ' -f20)" "" >run/lock
expect 76 "owned by another attempt (process $$" timeout 20 "${train[@]}" --run-dir run --resume --train.steps 12
holds run/lock elsewhere

# Elsewhere: its heart is listened to, whatever the time of the file says.
lock_of elsewhere 1 1 "" >run/lock
touch -d '2 days' run/lock
expect 0 "waiting up to 1 s" timeout 20 "${train[@]}" --run-dir run --resume --train.steps 14
lock_of elsewhere 1 1 "" >run/lock
touch -d '2 days ago' run/lock
(for i in $(seq 400); do echo "$i" >run/lock.beat.elsewhere; sleep 0.1; done) &
heart=$!
sleep 0.3
expect 76 "owned by another attempt" timeout 20 "${train[@]}" --run-dir run --resume --train.steps 14
kill $heart

# What Slurm says counts more than the heart: a stand-in for squeue.
mkdir bin
printf '#!/bin/sh\necho "ClusterName             = ${CLUSTER:-here}"\n' >bin/scontrol && chmod +x bin/scontrol
squeue_says() { printf '#!/bin/sh\n%s\n' "$1" >bin/squeue; chmod +x bin/squeue; }
for over in 'echo NODE_FAIL' 'echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1'; do
  lock_of elsewhere 1 1 77 >run/lock
  squeue_says "$over"
  expect 0 "this one takes the run directory" timeout 20 env PATH="$PWD/bin:$PATH" "${train[@]}" --run-dir run --resume --train.steps 14
done
# Another cluster's Slurm knows nothing of it, whatever it says: the heart decides.
lock_of elsewhere 1 1 77 >run/lock
(for i in $(seq 100); do echo "$i" >run/lock.beat.elsewhere; sleep 0.1; done) &
heart=$!
squeue_says 'echo NODE_FAIL'
expect 76 "owned by another attempt" timeout 20 env CLUSTER=there PATH="$PWD/bin:$PATH" "${train[@]}" --run-dir run --resume --train.steps 14
kill $heart
lock_of elsewhere 1 1 77 >run/lock
squeue_says 'echo RUNNING'
expect 76 "job 77, restart 0" timeout 20 env PATH="$PWD/bin:$PATH" "${train[@]}" --run-dir run --resume --train.steps 14
# The same job, started again since.
expect 0 "this one takes" timeout 20 env PATH="$PWD/bin:$PATH" SLURM_JOB_ID=77 SLURM_RESTART_COUNT=1 "${train[@]}" --run-dir run --resume --train.steps 14
# A number of a job that is none never reaches squeue.
lock_of elsewhere 1 1 '7; touch injected' >run/lock
squeue_says 'touch injected; echo NODE_FAIL'
expect 0 "waiting up to 1 s" timeout 20 env PATH="$PWD/bin:$PATH" "${train[@]}" --run-dir run --resume --train.steps 14
[ ! -e injected ] || fail "the text of a lock was run"
echo garbage >run/lock
expect 76 "is no lock of a run" timeout 20 "${train[@]}" --run-dir run --resume --train.steps 14
exit $failed
