#!/usr/bin/env bash
# The program as people use it: exit codes, messages, equal bits at every number of ranks, resume, prediction. usage: program_test.sh CHORALE SOURCE
set -uo pipefail
chorale=$1 source=$2
. "$(dirname "${BASH_SOURCE[0]}")/expect.sh"
field() { grep -o "\"$2\": \"[^\"]*\"" "$1/summary.json" | cut -d'"' -f4; }
# All that must not depend on ranks: every score on its way and at the end, how and when the run ended, both hashes.
outcome() {
  { grep '"event":"evaluation"' "$1/metrics.jsonl"; grep '"event":"final"' "$1/metrics.jsonl" | tail -n 1; } | sed 's/,"seconds".*//'
  grep -hoE '"(status|steps|parameters_hash|best_parameters_hash)": [^,]*' "$1/summary.json"
}
same() { [ "$1" = "$2" ] && [ -n "$1" ] || { echo "$3: '$1' and '$2' differ"; failed=1; }; }

expect 0 "" data shop --sessions 3000 --customers 500 --products 60 --seed 3 --out shop
cp "$source/examples/recipes/shop_purchase.ini" recipe.ini
# Dropout, and an early stop that comes after step 30 of 33.
common=(recipe.ini --train.epochs 3 --parallel.virtual_workers 4 --quiet --optimizer.lr 0.02
        --model.layers "linear(64) relu dropout(0.3) linear(32) gelu dropout(0.2) linear(1)" --train.evaluate_every 5 --train.early_stop "validation.auc 1")
expect 0 "" train "${common[@]}" -n 1 --run-dir one
same "$(field one status)" early_stopped "status of a run that an early stop ends"
expect 0 "" train "${common[@]}" -n 1 --run-dir twice
same "$(outcome one)" "$(outcome twice)" "outcome of the first and the second time"
for launch in threads mpirun; do
  for n in 2 3 4; do
    expect 0 "" train "${common[@]}" -n $n --launch $launch --run-dir $launch$n
    same "$(outcome one)" "$(outcome $launch$n)" "outcome of 1 rank and of $n by $launch"
  done
done
expect 0 "" train "${common[@]}" -n 3 --launch threads --train.steps 13 --run-dir cut
expect 0 "resumes at step 13" train "${common[@]}" -n 2 --launch mpirun --run-dir cut --resume
same "$(outcome one)" "$(outcome cut)" "outcome with and without a resume"
expect 64 "optimizer.lr is" train "${common[@]}" -n 1 --run-dir cut --resume --optimizer.lr 0.5
# A rehearsal: every part of a run, in seconds; and rows that are learnt by heart.
expect 0 "fast-dev-run: 3 updates" train recipe.ini -n 2 --launch threads --fast-dev-run --optimizer.schedule cosine --optimizer.warmup_steps 900 --run-dir rehearsed
same "3" "$(grep -c '"event":"step"' rehearsed/metrics.jsonl)" "updates of a rehearsal"
expect 0 "" inspect rehearsed/checkpoints/step_3 --verify
expect 64 "remove --resume" train recipe.ini --fast-dev-run --resume --run-dir rehearsed
expect 0 "overfit-batches: 100 rows" train recipe.ini -n 2 --launch threads --overfit-batches 1 --train.batch 100 --train.epochs 300 --train.evaluate_every 100 \
  --optimizer.lr 0.02 --run-dir by_heart
awk -v loss="$(grep '"event":"evaluation"' by_heart/metrics.jsonl | tail -n 1 | grep -oE '"loss":[0-9.e-]+' | cut -d: -f2)" 'BEGIN { exit !(loss < 0.02) }' ||
  { echo "a batch was not learnt by heart: $(tail -n 2 by_heart/metrics.jsonl)"; failed=1; }
expect 64 "are 10000000 rows, the training part has" train recipe.ini --overfit-batches 100000 --train.batch 100 --run-dir x
# Runs held against each other, paired by seed.
for seed in 1 2 3; do
  for lr in 0.001 0.02; do
    expect 0 "" train recipe.ini --quiet -n 1 --train.epochs 2 --train.seed $seed --optimizer.lr $lr --run-dir "compared/$lr-$seed"
  done
done
expect 0 "3 pairs)" compare compared/0.001-* compared/0.02-* --metric auc
expect 0 "compare.json" compare compared/0.001-* compared/0.02-* --out comparison
[ -s comparison/compare.md ] && python3 -m json.tool comparison/compare.json >/dev/null || { echo "compare wrote no tables"; failed=1; }
expect 64 "no run has it; they have" compare compared/0.001-1 --metric nonsense
expect 64 "holds no run" compare .
# Each part is tested once; what was there is kept, and other settings are refused.
expect 0 "test auc, more is better" cv recipe.ini --folds 3 -n 2 --launch threads --train.epochs 1 --out folds
[ "$(ls -d folds/fold_* | wc -l)" = 3 ] && python3 -c 'import json; c = json.load(open("folds/cv.json")); assert len(c["settings"]) == 1 and len(c["settings"][0]["metrics"]["auc"]["values"]) == 3' ||
  { echo "cv left other runs"; failed=1; }
scores() { python3 -c 'import json, sys; print(json.load(sys.stdin)["settings"][0]["metrics"]["auc"])'; }
same "$(scores <folds/cv.json)" "$("$chorale" cv recipe.ini --folds 3 -n 2 --launch threads --train.epochs 1 --out folds --json 2>/dev/null | scores)" "cv, and cv that goes on"
expect 64 "(train.epochs = 1, not train.epochs = 2); give another --out" cv recipe.ini --folds 3 --launch threads --train.epochs 2 --out folds
expect 65 "take fewer folds" train recipe.ini -n 1 --data.fold 1/5000 --run-dir x1
expect 64 "data.fold is what cv goes through" cv recipe.ini --data.fold 1/3
expect 64 "expected K/N" train recipe.ini --data.fold 4/3 --run-dir x
# Losses and what only some of them read.
awk 'BEGIN { srand(5); print "a,b,count"; for (i = 0; i < 400; ++i) { a = rand(); b = rand(); printf "%.4f,%.4f,%d\n", a, b, int(4 * a * a + 2 * rand()) } }' >counts.csv
printf '[data]\nfile = counts.csv\ntarget = count\n[model]\nlayers = linear(8) relu linear(1)\n[train]\nloss = poisson\nmetrics = rmse wape smape rmsle mape\nbatch = 32\nepochs = 20\n[optimizer]\nlr = 0.02\n' >counts.ini
for loss in poisson tweedie "pinball --train.quantile 0.9"; do
  expect 0 "" train counts.ini --quiet -n 2 --launch threads --train.loss $loss --run-dir "counts_${loss%% *}"
done
"$chorale" predict counts_poisson --file counts.csv --out predicted_counts.csv >/dev/null 2>&1
awk -F, 'NR > 1 { if ($NF <= 0) exit 1; sum += $NF } END { exit !(sum / (NR - 1) > 1 && sum / (NR - 1) < 4) }' predicted_counts.csv || { echo "predictions of poisson are no means"; failed=1; }
"$chorale" predict counts_pinball --file counts.csv --out predicted_high.csv >/dev/null 2>&1
awk -F, 'NR == FNR { count[FNR] = $3; next } FNR > 1 { below += count[FNR] <= $NF } END { exit !(below / (FNR - 1) > 0.8 && below / (FNR - 1) < 0.99) }' counts.csv predicted_high.csv ||
  { echo "predictions of the 0.9 quantile lie elsewhere"; failed=1; }
expect 0 "" train recipe.ini --quiet -n 1 --train.epochs 1 --train.loss binary_focal --train.class_weights balanced --run-dir focal
expect 0 "wrote" predict focal --file shop/sessions.csv --out focal.csv
head -n 1 focal.csv | grep -q 'probability,class$' || { echo "predictions of binary_focal are $(head -n 1 focal.csv)"; failed=1; }
expect 0 "" train counts.ini --quiet -n 1 --data.target count --train.loss focal --train.metrics accuracy --model.layers "linear(6)" --run-dir focal6
expect 64 "gives 30 numbers, the target has 6 classes; end it with linear(6)" train counts.ini -n 1 --train.loss cross_entropy --train.metrics accuracy --model.layers "linear(30)" --run-dir x2
expect 64 "train.quantile does nothing with train.loss = poisson; remove it, or use pinball" train counts.ini --train.quantile 0.2 --run-dir x
sed '2s/[0-9]*$/-3/' counts.csv >negative.csv
expect 65 "has the target -3" train counts.ini --data.file negative.csv --run-dir negative
# Several targets: a class of three, one of two and a number, each missing in some rows.
awk 'BEGIN { srand(3); print "id,a,b,colour,buys,spend"
  for (i = 0; i < 600; ++i) { a = rand(); b = rand(); printf "%d,%.4f,%.4f,", i, a, b
    print (i % 5 == 0 ? "" : a > 0.66 ? "red" : a > 0.33 ? "green" : "blue") "," (i % 4 == 1 ? "" : b > a ? "yes" : "no") "," (i % 3 == 2 ? "" : a + 2 * b) } }' >several.csv
printf '[data]\nfile = several.csv\ntarget = colour, buys, spend\nid = id\n[model]\nkind = ple\nexpert_layers = linear(8) relu\nexperts = 2\n[train]
loss = colour : cross_entropy buys : binary_cross_entropy spend : mse\nclass_weights = buys : balanced\nmetrics = accuracy auc spend.rmse
early_stop = validation.buys.auc 9\nbatch = 32\nepochs = 15\ntask_weights = uncertainty\ngradient_surgery = pcgrad\n[optimizer]\nlr = 0.01\n[parallel]\nvirtual_workers = 4\n' >several.ini
expect 0 "" train several.ini --quiet -n 1 --run-dir several
expect 0 "" train several.ini --quiet -n 3 --launch mpirun --run-dir several3
same "$(outcome several)" "$(outcome several3)" "outcome of several targets with 1 rank and with 3"
expect 0 "" train several.ini --quiet -n 2 --launch threads --train.steps 42 --run-dir several_cut
expect 0 "resumes at step 42" train several.ini --quiet -n 2 --launch threads --run-dir several_cut --resume
same "$(outcome several)" "$(outcome several_cut)" "outcome of several targets with and without a resume"
evaluated=$("$chorale" eval several --json)
grep -o '"test":{.*' several/metrics.jsonl | tail -n 1 | grep -q "\"buys.auc\":$(sed -n 's/.*"buys.auc": \([0-9.e-]*\).*/\1/p' <<<"$evaluated")" ||
  { echo "eval of several targets differs from the run's own test: $evaluated"; failed=1; }
expect 0 "targets" inspect several
cut -d, -f1-3 several.csv >to_predict.csv
expect 0 "wrote 600 predictions" predict several --file to_predict.csv --out predicted.csv
same "id,colour.probability,colour.class,buys.probability,buys.class,spend.value" "$(head -n 1 predicted.csv)" "columns of predictions of several targets"
expect 64 "which model.kind = layers cannot learn together" train several.ini --model.kind layers --model.layers "linear(1)" --model.expert_layers "" --model.experts 4 --run-dir x
expect 64 "train.loss = mee is refused: did you mean" train several.ini --train.loss mee --run-dir x
expect 64 "expected one loss for 'spend'" train several.ini --train.loss "colour : cross_entropy buys : mse" --run-dir x
expect 64 "metric 'auc' needs" train several.ini --train.metrics "spend.auc" --run-dir x
expect 64 "2 numbers for 3 targets" train several.ini --train.task_weights "1 2" --run-dir x
expect 64 "does nothing with one target" train recipe.ini --train.gradient_surgery pcgrad --run-dir x
expect 64 "model.levels does nothing with model.kind = mmoe" train several.ini --model.kind mmoe --model.levels 3 --run-dir x
expect 64 "parallel.exchange = local_sgd does not have" train several.ini -n 2 --launch threads --parallel.exchange local_sgd --run-dir several_local
expect 0 "training starts at step 0" train recipe.ini --train.epochs 1 --quiet -n 1 --run-dir fresh --resume
expect 64 "optimizer.momentum does nothing with optimizer.name = adam" train recipe.ini --optimizer.momentum 0.9 --run-dir x
expect 64 "exists" train "${common[@]}" -n 1 --run-dir one
refused=$(timeout 60 "$chorale" train recipe.ini -n 2 --launch mpirun --run-dir mpirun2 --overwrite --parallel.balance cost 2>&1)
[[ $refused == *"say nothing"* && $refused != *"done after"* ]] || { echo "a refused run gives the last words of the one before: $refused"; failed=1; }
expect 0 "rows" eval one --part test
expect 0 "linear" inspect one
expect 0 "wrote 3000 predictions" predict one --file shop/sessions.csv --out predicted.csv
same "$(wc -l <predicted.csv)" 3001 "lines of predictions and rows"
# A file to predict needs the model's columns only: no target, none that the recipe drops, ids where the run keeps them.
expect 0 "" train recipe.ini --data.drop "customer_id product_id" --data.id session_id --data.bad_rows "skip 2" --train.epochs 1 -n 2 --run-dir ids --quiet
awk -F, -v OFS=, 'NR == 3 { $9 = "many" } { sub(/,[^,]*$/, ""); $2 = ""; print }' shop/sessions.csv | sed '1s/^\([^,]*\),/\1,x/' >unlabelled.csv
expect 0 "unlabelled.csv:3:" predict ids --file unlabelled.csv --out unlabelled_predicted.csv
same "$(head -n 2 unlabelled_predicted.csv | cut -d, -f1 | tr '\n' ' ')" "session_id s1 " "ids of predictions"
same "$(wc -l <unlabelled_predicted.csv)" 3000 "lines of predictions when one row is bad"
cut -d, -f1-8,10- unlabelled.csv >lacking.csv
expect 65 "lacking.csv:1:1: the model needs column 'pages', which the file lacks" predict ids --file lacking.csv --out x.csv
expect 65 "data.target names column 'purchase'" eval ids --file unlabelled.csv
# Rows that were not there in training: neither scored as the run's own part nor trained on by a resumed run.
mv shop/sessions.csv whole.csv
head -n 2500 whole.csv >shop/sessions.csv
expect 65 "expected the rows that the run was trained on (3000 rows" eval one --part test
expect 64 "--resume: data is '2499 rows" train "${common[@]}" -n 2 --launch threads --run-dir cut --resume
mv whole.csv shop/sessions.csv

# One rank with a library of another build: the stamp differs by a byte.
library=$(readlink -f "$(dirname "$chorale")/libchorale.so.0")
stamp=$(readelf -n "$library" | sed -n 's/.*Build ID: //p')
at=$(perl -0777 -ne 'BEGIN { $id = pack("H*", shift) } print index($_, $id)' "$stamp" "$library")  # any byte may be a newline
mkdir other && cp "$library" other/libchorale.so.0 && printf '\1' | dd of=other/libchorale.so.0 bs=1 seek="$at" conv=notrunc status=none
out=$(timeout 60 mpirun --oversubscribe --bind-to none -np 1 "$chorale" train recipe.ini --run-dir mixed --quiet : \
  -np 1 -x LD_LIBRARY_PATH="$PWD/other" "$chorale" train recipe.ini --run-dir mixed --quiet 2>&1)
status=$?
[[ $status = 64 && $out == *"build is '"*"on rank 0 and"* && ! -e mixed ]] || { echo "two builds: expected 64 and both, got $status: $out"; failed=1; }

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
printf 'a,b,y\n1,2,0\n1,2,0\n3,4,0\n' >ragged.csv
expect 65 "ragged.csv:1:5: data.target: column 'y' is always '0'" train ragged.ini -n 2 --launch threads --data.split "random 0.5 0.5" --run-dir x
expect 65 "ragged.csv:1:1: data.target names column 'yy'" train ragged.ini -n 1 --data.target yy --run-dir x
[ ! -e x ] || { echo "a run directory was made by a run that never started"; failed=1; }
cp -r one damaged
printf 'X' | dd of="$(ls -d damaged/checkpoints/step_* | sort -V | tail -n 1)/model.safetensors" bs=1 seek=900 conv=notrunc status=none
rm -rf "$(ls -d damaged/checkpoints/step_* | sort -V | head -n 1)"
expect 66 "" eval damaged
mkdir foreign && touch foreign/model.safetensors
expect 66 "no manifest.json" eval foreign
expect 0 "samples_per_second" bench step --steps 200 --json
expect 0 '"parameters": 21249' bench step --preset article --steps 20 -n 2 --json
expect 0 "669706 parameters, 2 ranks" bench step --preset mlp --steps 3 -n 2 --launch threads
expect 64 "did you mean mlp" bench step --preset mpl
for launch in threads mpirun; do
  for op in all_reduce reduce_scatter all_gather all_to_all broadcast send_recv barrier; do
    peer=none; [ $launch = mpirun ] && peer=mpi
    expect 0 "\"correct\": true" bench comm --op $op --sizes 4,100K -n 2 --launch $launch --peer $peer --repeat 3 --json
  done
done
expect 0 "ok" bench comm --sizes 1K:4K --dtype bf16 -n 3 --launch threads --repeat 3
expect 64 "'4X'" bench comm --sizes 4X
expect 64 "--launch mpirun" bench comm --peer mpi -n 2 --launch threads
expect 0 "matrix_product" doctor -n 1 --json
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
