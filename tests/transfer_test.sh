#!/usr/bin/env bash
# Transfer as people use it: weights of another run, frozen layers, rows that a collaboration has published, its tasks opened again.
# usage: transfer_test.sh CHORALE
set -uo pipefail
chorale=$1 failed=0
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
check() { "${@:2}" || { echo "$1"; failed=1; }; }
hash_of() { grep -o '"parameters_hash": "[^"]*"' "$1/summary.json"; }

# Two tables: the second has another column, another category and other means.
awk 'BEGIN {
  srand(5); split("north south east", city)
  print "a,b,city,late" > "old.csv"; print "c,b,city,a,pays" > "new.csv"
  for (i = 1; i <= 400; ++i) {
    a = rand() - 0.5; b = rand() - 0.5
    printf "%.3f,%.3f,%s,%d\n", a, b, city[1 + int(2 * rand())], (a + b + 0.2 * rand() > 0) > "old.csv"
    if (i <= 90) printf "%.3f,%.3f,%s,%.3f,%d\n", rand(), b, city[1 + int(3 * rand())], a + 1, (a + b + 0.4 * rand() > 0.1) > "new.csv"
  }
}'
cat >old.ini <<'END'
[data]
file = old.csv
target = late
[model]
layers = linear(8) relu linear(4) relu linear(1)
[train]
batch = 32
epochs = 8
metrics = auc
early_stop = validation.auc 20
[optimizer]
lr = 0.02
[checkpoint]
every_epochs = 0
END
sed 's/old.csv/new.csv/; s/late/pays/; s/epochs = 8/epochs = 4/' old.ini >new.ini
run=(train new.ini --quiet --parallel.virtual_workers 2)
expect 0 "" train old.ini --run-dir old --quiet
slow=(--init-from old --init-only encoder --freeze encoder.2 --optimizer.lr_factors "encoder:0.1")
expect 0 "starts with weights of $work/old: 0.weight (5 of 7 features by name, of 5 there; these start anew: c, city=east), 0.bias" \
  "${run[@]}" --run-dir one -n 1 "${slow[@]}"
expect 0 "" "${run[@]}" --run-dir two -n 2 --launch threads "${slow[@]}"
check "another number of ranks gives other bits" [ "$(hash_of one)" = "$(hash_of two)" ]
weight() { "$chorale" inspect "$1" --json | grep -A3 "\"name\": \"$2\"" | grep hash; }
expect 0 "" train old.ini --run-dir last --quiet --train.early_stop ""
expect 0 "" "${run[@]}" --run-dir frozen -n 1 --init-from last/checkpoints/step_72 --freeze encoder.2
check "frozen weights are not those of the run that they came from" [ "$(weight last 2.weight)" = "$(weight frozen 2.weight)" ]
check "weights that learn are as they were" [ "$(weight last 4.weight)" != "$(weight frozen 4.weight)" ]
command -v python3 >/dev/null && { python3 - <<'PY' || failed=1; }
import json, sys
init = json.load(open("one/summary.json"))["init_from"]
good = init["from"].endswith("/old") and init["best_weights"] and init["loaded"] == ["0.bias", "2.weight", "2.bias"] \
    and "5 of 7" in init["mapped"]["0.weight"] and init["not_loaded"]["4.weight"] == "not asked for" and init["encoded_otherwise"] == ["a", "b"]
sys.exit(0 if good else print("init_from of summary.json:", init) or 1)
PY
# A resumed run has its weights from its checkpoint: the other run may be gone.
expect 0 "" "${run[@]}" --run-dir cut -n 1 --train.steps 5 "${slow[@]}"
mv old gone
expect 0 "resumes at step 5" "${run[@]}" --run-dir cut -n 2 --launch threads --resume "${slow[@]}"
check "a resumed run has other bits" [ "$(hash_of one)" = "$(hash_of cut)" ]
check "a resumed run forgets what it started with" grep -q '"best_weights": true' cut/summary.json
expect 64 "train.freeze is ''" "${run[@]}" --run-dir cut -n 1 --resume --optimizer.lr_factors "encoder:0.1"
expect 64 "there is no such run or checkpoint" "${run[@]}" --run-dir x -n 1 --init-from old
mv gone old
# Refusals name both sides and the remedy; none leaves a run directory.
other=(--model.layers "linear(5) relu linear(3) tanh linear(2) linear(1)")
expect 64 "nothing can be loaded" "${run[@]}" --run-dir x -n 2 --launch threads --init-from old "${other[@]}"
expect 64 "the run has 0.bias (encoder.0.bias)" "${run[@]}" --run-dir x -n 1 --init-from old "${other[@]}"
expect 64 "train.init_only says what of train.init_from is loaded" "${run[@]}" --run-dir x -n 1 --init-only encoder
expect 64 "train.freeze: 'body' means no parameter of the model, which has 0.weight (encoder.0.weight)" "${run[@]}" --run-dir x -n 1 --freeze body
expect 64 "write PATTERN:NUMBER" "${run[@]}" --run-dir x -n 1 --train.unfreeze encoder
printf 'X' | dd of="$(ls -d old/checkpoints/step_*/model.safetensors | tail -n 1)" bs=1 seek=400 conv=notrunc status=none
expect 66 "" "${run[@]}" --run-dir x -n 1 --init-from old
check "a refused run made a run directory" [ ! -e x ]
exit $failed
