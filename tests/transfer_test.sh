#!/usr/bin/env bash
# Transfer as people use it: weights of another run, frozen layers, rows that a collaboration has published, its tasks opened again.
# usage: transfer_test.sh CHORALE
set -uo pipefail
chorale=$1
. "$(dirname "${BASH_SOURCE[0]}")/expect.sh"
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
# One task of a collaboration, opened again. Persons 1 to 400 are known to both, 401 to 500 to buys alone.
awk 'BEGIN {
  srand(11)
  print "person,a,b,answers" > "answers.csv"; print "person,a,b,answers" > "asked.csv"; print "visit,person,c,d,buys" > "buys.csv"
  for (p = 1; p <= 500; ++p) {
    t = rand() + rand() + rand() - 1.5
    row = sprintf("%d,%.3f,%.3f,%d", p, rand(), rand(), (t + 0.1 * rand() > 0))
    if (p <= 400) print row > "answers.csv"
    if (p > 390) print row > "asked.csv"
    printf "v%d,%d,%.3f,%.3f,%d\n", p, p, t + 0.2 * rand(), rand(), (t + rand() > 0.5) > "buys.csv"
  }
  print "nobody,0.5,0.5,1" > "asked.csv"; print "10.0,0.5,0.5,1" > "asked.csv"
}'
cat >task.ini <<'END'
[model]
layers = linear(16) relu linear(1)
[train]
batch = 64
epochs = 6
metrics = auc
early_stop = validation.auc 50
[optimizer]
lr = 0.01
END
cat >two.ini <<'END'
[collab]
every = 5
width = 4
burn_in = 0.2
sweep = 2
split = person 0.6 0.2 0.2
steps_per_tick = answers:5 buys:5
[task.answers]
recipe = task.ini
data.file = answers.csv
data.target = answers
entity = person : person
[task.buys]
recipe = task.ini
data.file = buys.csv
data.target = buys
data.drop = visit
entity = person : person
END
# With its best weights, with its last ones, and with scales of its own on a layer in common.
deep="linear(16) relu linear(8) relu linear(1)"
for more in best last scales; do
  extra=()
  [ $more = last ] && extra=(--task.answers.train.early_stop "")
  [ $more = scales ] && extra=(--collab.strategy "trunk store" --collab.trunk.scales true --collab.trunk.parameters "2.*"
                               --task.answers.model.layers "$deep" --task.buys.model.layers "$deep")
  expect 0 "" collab train two.ini --run-dir shared --overwrite --launch threads --quiet "${extra[@]}"
  for task in answers buys; do
    "$chorale" eval shared/tasks/$task --part test --json >scores.json || failed=1
    command -v python3 >/dev/null && { python3 - $task <<'PY' || failed=1; }
import json, sys
told, now = json.load(open("shared/summary.json"))["tasks"][sys.argv[1]]["metrics"]["test"], json.load(open("scores.json"))["metrics"]
sys.exit(0 if told == now and 0.4 < now["auc"] < 1 else print(f"{sys.argv[1]}: summary.json says {told}, eval {now}") or 1)
PY
  done
done
expect 0 "" collab train two.ini --run-dir shared --overwrite --launch threads --quiet
expect 0 "heard" inspect shared/tasks/answers
# New rows: the text of the key says who it is, so that 10.0 is nobody. 401 to 500 are known to buys; whether their rows are of the version that
# answers was trained with decides whether they are served.
expect 0 "wrote 112 predictions" predict shared/tasks/answers --file asked.csv --out asked_out.csv
expect 0 "rows are of entities that no peer has published" predict shared/tasks/answers --file asked.csv --out asked_out.csv
unseen=$("$chorale" predict shared/tasks/answers --file asked.csv --out asked_out.csv | grep -o '^[0-9]* of 112')
check "unseen rows: $unseen" grep -qE '^(2|102) of' <<<"$unseen"
sed 's/^person/customer/' asked.csv >nokey.csv
expect 65 "person" predict shared/tasks/answers --file nokey.csv --out asked_out.csv
# Rows of another version, or none: refused, with both versions, or zeros where that is asked for.
expect 0 "" collab train two.ini --run-dir other --launch threads --quiet --task.buys.train.seed 7
cp -r shared mixed && rm -r mixed/checkpoints && cp -r other/checkpoints mixed/
expect 66 "was trained with version" eval mixed/tasks/answers
expect 66 "this tick holds version" predict mixed/tasks/answers --file asked.csv --out mixed_out.csv
check "refused predictions are written" [ ! -e mixed_out.csv ]
expect 0 "all rows of peers are zeros" eval mixed/tasks/answers --missing-rows zeros
expect 0 "112 of 112 rows" predict mixed/tasks/answers --file asked.csv --out mixed_out.csv --missing-rows zeros
expect 0 "" collab train two.ini --run-dir wide --launch threads --quiet --collab.width 6
rm -r mixed/checkpoints && cp -r wide/checkpoints mixed/
expect 66 "width" eval mixed/tasks/answers
rm -r mixed/checkpoints && mkdir mixed/checkpoints
expect 66 "is gone" eval mixed/tasks/answers
expect 0 "" eval mixed/tasks/buys --missing-rows zeros
# Its own layers start another run.
expect 0 "not" train task.ini --data.file answers.csv --data.target answers --data.id person --run-dir again -n 1 --quiet --init-from shared/tasks/answers
check "layers of a task are not loaded" grep -q '"loaded"' again/summary.json
# What a collaboration has published, as features of an ordinary run.
cat >published.ini <<'END'
[data]
file = answers.csv
target = answers
representations = shared : person : person
representations_tasks = buys
[model]
layers = linear(16) relu linear(1)
[train]
batch = 64
epochs = 6
metrics = auc
[optimizer]
lr = 0.01
END
expect 0 "buys has published of the persons of 400 of 400 rows" train published.ini --run-dir reads -n 1 --quiet --parallel.virtual_workers 2
expect 0 "" train published.ini --run-dir reads2 -n 2 --launch threads --quiet --parallel.virtual_workers 2
check "published rows: another number of ranks gives other bits" [ "$(hash_of reads)" = "$(hash_of reads2)" ]
expect 0 "" train published.ini --run-dir blind -n 1 --quiet --data.representations "" --data.representations_tasks "" --data.id person
auc() { "$chorale" eval "$@" --json 2>/dev/null | grep -o '"auc": [0-9.]*' | grep -o '[0-9.]*$'; }
check "published rows do not help: $(auc reads) and $(auc blind) without" awk "BEGIN { exit !($(auc reads) > $(auc blind) + 0.1) }"
check "eval and summary.json differ" grep -q "\"auc\": $(auc reads)" <(sed -n '/"metrics"/,$p' reads/summary.json)
expect 0 "wrote 112 predictions" predict reads --file asked.csv --out reads_out.csv
expect 0 "2 rows are of entities that nobody has published of" predict reads --file asked.csv --out reads_out.csv
expect 0 '"features": 7' inspect reads/recipe.resolved.ini --json
expect 0 "\"tasks\"" inspect reads --json
expect 0 "" train published.ini --run-dir reads_cut -n 1 --quiet --parallel.virtual_workers 2 --train.steps 7
# The run that it reads is trained again: another version. Resuming, scoring and predicting are refused, with both; so when it or a peer is gone.
version() { grep -o '"version": "tick[^"]*"' <("$chorale" inspect "$1" --json 2>/dev/null) | cut -d'"' -f4; }
was=$(version reads)
mv shared kept && mv other shared
for words in "eval reads" "predict reads --file asked.csv --out x.csv"; do
  expect 66 "the model was trained with rows of $was" $words
  expect 66 "now holds tick" $words
done
expect 64 "the checkpoint was made with '$was'" train published.ini --run-dir reads_cut -n 1 --quiet --parallel.virtual_workers 2 --resume
expect 0 "all published rows are zeros" eval reads --missing-rows zeros
check "predictions with refused rows are written" [ ! -e x.csv ]
mv shared other
expect 66 "there is no run" eval reads
expect 0 "all published rows are zeros" predict reads --file asked.csv --out zeros.csv --missing-rows zeros
expect 0 "" collab train two.ini --run-dir shared --launch threads --quiet --task.buys.role target --task.answers.role peer
expect 66 "nothing of buys" eval reads
expect 64 "data.representations_tasks: 'buys' publishes nothing in" train published.ini --run-dir x -n 2 --launch threads
rm -r shared && mv kept shared
expect 0 "resumes at step 7" train published.ini --run-dir reads_cut -n 2 --launch threads --quiet --parallel.virtual_workers 2 --resume
check "published rows: a resumed run has other bits" [ "$(hash_of reads)" = "$(hash_of reads_cut)" ]
expect 64 "write RUN : KIND : COLUMN" train published.ini --run-dir x --data.representations shared
expect 64 "has published no rows" train published.ini --run-dir x --data.representations "reads : person : person"
expect 65 "none of 400 rows has a people" train published.ini --run-dir x --data.representations "shared : people : person"
expect 65 "persn" train published.ini --run-dir x --data.representations "shared : person : persn"
check "a refused run made a run directory" [ ! -e x ]
exit $failed
