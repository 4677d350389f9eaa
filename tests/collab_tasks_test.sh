#!/usr/bin/env bash
# One task of a finished collaboration, scored again: one that hears its peers by period, and one of a stitch, which computes with their layers.
# usage: collab_tasks_test.sh CHORALE
set -uo pipefail
chorale=$1
. "$(dirname "${BASH_SOURCE[0]}")/expect.sh"
command -v python3 >/dev/null || { echo "SKIP: scores are compared by python3, which is not there"; exit 0; }

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
same_scores() {  # same_scores RUN TASK [WORDS...]: eval gives the test scores of the run's summary
  "$chorale" eval "$1/tasks/$2" --json "${@:3}" >scores.json || failed=1
  python3 - "$1" "$2" <<'PY' || failed=1
import json, sys
run, task = sys.argv[1:]
told = json.load(open(run + "/summary.json"))["tasks"][task]["metrics"]["test"]
now = json.load(open("scores.json"))["metrics"]
sys.exit(0 if told == now and 0.4 < now["auc"] < 1 else print(f"{run}, {task}: summary.json says {told}, eval {now}") or 1)
PY
}
column() { tail -n +2 "$1" | cut -d, -f"$2"; }

# By period. What a person does in one day says what he answers on the next.
awk 'BEGIN {
  srand(3)
  print "person,day,a,answers" > "answers.csv"; print "person,day,c,d,buys" > "buys.csv"; print "person,day,a,answers" > "later.csv"
  for (p = 1; p <= 150; ++p) {
    mood = rand()
    for (t = 0; t < 10; ++t) {
      before = mood; mood = 0.5 * mood + 0.5 * rand()
      if (t < 9) printf "%d,%d,%.3f,%d\n", p, t, rand(), (before > 0.5) > "answers.csv"
      printf "%d,%d,%.3f,%.3f,%d\n", p, t, mood, rand(), (mood + 0.2 * rand() > 0.6) > "buys.csv"
      if (t == 9) printf "%d,%d,0.5,%d\n", p, t + 5, (before > 0.5) > "later.csv"
    }
  }
  print "nobody,9,0.5,1" > "later.csv"
}'
cat >days.ini <<'END'
[collab]
every = 5
width = 4
burn_in = 0.2
sweep = 2
time = day
period = 1
split = time 6 8
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
entity = person : person
role = peer
END
for more in best last; do
  extra=()
  [ $more = last ] && extra=(--task.answers.train.early_stop "")
  expect 0 "" collab train days.ini --run-dir days_$more --launch threads --quiet "${extra[@]}"
  for task in answers buys; do same_scores days_$more $task; done
  expect 0 "wrote 151 predictions" predict days_$more/tasks/answers --file later.csv --out $more.csv
  expect 0 "1 of 151 rows are of entities that no peer has published" predict days_$more/tasks/answers --file later.csv --out $more.csv
done
expect 0 "heard" inspect days_best/tasks/answers
cut -d, -f1,3- later.csv >undated.csv
expect 65 "the file has no column 'day', which says when a row happened" predict days_best/tasks/answers --file undated.csv --out no.csv
expect 64 "its rows are by period (collab.time)" train task.ini --data.file answers.csv --data.target answers --run-dir no -n 1 --data.representations "days_best : person : person"

# A stitch: two views of the same persons, in two files, and in one.
awk 'BEGIN {
  srand(8)
  print "person,a,b,y" > "left.csv"; print "person,c,d,z" > "right.csv"; print "person,a,b,c,d" > "both.csv"; print "person,a,b" > "half.csv"
  for (p = 1; p <= 600; ++p) {
    a = rand(); b = rand(); c = rand(); d = rand()
    printf "%d,%.3f,%.3f,%d\n", p, a, b, (a + c + 0.3 * rand() > 1.1) > "left.csv"
    printf "%d,%.3f,%.3f,%d\n", p, c, d, (c + d + 0.3 * rand() > 1.1) > "right.csv"
    if (p <= 90) { printf "%d,%.3f,%.3f,%.3f,%.3f\n", p, a, b, c, d > "both.csv"; printf "%d,%.3f,%.3f\n", p, a, b > "half.csv" }
  }
  print "stranger,0.5,0.5" > "half.csv"
}'
cat >stitch.ini <<'END'
[collab]
strategy = stitch
every = 5
split = person 0.6 0.2 0.2
[task.left]
recipe = task.ini
data.file = left.csv
data.target = y
entity = person : person
[task.right]
recipe = task.ini
data.file = right.csv
data.target = z
entity = person : person
END
for form in pairs channels; do
  expect 0 "" collab train stitch.ini --run-dir $form --launch threads --quiet $([ $form = channels ] && echo --collab.stitch.channels true)
  for task in left right; do same_scores $form $task; done
done
expect 0 "stitch.others" inspect pairs/tasks/left
# New rows: the peer's columns in the same file, or its own table's rows of the same persons; here they are the same.
expect 0 "wrote 90 predictions" predict pairs/tasks/left --file both.csv --out both_out.csv
expect 65 "1 of 91 rows are of entities that task right has no row of" predict pairs/tasks/left --file half.csv --out half_out.csv
expect 0 "its layers count as zeros there" predict pairs/tasks/left --file half.csv --out half_out.csv --missing-rows zeros
check "a peer's rows from its own table give other predictions" [ "$(column both_out.csv 2)" = "$(column half_out.csv 2 | head -n 90)" ]
sed 's/,[0-9.]*$/,0.9/' both.csv >moved.csv
expect 0 "wrote 90 predictions" predict pairs/tasks/left --file moved.csv --out moved_out.csv
check "a peer's columns in the file change nothing" [ "$(column both_out.csv 2)" != "$(column moved_out.csv 2)" ]
sed -i '$d' right.csv
expect 65 "right.csv: expected the rows that the run was trained on" eval pairs/tasks/left
mv pairs/tasks/right gone
expect 66 "and with it the layers of right that task left computes with" eval pairs/tasks/left
exit $failed
