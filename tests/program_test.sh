#!/usr/bin/env bash
# The program as people use it: exit codes, messages, equal bits at every number of ranks, resume, prediction. usage: program_test.sh CHORALE SOURCE
set -uo pipefail
chorale=$1 source=$2 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
expect() {  # expect CODE TEXT WORDS...: the program ends with CODE and says TEXT
  local code=$1 text=$2 out status
  shift 2
  out=$(timeout 60 "$chorale" "$@" 2>&1 </dev/null)
  status=$?
  if [ "$status" != "$code" ] || [[ $out != *"$text"* ]]; then
    echo "chorale $*: expected $code and '$text', got $status: $out"
    failed=1
  fi
}
field() { grep -o "\"$2\": \"[^\"]*\"" "$1/summary.json" | cut -d'"' -f4; }
same() { [ "$1" = "$2" ] && [ -n "$1" ] || { echo "$3: '$1' and '$2' differ"; failed=1; }; }

expect 0 "" data shop --sessions 3000 --customers 500 --products 60 --seed 3 --out shop
cp "$source/examples/recipes/shop_purchase.ini" recipe.ini
common=(recipe.ini --train.epochs 3 --parallel.virtual_workers 4 --quiet)
expect 0 "" train "${common[@]}" -n 1 --run-dir one
for launch in threads mpirun; do
  for n in 2 3 4; do
    expect 0 "" train "${common[@]}" -n $n --launch $launch --run-dir $launch$n
    same "$(field one parameters_hash)" "$(field $launch$n parameters_hash)" "parameters of 1 rank and of $n by $launch"
  done
done
expect 0 "" train "${common[@]}" -n 3 --launch threads --train.steps 9 --run-dir cut
expect 0 "resumes at step 9" train "${common[@]}" -n 2 --launch threads --run-dir cut --resume
same "$(field one parameters_hash)" "$(field cut parameters_hash)" "parameters with and without a resume"
expect 64 "optimizer.lr is" train "${common[@]}" -n 1 --run-dir cut --resume --optimizer.lr 0.5
expect 64 "exists" train "${common[@]}" -n 1 --run-dir one
expect 0 "rows" eval one --part test
expect 0 "linear" inspect one
expect 0 "wrote 3000 predictions" predict one --file shop/sessions.csv --out predicted.csv
same "$(wc -l <predicted.csv)" 3001 "lines of predictions and rows"

expect 64 "did you mean" train recipe.ini --optimiser.lr 1
printf '[train]\nbatsh = 3\n' >bad.ini
expect 64 "bad.ini:2: key 'train.batsh' is unknown; did you mean 'train.batch'" train bad.ini
printf '[train]\nbatch = 3\nbatch = 4\n' >bad.ini
expect 64 "given twice" train bad.ini
: >bad.ini
expect 64 "empty" train bad.ini
expect 64 "cannot be read" train absent.ini
expect 64 "-n 0 is refused" train recipe.ini -n 0
expect 64 "batch = 1 is below" train recipe.ini -n 1 --train.batch 1 --parallel.virtual_workers 2 --run-dir x
expect 65 "No such file" train recipe.ini -n 1 --data.file nothing.csv --run-dir x
printf 'a,b,y\n1,2,0\n1,2\n3,4,1\n' >ragged.csv
printf '[data]\nfile = ragged.csv\ntarget = y\n[model]\nlayers = linear(1)\n' >ragged.ini
expect 65 "ragged.csv:3" train ragged.ini -n 2 --launch threads --run-dir x
expect 65 "ragged.csv:3" train ragged.ini -n 2 --launch mpirun --run-dir x
[ ! -e x ] || { echo "a run directory was made by a run that never started"; failed=1; }
cp -r one damaged
printf 'X' | dd of="$(ls -d damaged/checkpoints/step_* | sort -V | tail -n 1)/model.safetensors" bs=1 seek=900 conv=notrunc status=none
rm -rf "$(ls -d damaged/checkpoints/step_* | sort -V | head -n 1)"
expect 66 "" eval damaged
expect 0 "samples_per_second" bench step --steps 200 --json
for launch in threads mpirun; do
  for op in all_reduce reduce_scatter all_gather all_to_all broadcast send_recv barrier; do
    peer=none; [ $launch = mpirun ] && peer=mpi
    expect 0 "\"correct\": true" bench comm --op $op --sizes 4,100K -n 2 --launch $launch --peer $peer --repeat 3 --json
  done
done
expect 0 "ok" bench comm --sizes 1K:4K --dtype bf16 -n 3 --launch threads --repeat 3
expect 64 "'4X'" bench comm --sizes 4X
expect 64 "--launch mpirun" bench comm --peer mpi -n 2 --launch threads
expect 0 "kernels" doctor
diff <("$chorale" help recipe --markdown) <(sed '1,/^<!-- keys -->$/d' "$source/docs/recipes.md") >/dev/null || { echo "docs/recipes.md is not what help recipe --markdown prints"; failed=1; }

# Ctrl-C under mpirun: all ranks end within 2 s with 130, nobody stays.
"$chorale" train recipe.ini --train.epochs 100000 --train.early_stop "" -n 2 --launch mpirun --run-dir stopped --quiet &
pid=$!
for _ in $(seq 100); do [ -s stopped/metrics.jsonl ] && break; sleep 0.1; done
start=$(date +%s%N)
kill -INT $pid
wait $pid
status=$?
took=$((($(date +%s%N) - start) / 1000000))
[ $status = 130 ] && [ $took -lt 2500 ] || { echo "Ctrl-C: expected 130 within 2 s, got $status after $took ms"; failed=1; }
sleep 0.2
! pgrep -f "run-dir stopped" >/dev/null || { echo "Ctrl-C left processes"; failed=1; }
exit $failed
