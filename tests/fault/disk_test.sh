#!/usr/bin/env bash
# A save that the disk refuses, at each of its points: all ranks agree, what was committed stays valid, training goes on or stops as told.
# usage: disk_test.sh CHORALE SOURCE SHIM
set -uo pipefail
chorale=$(realpath "$1") source=$(realpath "$2") shim=$(realpath "$3")
. "$source/tests/fault/fault.sh"
ENOSPC=28 EIO=5 EROFS=30
printf '#!/bin/sh\nfault=$1; shift\nexec env LD_PRELOAD="%s" CHORALE_FAULT_FAIL="$fault" "$@"\n' "$shim" >faulty
# With a tmpfs of these options on small/, in a name space that goes with it.
printf '#!/bin/sh\noptions=$1; shift\nexec unshare --mount sh -c '"'"'mount -t tmpfs -o "$0" none small && exec "$@"'"'"' "$options" "$@"\n' >mounted
chmod +x faulty mounted
mkdir small

expect 0 "" "${train[@]}" --run-dir whole
whole=$(hash_of whole)
holds whole/metrics.jsonl '"event":"checkpoint","step":10.*"pause_ms":'
holds whole/summary.json '"failed": 0'
[ "$(ls whole/checkpoints | sort -V | tr '\n' ' ')" = "step_40 step_44 " ] || fail "kept: $(ls whole/checkpoints)"

# Order: every file is synced before the folder is renamed, the parent after it, older ones go only then.
expect 0 "" env LD_PRELOAD="$shim" CHORALE_FAULT_RECORD="$work/record" "${train[@]}" --run-dir ordered
awk -v root="$work/ordered/checkpoints" '
  $1 == "pwrite" && index($2, root) == 1 { dirty[$2] = 1 }
  $1 == "fsync" { delete dirty[$2]; if ($2 == root) parent_clean = 1; synced[$2] = 1 }
  $1 == "rename" && $2 ~ /\/step_[0-9]+\.tmp\./ && $3 ~ /\/step_[0-9]+$/ {
    renames++
    for (f in dirty) if (index(f, $2 "/") == 1) { print "renamed before fsync: " f; bad = 1 }
    for (n in names) delete names[n]
    split("model.safetensors optimizer.safetensors state.safetensors manifest.json recipe.ini pipeline.json", names, " ")
    for (n in names) if (!(($2 "/" names[n]) in synced)) { print "never synced: " $2 "/" names[n]; bad = 1 }
    if (!($2 in synced)) { print "its folder was not synced: " $2; bad = 1 }
    parent_clean = 0
  }
  $1 == "rename" && $3 ~ /\.tmp\.removed\./ && !parent_clean { print "removed before the parent was synced: " $2; bad = 1 }
  END { if (renames != 5 || !parent_clean) { print renames " renames, parent synced after the last: " parent_clean + 0; bad = 1 } exit bad }
' record || fail "the order of a save is wrong: $(cat record)"

# The second save fails at each point in turn: training goes on with a warning and the same bits.
for point in "fallocate:1:$ENOSPC:step_20.tmp" "pwrite:1:$ENOSPC:step_20.tmp" "pwrite:2:$ENOSPC:step_20.tmp" "pwrite:1:$ENOSPC:manifest.json" \
  "pwrite:1:$EROFS:step_20.tmp" "fsync:1:$EIO:model.safetensors" "fsync:1:$EIO:manifest.json" "rename:1:$ENOSPC:step_20.tmp"; do
  case $point in *model.safetensors | *manifest.json) which=10 ;; *) which=20 ;; esac
  rm -rf run
  expect 0 "checkpoint of step $which failed, training goes on" ./faulty "$point" "${train[@]}" --run-dir run
  same "$(hash_of run)" "$whole" "parameters after $point"
  holds run/summary.json '"failed": 1'
  holds run/metrics.jsonl "\"event\":\"checkpoint\",\"step\":$which,.*\"error\":"
  no_drafts run "$point"
  expect 0 "sound" "$chorale" inspect run --verify
done

# Told to stop, it does, on all ranks, and the checkpoint before is resumed from.
for point in "pwrite:1:$ENOSPC:step_20.tmp" "pwrite:2:$ENOSPC:manifest.json" "fsync:1:$EIO:step_20.tmp" "rename:1:$ENOSPC:step_20.tmp"; do
  rm -rf run
  expect 74 "step_20" ./faulty "$point" "${train[@]}" --run-dir run --checkpoint.on_error stop
  holds run/events.jsonl '"attempt":1,"event":"end",.*"code":74,'
  no_drafts run "$point, stop"
  expect 0 "resumes at step 10" "${train[@]}" --run-dir run --resume
  same "$(hash_of run)" "$whole" "parameters resumed after $point"
done
# The last one must succeed.
rm -rf run
expect 74 "No space left" ./faulty "pwrite:1:$ENOSPC:step_44.tmp" "${train[@]}" --run-dir run
expect 0 "resumes at step 40" "${train[@]}" --run-dir run --resume
same "$(hash_of run)" "$whole" "parameters after a last save that failed"
# A disk that stays full: said once, the run ends with the last save.
rm -rf run
expect 74 "later ones are tried without a word" ./faulty "pwrite:1-:$ENOSPC:step_" "${train[@]}" --run-dir run

# Real limits: file size, a full disk, no inodes, a read-only mount.
rm -rf run
expect 74 "raise the limit on file sizes" bash -c 'ulimit -f 20; exec "$@"' limited "${train[@]}" --run-dir run
if unshare --mount true 2>/dev/null; then
  expect 74 "No space left" ./mounted size=120k "${train[@]}" --run-dir small/run
  expect 74 "No space left" ./mounted nr_inodes=14 "${train[@]}" --run-dir small/run
  expect 74 "" ./mounted ro,size=1m "${train[@]}" --run-dir small/run
else
  skip "disk full, no inodes, read-only mount: no mount name space is to be had"
fi
exit $failed
