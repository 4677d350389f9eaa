#!/usr/bin/env bash
# `chorale collab` as people use it: equal bits at every number of ranks, what summary.json and study.json say, a study that goes on, errors.
# usage: collab_test.sh CHORALE
set -uo pipefail
chorale=$1
. "$(dirname "${BASH_SOURCE[0]}")/expect.sh"
hashes() { grep -o '"parameters_hash": "[^"]*"' "$1/summary.json"; }

# Three tables of 600 persons. What buys says about a person helps answers; calls is noise and knows nobody's answers.
awk 'BEGIN {
  srand(11)
  print "person,a,b,answers" > "answers.csv"; print "visit,person,c,d,buys" > "buys.csv"; print "call,person,e,f,g,h,long" > "calls.csv"
  for (p = 1; p <= 600; ++p) {
    t = rand() + rand() + rand() - 1.5
    printf "%d,%.3f,%.3f,%d\n", p, rand(), rand(), (t + 0.1 * rand() > 0) > "answers.csv"
    for (v = 0; v < 2; ++v) printf "v%d,%d,%.3f,%.3f,%d\n", 2 * p + v, p, t + 0.2 * rand(), rand(), (t + rand() > 0.5) > "buys.csv"
    printf "c%d,%d,%.3f,%.3f,%.3f,%.3f,%d\n", p, p, rand(), rand(), rand(), rand(), (rand() > 0.5) > "calls.csv"
  }
}'
cat >task.ini <<'END'
[model]
layers = linear(16) relu linear(1)
[train]
batch = 64
epochs = 12
metrics = auc
[parallel]
virtual_workers = 2
[optimizer]
lr = 0.01
END
section() { printf '[task.%s]\nrecipe = task.ini\ndata.file = %s.csv\ndata.target = %s\nentity = %s\n%s\n' "$@"; }
collab='[collab]\nevery = 5\nwidth = 4\nburn_in = 0.2\nsplit = person 0.6 0.2 0.2\n'
{ printf "$collab"'steps_per_tick = answers:5 buys:10\n'
  section answers answers answers "person : person" "role = target"
  section buys buys buys "person : person" $'role = peer\ndata.drop = visit'; } >two.ini
{ printf "$collab"'steps_per_tick = answers:5 buys:10 calls:3\n'
  section answers answers answers "person : person" ""
  section buys buys buys "person : person" "data.drop = visit"
  section calls calls long "person : person" "data.drop = call"; } >three.ini

# Equal bits: the ranks of each task and what starts them do not show.
expect 0 "run directory: one" collab train two.ini --run-dir one --launch threads
expect 0 "" collab train two.ini --run-dir two --launch threads --task.answers.ranks 2 --quiet
expect 0 "" collab train two.ini --run-dir three --launch mpirun --task.buys.ranks 2 --quiet
expect 0 "" collab train two.ini --run-dir share --launch mpirun -n 3 --task.buys.ranks "share 0.7" --task.answers.ranks "share 0.3" --quiet
for run in two three share; do check "two tasks: '$(hashes one)' and '$(hashes $run)' of $run differ" [ "$(hashes one)" = "$(hashes $run)" ]; done
check "no hashes of two tasks" [ "$(hashes one | wc -l)" = 2 ]
check "share gave buys other ranks than 2" grep -q '"ranks": 2' <(sed -n '/"buys"/,$p' share/summary.json)
expect 0 "" collab train three.ini --run-dir three_a --launch threads --quiet
expect 0 "" collab train three.ini --run-dir three_b --launch threads --task.calls.ranks 2 --task.answers.ranks 2 --quiet
expect 0 "" collab train three.ini --run-dir three_c --launch mpirun --task.buys.ranks 2 --quiet
for run in b c; do check "three tasks: bits of $run differ" [ "$(hashes three_a)" = "$(hashes three_$run)" ]; done
check "another seed gives the same bits" [ "$(hashes one)" != "$(expect 0 "" collab train two.ini --run-dir seed --quiet --task.buys.train.seed 9; hashes seed)" ]
# The resolved recipe holds all of it and gives the same run.
expect 0 "" collab train one/recipe.resolved.ini --run-dir again --launch threads --quiet
check "the resolved recipe gives another run" [ "$(hashes one)" = "$(hashes again)" ]
# Where vectors lie changes no bit, whatever starts the ranks; a run goes on in the other form, with other ranks.
expect 0 "vectors of entities, sharded" collab train two.ini --run-dir sharded --launch threads --task.buys.ranks 2 --collab.store sharded
expect 0 "" collab train two.ini --run-dir sharded_mpi --launch mpirun --task.answers.ranks 2 --task.buys.ranks 2 --quiet --collab.store sharded
for run in sharded sharded_mpi; do check "two tasks: bits of $run differ from those of a replicated store" [ "$(hashes one)" = "$(hashes $run)" ]; done
cut=(--collab.checkpoint_every 2 --task.answers.checkpoint.keep_last 1000 --task.buys.checkpoint.keep_last 1000 --quiet)
for forms in "sharded replicated" "replicated sharded"; do
  read -r first second <<<"$forms"
  expect 0 "" collab train two.ini --run-dir "from_$first" --launch threads --task.buys.ranks 2 --collab.store $first "${cut[@]}"
  rm -r $(ls -d from_$first/checkpoints/step_* | sort -V | tail -n 2)
  expect 0 "" collab train two.ini --run-dir "from_$first" --resume --launch mpirun --task.answers.ranks 2 --collab.store $second "${cut[@]}"
  check "a run that goes on with a $second store ends with other bits" [ "$(hashes one)" = "$(hashes from_$first)" ]
done
# What a run leaves behind: rows of all entities that the weights of its end make, in the same bytes whatever the ranks; it is scored with them.
newest() { ls -d $1/checkpoints/step_* | sort -V | tail -n 1; }
final() { cksum <"$(newest $1)/store.safetensors"; }
for run in two three share sharded sharded_mpi from_sharded from_replicated; do
  check "rows of the end of $run differ" [ "$(final one)" = "$(final $run)" ]
done
check "rows of another seed are the same" [ "$(final one)" != "$(final seed)" ]
said_auc() { sed -n '/"test"/,$p' one/tasks/answers/summary.json | grep -o '"auc": [0-9.]*' | head -n 1; }
scored_as_told() { [ "$(said_auc)" = "$("$chorale" eval one/tasks/answers --json | grep -o '"auc": [0-9.]*')" ]; }
check "eval gives other scores than the run" scored_as_told
expect 0 "" collab train two.ini --run-dir end_off --launch threads --quiet --collab.finalise 0
check "collab.finalise = 0 changes nothing" [ "$(hashes one)" != "$(hashes end_off)" ]
# Vectors in fewer bytes, cut, with noise: the same bits in either form, and a task of it is scored with what it heard.
less=(--collab.wire int8 --collab.clip 2 --collab.noise 0.1 --quiet)
expect 0 "" collab train two.ini --run-dir less --launch threads "${less[@]}"
expect 0 "" collab train two.ini --run-dir less_b --launch mpirun --task.buys.ranks 2 --collab.store sharded "${less[@]}"
check "bits of rows in fewer bytes differ" [ "$(hashes less)" = "$(hashes less_b)" ]
check "rows in fewer bytes, cut and with noise change nothing" [ "$(hashes less)" != "$(hashes one)" ]
less_auc=$(sed -n '/"test"/,$p' less/tasks/answers/summary.json | grep -o '"auc": [0-9.]*' | head -n 1)
expect 0 "${less_auc#*: }" eval less/tasks/answers --json
expect 64 "collab.noise is a multiple of collab.clip, which is missing" collab train two.ini --run-dir no --collab.noise 1
# Out of fold: the same bits at every number of ranks, other vectors, and a task that is scored as it was trained.
expect 0 "" collab train two.ini --run-dir folds --launch threads --task.buys.folds 3 --quiet
expect 0 "" collab train folds/recipe.resolved.ini --run-dir folds_b --launch mpirun --task.buys.ranks 2 --quiet
check "bits of a run that publishes out of fold differ" [ "$(hashes folds)" = "$(hashes folds_b)" ]
check "publishing out of fold changes nothing" [ "$(hashes folds | head -n 1)" != "$(hashes one | head -n 1)" ]
folds_auc=$(sed -n '/"test"/,$p' folds/tasks/buys/summary.json | grep -o '"auc": [0-9.]*' | head -n 1)
expect 0 "${folds_auc#*: }" eval folds/tasks/buys --json
expect 64 "task.answers.folds = 3 is refused: a task with role = target publishes nothing" collab train two.ini --run-dir no --task.answers.folds 3
expect 64 "task.buys.columns is short for task.buys.data.columns; give one of them" collab train two.ini --run-dir no --task.buys.columns c --task.buys.data.columns c
expect 64 "task.buys.folds = 1 is refused" collab train two.ini --run-dir no --task.buys.folds 1
# A task may start with the weights of another run, here of a task of this one; a run that goes on reads them no more.
warm=(--quiet --task.buys.train.init_from one/tasks/buys --task.buys.train.init_only encoder --collab.checkpoint_every 4
      --task.answers.checkpoint.keep_last 1000 --task.buys.checkpoint.keep_last 1000)
cp -r one begun
expect 0 "starts with weights of" collab train two.ini --run-dir warm --launch threads "${warm[@]/#one/begun}"
expect 0 "" collab train two.ini --run-dir warm_b --launch mpirun --task.buys.ranks 2 "${warm[@]/#one/begun}"
check "weights of another run change nothing" [ "$(hashes one)" != "$(hashes warm)" ]
check "with weights of another run bits depend on ranks" [ "$(hashes warm)" = "$(hashes warm_b)" ]
check "summary.json does not say what buys started with" grep -q '"init_from": {' warm/summary.json
rm -r begun $(ls -d warm/checkpoints/step_* | tail -n 2)
expect 0 "" collab train two.ini --run-dir warm --resume --launch threads "${warm[@]/#one/begun}"
check "a run with other weights that goes on ends with other bits" [ "$(hashes warm)" = "$(hashes warm_b)" ]
check "a run that goes on forgets what it started with" grep -q '"init_from": {' warm/summary.json
# Without pinned steps they are measured, said, and written down.
expect 0 "collab.steps_per_tick = answers:" collab train two.ini --run-dir measured --launch threads --collab.steps_per_tick "" --quiet

# In lock-step: equal bits for any ranks, also where a rank is killed and all go on from one tick; what waiting costs is said.
persons() { section answers answers answers "person : person" ""; section half answers answers "person : person" ""; }
for strategy in trunk stitch; do
  { printf "$collab"'strategy = %s\nsteps_per_tick = answers:5 half:5\ncheckpoint_every = 2\n' $strategy; persons; } >$strategy.ini
  expect 0 "" collab train $strategy.ini --run-dir ${strategy}_a --launch threads --quiet
  expect 0 "restart 1" collab train $strategy.ini --run-dir ${strategy}_b --launch mpirun --task.answers.ranks 2 --task.half.ranks 2 --inject kill9@3:42
  check "bits of $strategy differ where a rank was killed" [ "$(hashes ${strategy}_a)" = "$(hashes ${strategy}_b)" ]
  expect 0 "" collab train ${strategy}_a/recipe.resolved.ini --run-dir ${strategy}_d --launch threads --quiet
  check "the resolved recipe of $strategy gives another run" [ "$(hashes ${strategy}_a)" = "$(hashes ${strategy}_d)" ]
  check "no hashes of $strategy" [ "$(hashes ${strategy}_a | wc -l)" = 2 ]
  expect 0 "lock-step: every step waits for all tasks" collab train $strategy.ini --run-dir ${strategy}_c --launch threads --collab.steps_per_tick ""
done

# Weights of another run under a trunk: of whichever task they are given to, all begin with them; private layers are each task's own.
for who in answers half; do
  expect 0 "starts with weights of" collab train trunk.ini --run-dir given_$who --launch threads --task.$who.train.init_from trunk_a/tasks/half
  expect 0 "" collab train trunk.ini --run-dir given_${who}_b --launch mpirun --task.half.ranks 2 --quiet --task.$who.train.init_from trunk_a/tasks/half
  check "bits of trunk with weights for $who depend on ranks" [ "$(hashes given_$who)" = "$(hashes given_${who}_b)" ]
  check "weights for $who change nothing" [ "$(hashes given_$who)" != "$(hashes trunk_a)" ]
done
check "private layers of both runs are the same" [ "$(hashes given_answers)" != "$(hashes given_half)" ]
expect 0 "half, train.init_from: parameters in common begin with the values that answers has loaded" collab train trunk.ini --run-dir given_both \
  --launch threads --task.answers.train.init_from trunk_a/tasks/half --task.half.train.init_from trunk_b/tasks/answers
# In a study all arms begin with them, pooled too; other weights are another study.
study_mean() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["labels"]["all"]["arms"][sys.argv[2]]["tasks"]["answers"]["metric"]["mean"])' "$@"; }
given=(collab study two.ini --launch threads -n 1 --seeds 1 --task.answers.train.epochs 2 --task.buys.train.epochs 2)
expect 0 "starts with weights of" "${given[@]}" --out given --arms alone,collab,pooled,matched --task.answers.train.init_from one/tasks/answers
expect 0 "" "${given[@]}" --out drawn --arms alone,collab,pooled,matched
for arm in alone collab pooled matched; do
  check "weights of another run change nothing in $arm" [ "$(study_mean given/study.json $arm)" != "$(study_mean drawn/study.json $arm)" ]
done

check "study.json does not say its command" grep -q '"command": "chorale collab study' given/study.json

# Other strategies beside the store: bits of any layout, and of a run that goes on from a tick in the middle.
more=(--quiet --collab.strategy "store distill proto align" --collab.proto.key person --collab.checkpoint_every 4 --task.answers.role both
      --task.buys.role both --task.answers.checkpoint.keep_last 1000 --task.buys.checkpoint.keep_last 1000)
expect 0 "" collab train two.ini --run-dir more --launch threads "${more[@]}"
expect 0 "" collab train two.ini --run-dir more_b --launch mpirun --task.buys.ranks 2 "${more[@]}"
check "other strategies change nothing" [ "$(hashes one)" != "$(hashes more)" ]
check "with all strategies bits depend on ranks" [ "$(hashes more)" = "$(hashes more_b)" ]
lines=$(wc -l <more/sharing.jsonl) last=$(tail -n 1 more/sharing.jsonl)
rm -r $(ls -d more/checkpoints/step_* | tail -n 2)
expect 0 "" collab train two.ini --run-dir more --resume --launch threads "${more[@]}"
check "a run with all strategies that goes on ends with other bits" [ "$(hashes more)" = "$(hashes more_b)" ]
check "sharing.jsonl has $(wc -l <more/sharing.jsonl) lines for $lines" [ "$(wc -l <more/sharing.jsonl)" = "$lines" ]
affinity() { sed -n '/"affinity"/,$p' "$1/summary.json"; }
check "the mean of affinity differs after a resume: $(affinity more) and $(affinity more_b)" [ "$(affinity more)" = "$(affinity more_b)" ]
check "no affinity in summary.json: $(affinity more)" grep -q '"buys": 0\.' <(affinity more)
check "the last line of sharing.jsonl has another matrix: $last" [ "${last##*affinity}" = "$(tail -n 1 more/sharing.jsonl | sed 's/.*affinity//')" ]
expect 64 "collab.align.weight does nothing with collab.strategy = store" collab train two.ini --run-dir no --collab.align.weight 1
expect 64 "there is no strategy 'gossip'; there are align distill proto stitch store trunk" collab train two.ini --run-dir no --collab.strategy gossip
expect 64 "collab.strategy = proto needs collab.proto.key" collab train two.ini --run-dir no --collab.strategy proto

# A task that ends early: the others go on, also across a cut after its end, and it is scored with the rows of its end.
{ printf "$collab"'steps_per_tick = answers:5 buys:10\ncheckpoint_every = 2\n'
  section answers answers answers "person : person" $'train.epochs = 5\ncheckpoint.keep_last = 1000'
  section buys buys buys "person : person" $'data.drop = visit\ncheckpoint.keep_last = 1000'; } >early.ini
steps() { grep -o '"steps": [0-9]*' "$1/summary.json" | grep -o '[0-9]*$' | tr '\n' ' '; }
scores() { grep -o '"auc": [0-9.]*' "$1/tasks/answers/summary.json"; }
for at_end in cycle serve mask; do
  expect 0 "" collab train early.ini --run-dir early_$at_end --launch threads --quiet --task.answers.at_end $at_end
  expect 0 "" collab train early.ini --run-dir early_${at_end}_b --launch mpirun --quiet --task.answers.at_end $at_end --task.answers.ranks 2 --inject kill9@1:60
  check "bits differ with at_end = $at_end where a rank was killed" [ "$(hashes early_$at_end)" = "$(hashes early_${at_end}_b)" ]
  before=$(hashes early_$at_end; scores early_$at_end)
  for ticks in 1 2 6; do  # that are lost: the last, some after the end of answers, and one of its own
    rm -r $(ls -d early_$at_end/checkpoints/step_* | sort -V | tail -n $ticks)
    expect 0 "" collab train early.ini --run-dir early_$at_end --resume --launch threads --quiet --task.answers.at_end $at_end
    check "a run with at_end = $at_end that has lost $ticks ticks ends with other bits" [ "$before" = "$(hashes early_$at_end; scores early_$at_end)" ]
  done
  expect 0 "" collab train early.ini --run-dir early_$at_end --resume --launch threads --quiet --task.answers.at_end $at_end
  check "a run with at_end = $at_end that was over has other scores" [ "$before" = "$(hashes early_$at_end; scores early_$at_end)" ]
done
check "a task that serves made as many steps as one that cycles: $(steps early_serve)" [ "$(steps early_serve)" != "$(steps early_cycle)" ]
check "a task that serves and one that is masked differ" [ "$(hashes early_serve | head -n 1)" = "$(hashes early_mask | head -n 1)" ]
score=$(sed -n '/"test"/,$p' early_serve/tasks/answers/summary.json | grep -o '"auc": [0-9.]*' | head -n 1)
expect 0 "${score#*: }" eval early_serve/tasks/answers --json
expect 0 "" collab train trunk.ini --run-dir early_trunk --launch mpirun --quiet --task.half.at_end mask --task.half.train.epochs 4 --task.answers.ranks 2
expect 64 "task.half.at_end = serve is refused: with collab.strategy = trunk every step waits" collab train trunk.ini --run-dir no --task.half.at_end serve
expect 64 "with collab.strategy = stitch all tasks hold the same rows and end together" collab train stitch.ini --run-dir no --task.half.at_end mask
expect 64 "the mean of collab.trunk.average_every takes the values of every task" collab train trunk.ini --run-dir no --task.half.at_end mask --collab.trunk.average_every 2

# Bytes: a tick of one epoch, and a sweep of all rows in each tick. Six ticks more send heads, what the affinity matrix
# is made of (32 rows of 16 units, 8 words and a head) and an entry for each training row and each row of
# the table six times more.
whole=(--launch threads --collab.finalise 0 --task.answers.role both --task.buys.role both --collab.sweep 1 --collab.steps_per_tick "answers:6 buys:12" --collab.checkpoint_every 0)
bytes() { grep -o '"sharing_bytes": [0-9]*' "$1/summary.json" | head -n 1 | grep -o '[0-9]*$'; }
rows=$("$chorale" collab train two.ini "${whole[@]}" --run-dir twelve 2>&1 </dev/null | sed -n 's/^  rows  *\([0-9]*\) train.*/\1/p')
expect 0 "" collab train two.ini "${whole[@]}" --task.answers.train.epochs 18 --task.buys.train.epochs 18 --run-dir eighteen --quiet
check "$rows training rows of answers are no 60 % of 600" [ "${rows:-0}" -gt 300 ]
check "six ticks more: $(bytes twelve) and $(bytes eighteen) bytes with $rows training rows" [ $(($(bytes eighteen) - $(bytes twelve))) = $((6 * (24 + 16 + 4 * (8 + 32 * 16) + (600 + rows) * (12 + 4 * 4)))) ]

# A task of few rows that listens to noise overfits it, until its guard closes.
head -n 181 answers.csv >few.csv
{ printf "$collab"; section few few answers "person : person" $'role = target\ntrain.epochs = 150\ntrain.evaluate_every_epochs = 5'
  section calls calls long "person : person" $'role = peer\ndata.drop = call'; } >guard.ini
expect 0 "few no longer hears calls about persons" collab train guard.ini --run-dir guarded --launch threads --collab.steps_per_tick "few:10 calls:10"
expect 0 "" collab train guard.ini --run-dir unguarded --launch threads --collab.steps_per_tick "few:10 calls:10" --collab.guard off --quiet

command -v python3 >/dev/null && { python3 - <<'END' || failed=1; }
import json, os, sys
def load(run): return json.load(open(run + "/summary.json"))
one, few, free = load("one"), load("guarded"), load("unguarded")
def check(what, holds):
    if not holds: print("summary.json:", what); sys.exit(1)
check("status, ticks or world size", one["status"] == "done" and one["ticks"] > 0 and one["world_size"] == 2)
for name, steps in (("answers", 5), ("buys", 10)):
    task = one["tasks"][name]
    check(f"metrics of {name}", 0 < task["metrics"]["test"]["auc"] <= 1 and task["metrics"]["validation"]["loss"] > 0)
    check(f"steps of {name}", task["steps_per_tick"] == steps and task["ranks"] == 1 and task["steps"] > 0)
check("answers gains nothing of what buys knows", one["tasks"]["answers"]["metrics"]["test"]["auc"] > 0.75)
check("bytes_per_step_per_rank, overhead or sweep_share", one["bytes_per_step_per_rank"] > 0 and 0 <= one["sweep_share"] <= one["overhead"] + one["sweep_share"] <= 1)
events = few["tasks"]["few"]["guard"]
check(f"no guard event: {few['tasks']['few']}", events and events[0]["event"] == "closes")
check(f"guard event {events[0]}", events[0]["peer"] == "calls" and events[0]["kind"] == "person" and events[0]["entities"] > 10
      and events[0]["validation"] >= 2 and events[0]["benefit"] < -events[0]["standard_error"] < 0)
check("guard off leaves events", free["tasks"]["few"]["guard"] == [])
for name in ("answers", "buys"):
    check(f"files of {name}", all(os.path.exists(f"one/tasks/{name}/{f}") for f in ("summary.json", "metrics.jsonl", "recipe.resolved.ini", "pipeline.json")))
END

# A peer whose rows are there because of the label, and one that learns the label itself, are said before they are believed.
awk -F, 'NR == 1 || $4 == 1 || NR % 9 == 0' answers.csv >orders.csv
awk -F, -v OFS=, 'NR == 1 { print "person,g,again"; next } { print $1, $4 + NR % 7 / 20, $4 }' answers.csv >copy.csv
{ printf "$collab"; section answers answers answers "person : person" "role = target"
  section orders orders a "person : person" $'role = peer\ntrain.loss = mse\ntrain.metrics = rmse'
  section copy copy again "person : person" "role = peer"; } >leak.ini
leaking() { "$chorale" collab train leak.ini --run-dir leak --launch threads --collab.steps_per_tick "answers:5 orders:5 copy:5" </dev/null; }
leaking >leak.log 2>&1 || { cat leak.log; failed=1; }
check "no warning of presence: $(cat leak.log)" grep -q "LEAK? whether orders has a row of a person tells answers its label: correlation 0.[89]" leak.log
check "no warning of vectors: $(cat leak.log)" grep -q "LEAK? what copy says about persons tells answers its label: correlation 0.9" leak.log
check "other warnings than those two: $(grep LEAK leak.log)" [ "$(grep -c LEAK leak.log)" = 2 ]
check "leaks are not in summary.json" [ "$(grep -c '"peer": "\(orders\|copy\)"' leak/summary.json)" = 2 ]

# A study: what exists is not run again, also after a cut.
study=(collab study three.ini --launch threads --out study)
expect 0 "labels all:" "${study[@]}" -n 1 --seeds 1 --arms "alone matched collab shuffled untrained pooled"
check "a study of one seed and six arms made $(ls study/runs | wc -l) runs" [ "$(ls study/runs | wc -l)" = 6 ]
before=$(stat -c '%n %y %i' study/runs/*seed-1*)
"$chorale" "${study[@]}" -n 2 --seeds 40 >cut.log 2>&1 </dev/null &
pid=$!
for _ in $(seq 600); do [ "$(ls study/runs | wc -l)" -gt 8 ] && break; kill -0 $pid || break; sleep 0.05; done
kill -INT $pid
wait $pid
status=$?
check "a study that was interrupted ended with $status: $(tail -n 3 cut.log)" [ $status = 130 ]
check "an interrupted study does not say how to go on: $(tail -n 3 cut.log)" grep -q "goes on with what is missing" cut.log
kept=$(stat -c '%n %y %i' study/runs/*)
expect 0 "wrote study/study.json" "${study[@]}" -n 2 --seeds 2
check "runs of the first seed were made again" [ "$before" = "$(stat -c '%n %y %i' $(cut -d' ' -f1 <<<"$before"))" ]
check "runs from before the cut were made again" [ "$kept" = "$(stat -c '%n %y %i' $(cut -d' ' -f1 <<<"$kept"))" ]
printf 'X' | dd of="$(ls study/runs/*_collab_seed-2.result)" bs=1 seek=500 conv=notrunc status=none
expect 0 "it is run again" "${study[@]}" -n 1 --seeds 2
expect 0 "the arm mmoe is left out: model.layers of task answers" collab study two.ini --launch threads -n 1 --seeds 1 --arms "alone mmoe" --out shallow \
  --task.answers.model.layers "linear(1)"
check "study.json does not say what is left out" grep -q '"mmoe": "model.layers of task answers' shallow/study.json
for strategy in trunk stitch; do
  expect 0 "wrote locked-$strategy/study.json" collab study $strategy.ini --launch threads -n 1 --seeds 1 --arms "matched collab shuffled untrained" --out locked-$strategy
  check "a study of $strategy has no verdict" grep -qE '"(answers|half)": "(gain|harm|no gain shown): collab' locked-$strategy/study.json
done
check "study.json does not say why a trunk has no shuffled ids" grep -q '"shuffled": "a trunk asks for no' locked-trunk/study.json
expect 64 "made from another recipe" "${study[@]}" -n 1 --seeds 2 --task.buys.optimizer.lr 0.5
command -v python3 >/dev/null && { python3 - <<'END' || failed=1; }
import json, sys
study = json.load(open("study/study.json"))
def check(what, holds):
    if not holds: print("study.json:", what); sys.exit(1)
cell = study["labels"]["all"]
arms = ["alone", "matched", "collab", "unguarded", "disjoint", "shuffled", "untrained", "pooled", "shared_bottom", "mmoe", "ple"]
check(f"arms {list(cell['arms'])}", sorted(cell["arms"]) == sorted(arms))
for task in ("answers", "buys", "calls"):
    for arm in arms:
        score = cell["arms"][arm]["tasks"][task]["metric"]
        check(f"{arm} of {task}", len(score["values"]) == 2 and 0 < score["mean"] < 1 and score["sd"] >= 0)
        check(f"versus {arm}", arm == "collab" or cell["versus"][arm][task]["low"] <= cell["versus"][arm][task]["mean"] <= cell["versus"][arm][task]["high"])
    check(f"verdict of {task}", cell["verdict"][task].split(":")[0] in ("gain", "harm", "no gain shown"))
    check(f"closed gap of {task}", task in cell["closed_gap"])
check(f"answers gains {cell['versus']['matched']['answers']}", cell["versus"]["matched"]["answers"]["low"] > 0.05)
check("with one split by entity disjoint is collab", cell["arms"]["disjoint"] == cell["arms"]["collab"])
check("bytes or overhead", study["bytes_per_step_per_rank"] > 0 and study["overhead"] is not None)
END

# Refusals name the remedy. None leaves a run directory.
{ printf "$collab"; section answers answers answers "person : person" ""; } >single.ini
expect 64 "at least two sections [task.NAME]; train one task with chorale train" collab train single.ini --run-dir x
expect 64 "needs a recipe: chorale collab train RECIPE.ini" collab train --run-dir x
expect 64 "collab needs a word" collab
expect 64 "the tasks have 2 ranks (answers 1, buys 1), the run has 5; start it with -n 2" collab train two.ini -n 5 --launch threads --run-dir x
expect 64 "the tasks have 2 ranks (answers 1, buys 1), the run has 1; start it with -n 2" collab train two.ini -n 1 --launch threads --run-dir x \
  --task.answers.ranks "share 0.5" --task.buys.ranks "share 0.5"
expect 64 "task.buys.ranks = none is refused: expected a number of ranks, or share 0.5" collab train two.ini --run-dir x --task.buys.ranks none
expect 64 "there is no task 'bys'; write NAME:STEPS for each task" collab train two.ini --run-dir x --collab.steps_per_tick "answers:5 bys:5"
expect 64 "task buys is missing" collab train two.ini --run-dir x --collab.steps_per_tick "answers:5"
expect 64 "no task has entities of kind 'people'" collab train two.ini --run-dir x --collab.split "people 0.6 0.2 0.2"
expect 64 "names no column" collab train two.ini --run-dir x --task.buys.entity "person : "
expect 64 "did you mean" collab train two.ini --run-dir x --collab.evry 5
expect 64 "set task.buys.role = peer" collab train two.ini --run-dir y --overwrite --launch threads --task.buys.role both
expect 64 "no kind of entity in common" collab train two.ini --run-dir y --overwrite --launch threads --task.buys.entity "customer : person" --collab.split "customer 0.6 0.2 0.2"
expect 64 "arm 'pool' is unknown; allowed: alone matched collab" collab study two.ini --arms "alone pool" --out x
expect 64 "--labels many is refused" collab study two.ini --labels many --out x
for launch in threads mpirun; do
  expect 65 "customer_id" collab train two.ini --run-dir x --launch $launch --task.buys.entity "person : customer_id"
  expect 65 "no person in common: 0 of the 600 keys in $PWD/answers.csv, column 'person', are among those in $PWD/buys.csv, column 'visit'" collab train two.ini --run-dir y --overwrite --launch $launch --task.buys.entity "person : visit" --task.buys.data.drop person
done
# Rows of one person that say two things, in a table where each has one.
{ cat answers.csv; echo "17,0.111,0.222,1"; echo "18,0.333,0.444,0"; sed -n 31p answers.csv; } >twice.csv
for launch in threads mpirun; do
  expect 65 "$PWD/twice.csv:1:1: column 'person': 2 persons have several rows that contradict each other, where one row is the rule: 17 (rows 17 and 601: 'a' " \
    collab train two.ini --run-dir x --launch $launch --task.answers.data.file twice.csv
done
expect 65 "column 'person': 600 persons have several rows" collab train two.ini --run-dir x --launch threads --task.buys.repeats refuse
expect 0 "" collab train two.ini --run-dir twice --launch threads --quiet --task.answers.data.file twice.csv --task.answers.repeats allow
expect 64 "answers has 2, half has 1; give all the same task.NAME.ranks, for instance 1" collab train stitch.ini --run-dir y --overwrite --launch threads --task.answers.ranks 2
expect 64 "there is no such layer; there are 0 1 2" collab train stitch.ini --run-dir y --overwrite --launch threads --collab.stitch.layer tower
expect 64 "collab.trunk.parameters: 'tower.*' means no parameter of the model, which has" collab train trunk.ini --run-dir y --overwrite --launch threads --collab.trunk.parameters "tower.*"
expect 64 "0.weight [16, 2], half has" collab train trunk.ini --run-dir y --overwrite --launch threads --task.half.data.drop b
expect 64 "train.init_only says what of train.init_from is loaded" collab study two.ini --launch threads -n 1 --seeds 1 --arms alone --out shallow --task.buys.train.init_only head
expect 64 "collab.strategy = trunk publishes no vectors" collab train trunk.ini --run-dir x --task.half.folds 5
expect 64 "task.half.optimizer.lr = 0.5, but task.answers.optimizer.lr = 0.01" collab train trunk.ini --run-dir x --task.half.optimizer.lr 0.5
check "a refused run made a run directory" [ ! -e x ]
exit $failed
