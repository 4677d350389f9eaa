#!/usr/bin/env bash
# Stuck, slow, lying and dying ranks under mpirun: what is said, within which time, and what is left. usage: watchdog_test.sh CHORALE SOURCE
set -uo pipefail
chorale=$1 source=$2 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
fail() { echo "$*"; failed=1; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }
# run NAME WORDS...: trains; leaves its words in `out`, its code in `code` and its time in `took`.
run() {
  local name=$1 start
  shift
  start=$(now_ms)
  out=$(timeout -k 5 90 "$chorale" train recipe.ini --run-dir "$name" -n 2 --launch mpirun --quiet --restarts 0 "$@" 2>&1 </dev/null)
  code=$?
  took=$(($(now_ms) - start))
}
expect() {  # expect WHAT CODE TEXT...
  local what=$1 wanted=$2
  shift 2
  [ "$code" = "$wanted" ] || fail "$what: expected $wanted, got $code: $out"
  for text in "$@"; do [[ $out == *"$text"* ]] || fail "$what: '$text' is not in: $out"; done
}
field() { grep -oE "\"$2\": [^,}]*" "$1/summary.json" | sed 's/.*: //'; }

timeout 60 "$chorale" data shop --sessions 3000 --customers 500 --products 60 --seed 3 --out shop >/dev/null || exit 1
cp "$source/examples/recipes/shop_purchase.ini" recipe.ini
base=(--train.epochs 2 --train.early_stop "")

# A stopped rank: at the deadline, not much later, with its name and place.
run frozen "${base[@]}" --watchdog.seconds 3 --inject freeze@1:5
expect "a stopped rank" 75 "waiting for rank 1, its process is stopped, last seen in forward of layer '0'" "(step 5)"
[ "$took" -lt 13000 ] || fail "a stopped rank: the verdict came after $took ms"
[ -s frozen/logs/flight_rank_0.json ] || fail "a stopped rank: rank 0 left no flight record"
"$chorale" inspect frozen --flight | grep -q "rank" || fail "inspect --flight says nothing of frozen"
"$chorale" inspect frozen --flight --json | grep -A1 '"first"' | grep -q '"rank": 1' || fail "inspect --flight does not name rank 1"

# One that goes on in time has not been missed.
run plain "${base[@]}"
expect "an undisturbed run" 0
(for _ in $(seq 300); do
   for stat in /proc/[0-9]*/stat; do
     pid=$(echo "$stat" | cut -d/ -f3)
     if grep -qs "^$pid (chorale) T" "$stat" && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q -- "--run-dir resumed "; then
       sleep 1; kill -CONT "$pid"; exit
     fi
   done
   sleep 0.1
 done) &
waker=$!
run resumed "${base[@]}" --watchdog.seconds 20 --inject freeze@1:5
wait $waker
expect "a rank that goes on before the deadline" 0
[ "$(field plain parameters_hash)" = "$(field resumed parameters_hash)" ] || fail "a pause has changed the result"
[ "$(grep -c '"event":"end"' resumed/events.jsonl)" = 1 ] || fail "a pause has ended the run: $(cat resumed/events.jsonl)"
[ ! -e resumed/logs/flight_rank_0.json ] || fail "a run that ended well left a flight record"

# 50 ms a step: named, not ended.
run slow "${base[@]}" --train.epochs 8 --inject sleep@1:1
expect "a slow rank" 0 "rank 1 is slower than the others: its part of a step takes"
[[ $out =~ "they wait for it "([0-9]+)" % of the time" ]] && [ "${BASH_REMATCH[1]}" -ge 50 ] || fail "a slow rank: its share is not said: $out"
run quick "${base[@]}" --train.epochs 8
[ "$(field quick parameters_hash)" = "$(field slow parameters_hash)" ] || fail "a slow rank has changed the result"
[ "$(grep -c '"event":"end"' slow/events.jsonl)" = 1 ] && grep -q '"event":"end".*"code":0' slow/events.jsonl || fail "a slow rank: $(cat slow/events.jsonl)"

for policy in stop skip rollback; do
  run "nan_$policy" "${base[@]}" --train.on_nan $policy --checkpoint.every_steps 3 --inject nan@1:5
  [ $policy = stop ] && expect "nan, $policy" 70 "loss is not finite at step 5 on rank 1"
  [ $policy = stop ] || expect "nan, $policy" 0 "loss is not finite at step 5 on rank 1"
done
[ "$(field nan_skip skipped_steps)" = 1 ] || fail "nan, skip: skipped_steps is $(field nan_skip skipped_steps)"
[ "$(field nan_rollback rollbacks)" = 1 ] || fail "nan, rollback: rollbacks is $(field nan_rollback rollbacks)"

run flipped "${base[@]}" --parallel.exchange replicated --train.check_replicas 4 --inject bitflip@1:8:0.weight
expect "a flipped bit" 75 "copies of the parameters differ after step 8: tensor '0.weight' of rank 1"

for kind in segv abort; do
  run $kind "${base[@]}" --inject $kind@1:5
  [ "$code" != 0 ] || fail "$kind: the run ended well"
  [ "$took" -lt 15000 ] || fail "$kind: ended after $took ms"
  grep -q "thread " $kind/logs/backtrace_rank_1.txt 2>/dev/null || fail "$kind: no frames of rank 1"
  grep -q "Faults" $kind/logs/backtrace_rank_1.txt 2>/dev/null || fail "$kind: the frames do not show where"
  "$chorale" inspect $kind --flight --json >flight.json || fail "$kind: inspect --flight fails"
  grep -A3 '"first"' flight.json | grep -q '"rank": 1' || fail "$kind: inspect --flight does not name rank 1: $(cat flight.json)"
done

run mismatch "${base[@]}" --inject mismatch@1:5
expect "another collective" 75 "ranks disagree" "injected mismatch" "#"
"$chorale" inspect mismatch --flight --json | grep -A1 '"first"' | grep -q '"rank": 1' || fail "inspect --flight does not name who called another collective"
run shape "${base[@]}" --inject shape@1:5
expect "another size" 75 "ranks disagree"

run thrown "${base[@]}" --inject throw@1:5:backward
expect "an exception" 75 "asked for by --inject throw@1:5:backward"
run refused "${base[@]}" --inject bomb@1:5
expect "an unknown fault" 64 "KIND@RANK:STEP"
run refused "${base[@]}" --inject nan@7:5
expect "a rank that is not there" 64 "there are 2 ranks"
exit $failed
