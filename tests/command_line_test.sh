#!/usr/bin/env bash
# What people and shells see of the program: helps, completion, what a run leaves behind when it fails, signals, closed and full outputs.
# usage: command_line_test.sh CHORALE SOURCE
set -uo pipefail
chorale=$(realpath "$1") source=$(realpath "$2") failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
fail() { echo "$*"; failed=1; }
expect() {  # expect CODE TEXT WORDS...: the program ends with CODE and says TEXT
  local code=$1 text=$2 out status
  shift 2
  out=$(timeout 60 "$@" 2>&1 </dev/null)
  status=$?
  [ "$status" = "$code" ] && [[ $out == *"$text"* ]] || fail "$*: expected $code and '$text', got $status: $out"
}
holds() { grep -q -- "$2" "$1" 2>/dev/null || fail "$1 does not hold '$2': $(cat "$1" 2>&1)"; }

"$chorale" data shop --sessions 2000 --customers 300 --products 50 --out shop 2>/dev/null
cp "$source/examples/recipes/shop_purchase.ini" recipe.ini
train=("$chorale" train recipe.ini --quiet --train.epochs 2)

# Every command has a help, from the table that reads its flags.
for command in train eval predict generate inspect checkpoint data bench doctor version completion help; do
  expect 0 "usage: chorale $command" "$chorale" "$command" --help
done
for command in version doctor; do expect 64 "is unknown" "$chorale" $command --jsno; done
expect 0 "chorale " "$chorale" --version
expect 64 "did you mean 'train'" "$chorale" help trian

# Completion: commands, subcommands, flags with digits, values.
completed() {
  bash -c "PATH=$(dirname "$chorale"):\$PATH; source <(chorale completion bash); COMP_WORDS=($1); COMP_CWORD=$2; _chorale; echo \${COMPREPLY[*]}" 2>/dev/null
}
check_completion() { [ "$(completed "$1" "$2")" = "$3" ] || fail "completion of '$1': expected '$3', got '$(completed "$1" "$2")'"; }
check_completion "chorale tr" 1 "train"
check_completion "chorale data ''" 2 "shop features describe"
check_completion "chorale train --optimizer.be" 2 "--optimizer.beta1 --optimizer.beta2"
check_completion "chorale train --launch ''" 3 "auto threads mpirun srun"
check_completion "chorale eval run --part te" 4 "test"

# A start-up table with every setting; wrong values are answered with file and line.
expect 0 "lr = 0.001" "$chorale" train recipe.ini -n 1 --train.epochs 1 --run-dir table
expect 0 "log1p = pages seconds" "$chorale" train recipe.ini -n 1 --train.epochs 1 --run-dir table --overwrite
for wrong in "model.layers = linear(3) relo" "train.metrics = foo" "train.early_stop = validation.foo 3" "data.split = thirds"; do
  key=${wrong%% =*}
  awk -v s="[${key%%.*}]" -v k="${key#*.}" -v v="${wrong#* = }" '$0 == s { in_s = 1 } /^\[/ && $0 != s { in_s = 0 }
    in_s && $1 == k { print k " = " v; next } { print }' recipe.ini >wrong.ini
  line=$(grep -n "^${key#*.} = ${wrong#* = }" wrong.ini | head -n 1 | cut -d: -f1)
  expect 64 "wrong.ini:$line: $key" "$chorale" train wrong.ini -n 1 --run-dir wrong
done
sed 's/^target .*/target = nope/' recipe.ini >wrong.ini
expect 65 "sessions.csv:1:1: data.target names column 'nope'" "$chorale" train wrong.ini -n 1 --run-dir wrong

# Ranks that were started differently are refused before anything is read or made, by both values.
mpirun=(mpirun --oversubscribe --bind-to none)
for other in "--train.seed 9" "--checkpoint.every_steps 3" "--data.drop session_id" "--data.file shop/orders.csv" "--resume"; do
  expect 64 "differ before step 0" "${mpirun[@]}" -np 1 "${train[@]}" --run-dir apart : -np 1 "${train[@]}" --run-dir apart $other
done
if command -v objcopy >/dev/null && cp "$chorale" other_build && objcopy --remove-section .note.gnu.build-id other_build 2>/dev/null; then
  expect 64 "build is" "${mpirun[@]}" -np 1 "${train[@]}" --run-dir apart : -np 1 env LD_LIBRARY_PATH="$(dirname "$chorale")" ./other_build train recipe.ini --quiet --train.epochs 2 --run-dir apart
fi
[ ! -e apart ] || fail "a run that was refused made its directory"

# A run that fails leaves its verdict, and every rank its words.
for launch in threads mpirun; do
  expect 70 "loss is not finite" "${train[@]}" -n 2 --launch $launch --run-dir bad_$launch --optimizer.name sgd --optimizer.lr 100000
  holds bad_$launch/summary.json '"status": "failed"'
  # Either rank may be the first to say it; the other's cause then names that one.
  holds bad_$launch/events.jsonl '"attempt":1,"event":"end","rank":[01],.*"step":[0-9]*,"code":70,"cause":".*loss is not finite'
  holds bad_$launch/logs/rank_0.jsonl '"level":"error"'
  holds bad_$launch/logs/rank_1.jsonl '"level":"error"'
done
expect 0 "" "${train[@]}" -n 1 --run-dir again --train.steps 5
expect 0 "" "${train[@]}" -n 1 --run-dir again --resume
holds again/events.jsonl '"attempt":2,"event":"end","rank":null,"where":"","step":[0-9]*,"code":0'

# Only runs are replaced.
expect 64 "holds no run" "${train[@]}" -n 1 --run-dir shop --overwrite
expect 64 "give one of them" "${train[@]}" -n 1 --run-dir again --overwrite --resume
[ -e shop/sessions.csv ] || fail "--overwrite removed a folder that was no run"

# The picture, whatever the folder is called and without validation rows too.
if command -v gnuplot >/dev/null; then
  expect 0 "" "${train[@]}" -n 1 --run-dir "it's" --data.split "random 0.9 0 0.1" --train.early_stop ""
  [ -s "it's/curves.svg" ] || fail "no curves.svg"
fi
expect 0 "linear(30, 64)" "$chorale" inspect recipe.ini

# What others wrote into a file does not move the terminal's cursor: escapes (ESC and U+009B) are shown, not sent.
esc=$'\x1b' csi=$'\xc2\x9b' hostile=$'n\x1b[2Jm,k\xc2\x9b1m\nv\x1b]0;owned\x07,1\nw,2\n'
printf '%s' "$hostile" >hostile.csv
expect 0 'k\xc2\x9b1m' "$chorale" data describe hostile.csv
mkdir -p hostile_run && printf '{"event":"start","job":"\\u001b[2J\\u009b1m","attempt":"\\u001b[2J"}\n' >hostile_run/events.jsonl
printf '{"status":"\\u001b[2J\\u009b1m","event":"\\u001b[2J"}\n' | tee hostile_run/summary.json >hostile_run/metrics.jsonl
for words in "data describe hostile.csv" "status hostile_run" "status hostile_run --json" "inspect hostile_run" "inspect hostile_run --json" "train hostile.csv" "inspect hostile.csv"; do
  "$chorale" $words >said 2>&1 </dev/null
  ! grep -qe "$esc" -e "$csi" said || fail "chorale $words sends control characters: $(cat -v said)"
done
folder=$(printf 'run\033[2J\007')  # nor do names of folders
"${train[@]}" -n 1 --run-dir "$folder" --train.epochs 1 >said 2>&1 && "$chorale" checkpoint verify "$folder" >>said 2>&1 || fail "a folder with an odd name: $(cat -v said)"
! grep -qe "$esc" -e $'\a' said || fail "a folder's name sends control characters: $(cat -v said)"
expect 64 "is no host's name" "${train[@]}" --hosts ""
expect 0 "2 ranks" env OMP_NUM_THREADS=1 "$chorale" bench step --steps 20 -n 2
expect 0 "OMP_NUM_THREADS = 1 is taken as --threads" env OMP_NUM_THREADS=1 "$chorale" bench step --steps 20

# A bar stays on one line of a narrow terminal.
if command -v script >/dev/null; then
  for launch in threads mpirun; do
    script -qec "stty cols 60; $chorale train recipe.ini --train.epochs 1 --train.batch 4 -n 2 --launch $launch --run-dir bar_$launch" /dev/null </dev/null >bar
    longest=$(tr '\r' '\n' <bar | LC_ALL=C sed 's/\x1b\[K//g; s/[^ -~]\{3\}/#/g' | LC_ALL=C grep ' epoch 1/1 step' | awk '{ if (length($0) > n) n = length($0) } END { print n + 0 }')
    [ "$longest" -gt 20 ] && [ "$longest" -le 130 ] || fail "a bar of $longest bytes"
  done
fi

# Closed pipes are nobody's loss, full disks are.
for launch in threads mpirun; do
  (timeout 60 "$chorale" train recipe.ini --train.epochs 2 -n 2 --launch $launch --run-dir closed_$launch 2>&1; echo $? >status) | head -n 1 >/dev/null
  [ "$(cat status)" = 0 ] || fail "a closed pipe: expected 0, got $(cat status)"
  holds closed_$launch/summary.json '"status": "done"'
done
"$chorale" version >/dev/full 2>/dev/null
[ $? = 74 ] || fail "a full standard output must end with 74"

# Whoever goes, all ranks go: a closed terminal, a killed parent, an outer mpirun's Ctrl-C.
left() { pgrep -f -- "--run-dir $work/$1" >/dev/null; }
stop() {  # stop SIGNAL NAME WORDS...: the status in $status
  local signal=$1 name=$2
  shift 2
  "$@" --train.epochs 100000 --train.early_stop "" --run-dir "$work/$name" >/dev/null 2>&1 &
  local pid=$!
  for _ in $(seq 100); do [ -s "$name/metrics.jsonl" ] && break; sleep 0.1; done
  kill -"$signal" $pid
  wait $pid 2>/dev/null
  status=$?
  for _ in $(seq 25); do left "$name" || return 0; sleep 0.1; done
  fail "$signal left ranks of $name"
}
stop HUP hangup "$chorale" train recipe.ini --quiet -n 2 --launch mpirun
[ "$status" = 130 ] || fail "HUP: expected 130, got $status"
stop KILL killed "$chorale" train recipe.ini --quiet -n 2 --launch mpirun
stop INT outer "${mpirun[@]}" -np 2 "$chorale" train recipe.ini --quiet
temporary=$work/temporary
mkdir "$temporary"
TMPDIR=$temporary stop INT clean "$chorale" train recipe.ini --quiet -n 2 --launch mpirun
[ "$status" = 130 ] && [ -z "$(ls "$temporary")" ] || fail "INT: expected 130 and no temporary files, got $status and $(ls "$temporary")"
holds outer/events.jsonl '"code":130'
stop INT in_threads "$chorale" train recipe.ini --quiet -n 2 --launch threads
[ "$status" = 130 ] || fail "INT, threads: expected 130, got $status"
exit $failed
