#!/usr/bin/env bash
# chorale doctor on the real program: healthy, under an outer mpirun, with launchers that hang, are foreign or missing, with low limits and
# folders that cannot be written. Every visit ends within 30 s and leaves nothing behind.
# usage: doctor_test.sh CHORALE
set -uo pipefail
chorale=$(realpath "$1") failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export TMPDIR=$work/tmp
mkdir tmp
fail() { echo "$*"; failed=1; }

# visit CODE WORDS...: runs WORDS, which end with CODE within 30 s; out: what it said.
visit() {
  local code=$1 start status took
  shift
  start=$(date +%s%N)
  out=$(timeout -k 5 60 "$@" 2>messages </dev/null)
  status=$?
  took=$((($(date +%s%N) - start) / 1000000))
  [ "$status" = "$code" ] || fail "$*: expected $code, got $status: $out $(cat messages)"
  [ "$took" -lt 30000 ] || fail "$*: took $took ms"
}
# state CHECK STATE [TEXT]: in the JSON of the last visit.
state() {
  python3 -c '
import json, sys
checks = {c["name"]: c for c in json.loads(sys.argv[1])["checks"]}
check = checks[sys.argv[2]]
assert check["state"] == sys.argv[3], check
assert sys.argv[4] in check["found"], check
assert check["remedy"] if check["state"] in ("warning", "failed") else not check["remedy"], check
' "$out" "$1" "$2" "${3:-}" || fail "check $1 is not $2 '${3:-}'"
}
command -v python3 >/dev/null || { echo "CHORALE_SKIP doctor: there is no python3 to read its JSON"; exit 4; }
command -v mpirun >/dev/null || { echo "CHORALE_SKIP doctor: there is no mpirun"; exit 4; }

# Two ranks of our own: every check is there, what was measured is in it.
visit 0 "$chorale" doctor -n 2 --json
python3 -c '
import json, sys
report = json.loads(sys.argv[1])
assert report["ok"] is True and report["code"] == 0 and report["ranks"] == 2 and report["launcher"] == "mpirun", report
names = [c["name"] for c in report["checks"]]
assert names == ["mpi", "pmix", "slurm", "hosts", "slots", "world", "binding", "threads", "ranks_above_cores", "builds", "mpi_libraries",
                 "instruction_sets", "limits", "shared_memory", "interfaces", "run_directory", "free_space", "clocks", "latency", "bandwidth",
                 "all_reduce", "matrix_product", "memory", "gnuplot"], names
check = {c["name"]: c for c in report["checks"]}
pair, = check["latency"]["values"]["pairs"]
assert pair["first"] == 0 and pair["second"] == 1 and 0 < pair["latency_us"] < 1e6 and pair["gbs"] > 0, pair
ranks = check["matrix_product"]["values"]["ranks"]
assert len(ranks) == 2 and all(r[key] > 0 for r in ranks for key in ("gflops_alone", "gflops_together", "gbs_alone", "gbs_together")), ranks
assert sorted(check["all_reduce"]["values"]["types"]) == ["bf16", "f32", "f64", "i32", "i64", "u8"]
assert [r["rank"] for r in check["binding"]["values"]["ranks"]] == [0, 1]
' "$out" || fail "the JSON of a healthy visit: $out"
for check in mpi world builds run_directory all_reduce clocks; do state $check ok; done
visit 0 "$chorale" doctor -n 2
[[ $out == *"2 ranks by mpirun in one world"* ]] || fail "the text of a healthy visit: $out"

# One rank has no peers; ranks as threads need no launcher; more ranks than cores are said.
visit 0 "$chorale" doctor -n 1 --json
state latency skipped "one rank"
visit 0 "$chorale" doctor -n 2 --launch threads --json
state world ok "by threads"
state all_reduce ok
visit 0 "$chorale" doctor -n $(($(nproc) + 1)) --json
state ranks_above_cores warning "$(($(nproc) + 1)) ranks on"
# One core for two ranks, as the kernel sees it.
first_cpu=$(taskset -pc $$ | sed 's/.*: //; s/[-,].*//')
cores=$(python3 -c 'import json, sys; print({c["name"]: c for c in json.loads(sys.argv[1])["checks"]}["slots"]["values"]["cores"])' "$out")
if [ "$cores" -gt 1 ]; then
  visit 0 mpirun --oversubscribe --bind-to none -np 2 taskset -c "$first_cpu" "$chorale" doctor --json
  state binding warning "ranks 0, 1 on"
  visit 0 mpirun --bind-to none -np 2 "$chorale" doctor --json
  state binding warning "not bound"
fi

# The world of an outer mpirun is looked at, not another one, and one rank tells.
visit 0 mpirun --oversubscribe --bind-to none -np 3 "$chorale" doctor --json
state world ok "3 ranks by the outer launcher"
state run_directory ok
state all_reduce ok "3 ranks"

# Wrong usage.
for wrong in "-n 0" "-n x" "--jsno" "--hosts a:0" "--hosts a:2 -n 3" "--hosts a:2 --launch srun" "word"; do visit 64 "$chorale" doctor $wrong; done
visit 64 mpirun --oversubscribe --bind-to none -np 2 "$chorale" doctor --hosts a:2

# Folders that cannot be written, also by root; one that is not there yet is looked for in its parent.
visit 74 "$chorale" doctor -n 2 --run-dir /proc/none --json
state run_directory failed "/proc"
touch file
visit 74 "$chorale" doctor -n 2 --run-dir file/run --json
state run_directory failed "Not a directory"
visit 0 "$chorale" doctor -n 2 --run-dir new/run --json
state run_directory ok "would be made in it"
[ ! -e new ] || fail "the doctor made the run directory"

# Limits are those of the ranks.
out=$(ulimit -n 48; "$chorale" doctor -n 2 --json 2>messages)
state limits failed "48 open files"
out=$(ulimit -v 8000000; "$chorale" doctor -n 2 --json 2>messages)
state limits warning "of address space"

# MPI that does not start, with what it says; Open MPI itself loses its text in about one start of eight.
for _ in 1 2 3 4 5 6; do
  visit 75 env OMPI_MCA_btl=nonsense "$chorale" doctor -n 2 --json
  state world failed
  state matrix_product ok  # this machine is looked at all the same
  [[ $out == *nonsense* ]] && break
done
[[ $out == *nonsense* ]] || fail "what MPI said is not told: $out"

# Launchers: one that hangs at once, when it is to start ranks, when all have come; one of another MPI; ones that start worlds of 1, start a
# rank too few, or are not there.
fake() {  # fake NAME: standard input becomes NAME/mpirun; `version` in it answers --version
  mkdir -p "$1"
  { echo '#!/bin/bash'; echo 'version() { echo "mpirun (Open MPI) 4.1.4"; }'; cat; } >"$1/mpirun"
  chmod +x "$1/mpirun"
}
with() { local name=$1 code=$2; shift 2; visit "$code" env PATH="$work/$name:$PATH" "$chorale" doctor -n 2 --json "$@"; }
real=$(command -v mpirun)
fake hangs <<<'sleep 1234'
with hangs 75
state mpi failed "does not answer within 3 s"
state world skipped "see mpi"
state limits ok
fake hangs_later <<<'[ "$1" = --version ] && { version; exit; }; sleep 1234'
with hangs_later 75
state world failed "has started no rank within 8 s"
fake foreign <<<'[ "$1" = --version ] && { echo "HYDRA build details:"; echo "    Version: 4.0.2"; exit; }; exit 3'
with foreign 75
state mpi failed "MPICH 4.0.2"
state world failed "code 3"
words='while [ $# -gt 0 ]; do case $1 in -np) n=$2; shift ;; */chorale) break ;; esac; shift; done'
fake alone <<<"[ \"\$1\" = --version ] && { version; exit; }; $words; for i in \$(seq \$n); do \"\$@\" & done; wait"
with alone 75
state world failed "2 tasks were started by mpirun, but MPI sees a world of 1"
fake too_few <<<"[ \"\$1\" = --version ] && { version; exit; }; $words; exec $real --oversubscribe --bind-to none -np 1 \"\$@\" : -np 1 sleep 1234"
with too_few 75
state world failed "has started 1 of 2 ranks"
fake hangs_last <<<"[ \"\$1\" = --version ] && { version; exit; }; $real \"\$@\"; sleep 1234"
with hangs_last 0
state world warning "had not ended 2 s after them"
state all_reduce ok
mkdir missing
visit 0 env PATH="$work/missing" "$chorale" doctor -n 2 --json
state mpi warning "no mpirun in PATH"
state world ok "by threads"
state gnuplot warning
visit 75 env PATH="$work/missing" "$chorale" doctor --hosts "$(uname -n):2" --json
state mpi failed "no mpirun in PATH"

# A rank that is stopped while it is looked at: the others do not wait for it.
"$chorale" doctor -n 2 --json >stopped.json 2>messages &
doctor=$!
for _ in $(seq 200); do
  rank=$(pgrep -f "^$chorale doctor ranks --backend mpi --expected 2" | tail -n 1)
  [ -n "$rank" ] && kill -STOP "$rank" && break
  sleep 0.02
done
start=$(date +%s)
wait $doctor
status=$?
[ $(($(date +%s) - start)) -lt 30 ] || fail "a stopped rank held the doctor"
[ "$status" = 75 ] || fail "a stopped rank: expected 75, got $status: $(cat stopped.json messages)"
# Named, by the rank that waits for it or by the doctor; before MPI is up, only where it is.
grep -Eq "waiting for rank [01]|rank [01] on [^ ]* has said nothing|rank [01] on [^ ]*, its process is stopped" stopped.json || fail "a stopped rank is not named: $(cat stopped.json)"

# Nothing stays: no process, no file.
sleep 0.5
! pgrep -f "^sleep 1234" >/dev/null || fail "a launcher was left: $(pgrep -af '^sleep 1234')"
! pgrep -f "^$chorale doctor" >/dev/null || fail "ranks were left: $(pgrep -af "^$chorale doctor")"
[ -z "$(find . -name '.chorale-doctor*')" ] || fail "files were left: $(find . -name '.chorale-doctor*')"
exit $failed
