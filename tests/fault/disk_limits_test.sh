#!/usr/bin/env bash
# Disks that refuse while a run trains, for real: a mount that turns read-only, a full disk, no inodes, a limit on file sizes. The saves in
# between fail on all ranks, training goes on, and when the disk is well again checkpoints are written again; or it stops as told, and goes
# on later. Always with the bits of an undisturbed run. usage: disk_limits_test.sh CHORALE SOURCE
set -uo pipefail
chorale=$(realpath "$1") source=$(realpath "$2")
if [ "${INSIDE:-}" != 1 ]; then
  if ! unshare --mount true 2>/dev/null; then
    echo "CHORALE_SKIP disks that refuse while a run trains: no mount name space is to be had"
    exit 0
  fi
  INSIDE=1 exec unshare --mount bash "$0" "$@"  # what is mounted goes with it
fi
. "$source/tests/fault/fault.sh"
options=(--quiet --train.epochs 7 --train.early_stop "" --checkpoint.every_steps 4 --parallel.virtual_workers 4)
expect 0 "" "$chorale" train recipe.ini "${options[@]}" --launch threads -n 2 --train.steps 44 --run-dir whole
whole=$(hash_of whole)
# Reached in time: COMMAND holds within 20 s, while the run is there.
soon() { for _ in $(seq 400); do "$@" && return; sleep 0.05; done; fail "not within 20 s: $*"; }
failures() { [ "$(grep -c '"event":"checkpoint".*"error":"[^"]' run/metrics.jsonl)" -ge "$1" ]; }
trains_on() { grep -q '"event":"checkpoint","step":'"$1" run/metrics.jsonl; }
# A run with a checkpoint of step 4, whose folder of checkpoints is a file system of its own.
prepare() {  # prepare MOUNT...
  umount -q run/checkpoints 2>/dev/null
  rm -rf run
  expect 0 "" "$chorale" train recipe.ini "${options[@]}" --launch threads -n 2 --train.steps 4 --run-dir run
  cp -a run/checkpoints saved && "$@" && cp -a saved/. run/checkpoints && rm -rf saved || fail "not prepared: $*"
}
start() {  # start HOW...: 50 ms a step
  timeout -k 5 60 "$@" "$chorale" train recipe.ini "${options[@]}" --train.steps 44 --run-dir run --resume --inject sleep@0:1 2>said </dev/null &
  child=$!
}
# goes_on WHAT BREAK MEND SAYS START...
goes_on() {
  local what=$1 break=$2 mend=$3 says=$4 status
  shift 4
  start "$@"
  soon trains_on 8
  soon $break
  soon failures 2
  soon $mend
  wait $child
  status=$?
  [ $status = 0 ] || fail "$what: ended with $status: $(cat said)"
  holds said "failed, training goes on and later ones are tried without a word"
  holds said "$says"
  holds said "checkpoints are written again"
  same "$(hash_of run)" "$whole" "parameters after $what"
  no_drafts run "$what"
  expect 0 "sound" "$chorale" checkpoint verify run
}
# stops WHAT BREAK MEND SAYS START...: with checkpoint.on_error = stop.
stops() {
  local what=$1 break=$2 mend=$3 says=$4 status
  shift 4
  options+=(--checkpoint.on_error stop)
  start "$@"
  soon trains_on 8
  soon $break
  wait $child
  status=$?
  [ $status = 74 ] || fail "$what, stop: ended with $status: $(cat said)"
  holds said "$says"
  holds run/events.jsonl '"event":"end",.*"code":74,'
  expect 0 "sound" "$chorale" checkpoint verify run
  soon $mend
  expect 0 "resumes at step" "$chorale" train recipe.ini "${options[@]}" --launch threads -n 2 --train.steps 44 --run-dir run --resume
  same "$(hash_of run)" "$whole" "parameters after $what, stop and resume"
  no_drafts run "$what, stop"
  unset 'options[-1]' 'options[-1]'
}
by_mpirun=(env OMPI_MCA_mpi_yield_when_idle=1 mpirun -q -np 2 --oversubscribe --bind-to none)

# A file that is open for writing keeps a mount from turning read-only: it is tried until no save is under way.
bound() { mount --bind run/checkpoints run/checkpoints; }
read_only() { mount -o remount,bind,ro run/checkpoints 2>/dev/null; }
writable() { mount -o remount,bind,rw run/checkpoints; }
for how in goes_on stops; do
  prepare bound
  $how "a mount that turns read-only" read_only writable "Read-only file system" "${by_mpirun[@]}"
done

disk() { mount -t tmpfs -o size=4m,nr_inodes=200 none run/checkpoints; }
fill() { head -c 8M /dev/zero >run/checkpoints/filler 2>/dev/null; [ -s run/checkpoints/filler ]; }
empty() { rm -rf run/checkpoints/filler; }
for how in goes_on stops; do
  prepare disk
  $how "a full disk" fill empty "No space left" "${by_mpirun[@]}"
done
use_inodes() { mkdir -p run/checkpoints/filler; for i in $(seq 300); do : >run/checkpoints/filler/$i || return 0; done 2>/dev/null; return 1; }
prepare disk
goes_on "no inodes" use_inodes empty "No space left" "${by_mpirun[@]}"

# logs/ is full from the start: nobody needs it, and a rank that dies meanwhile is named all the same.
full_logs() {
  mount -t tmpfs -o size=16k,nr_inodes=8 none run/logs
  head -c 1M /dev/zero >run/logs/filler 2>/dev/null
  for i in $(seq 8); do : >run/logs/filler_$i || return 0; done 2>/dev/null
  return 1
}
for how in "--launch threads" ""; do
  umount -q run/checkpoints
  prepare :
  full_logs || fail "logs/ is not full"
  expect 0 "resumes at step 4" "$chorale" train recipe.ini "${options[@]}" $how -n 2 --train.steps 44 --run-dir run --resume
  same "$(hash_of run)" "$whole" "parameters with logs/ full $how"
  umount run/logs
  no_drafts run "full logs"
done
prepare :
full_logs || fail "logs/ is not full"
expect 0 "restart 1 of 3, from step_" "$chorale" train recipe.ini "${options[@]}" -n 2 --train.steps 44 --run-dir run --resume --inject kill9@1:30
holds run/events.jsonl '"attempt":2,"event":"end","rank":1,.*"code":75,.*SIGKILL'
holds run/events.jsonl '"attempt":3,"event":"end",.*"code":0,'
same "$(hash_of run)" "$whole" "parameters with logs/ full and a rank killed"
umount run/logs
no_drafts run "full logs"

# As an unprivileged user: root may exceed nothing here either, but what it may write proves nothing.
if command -v setpriv prlimit >/dev/null && chmod 755 . && setpriv --reuid 54321 --regid 54321 --clear-groups "$chorale" --version >/dev/null 2>&1; then
  as_user=(setpriv --reuid 54321 --regid 54321 --clear-groups env HOME="$PWD")
  pid_of_run() { pgrep -u 54321 -x chorale | head -1; }
  limit() { "${as_user[@]}" prlimit --pid "$(pid_of_run)" --fsize=20000:unlimited 2>/dev/null; }
  unlimit() { "${as_user[@]}" prlimit --pid "$(pid_of_run)" --fsize=unlimited:unlimited 2>/dev/null; }
  ended() { true; }
  options+=(--launch threads -n 2)
  prepare :
  chown -R 54321 run
  goes_on "a limit on file sizes" limit unlimit "raise the limit on file sizes" "${as_user[@]}"
  prepare :
  chown -R 54321 run
  stops "a limit on file sizes" limit ended "raise the limit on file sizes" "${as_user[@]}"
else
  skip "a limit on file sizes while a run trains: no unprivileged user can be had"
fi
umount -q run/checkpoints
exit $failed
