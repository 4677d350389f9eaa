#!/usr/bin/env bash
# The scripts of slurm/ by bash, with stand-ins for Slurm's commands and Apptainer: what slurm/README.md says that they have in common.
# usage: slurm_templates_test.sh SOURCE
set -uo pipefail
source=$1 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "$*"; failed=1; }
mkdir "$work/bin"
cat >"$work/bin/srun" <<'END'
#!/bin/bash
printf '%s|' "$@" >said
env >seen
for word in "$@"; do case $word in run | run_3) mkdir -p "$word" && folder=$word ;; esac; done
printf '{"attempt":1,"event":"start","code":null}\n{"attempt":1,"event":"end","step":3,"code":%s,"cause":""}\n' "$CODE" >>"${folder:-run}/events.jsonl"
exit 143
END
printf '#!/bin/bash\necho RUNNING\n' >"$work/bin/squeue"
printf '#!/bin/bash\necho "$*" >requeued\n' >"$work/bin/scontrol"
chmod +x "$work/bin"/*

play() {  # play FILE CODE VARIABLE=... : leaves $out, $status and the folder of the run
  rm -rf "$work/here" && mkdir -p "$work/here/run" && cd "$work/here" || exit 1
  echo '{"attempt":1,"event":"end","step":1,"code":66,"cause":"of an earlier start"}' >run/events.jsonl
  out=$(env -i PATH="$work/bin:/usr/bin:/bin" CODE="$2" RECIPE="/a b/it's.ini" PROGRAM=/p IMAGE=/i.sif SLURM_JOB_ID=7 SLURM_CPUS_PER_TASK=1 \
    SLURM_GPUS_PER_NODE=4 "${@:3}" bash "$source/slurm/$1" 2>&1)
  status=$?
}

for file in cpu.sh requeue.sh array.sh gpu.sh container.sh; do
  own=()
  [ $file != array.sh ] || own=(SLURM_ARRAY_JOB_ID=6 SLURM_ARRAY_TASK_ID=3)
  play $file 65 "FLAGS=--data.split '0.7 0.15 0.15' --x \$(touch\\ pwned) ;" "${own[@]}"
  [ "$status" = 65 ] || fail "$file: the ranks' verdict 65 became $status: $out"
  said=$(cat said)
  [[ $said == *"|/a b/it's.ini|"* ]] || fail "$file does not take RECIPE as one word: $said"
  [[ $said == *"|--data.split|0.7 0.15 0.15|--x|\$(touch pwned)|;|" ]] || fail "$file does not take FLAGS as words: $said"
  [[ $said == "--mpi=pmix|-K1|"* ]] || fail "$file starts its ranks otherwise: $said"
  [ ! -e pwned ] || fail "$file has run a flag"
  grep -q '^#SBATCH --signal=USR2@180$' "$source/slurm/$file" || fail "$file is not told to save before its limit"
  [ "$(stat -c %a said)" = 640 ] || fail "$file lets others read what it writes"
  play $file 0 "${own[@]}"
  [ "$status" = 0 ] || fail "$file without FLAGS ended with $status: $out"
  [[ $(cat said) != *"||" ]] || fail "$file makes an empty word of no FLAGS: $(cat said)"
  play $file 0 "FLAGS=--x 'not closed" "${own[@]}"
  { [ "$status" = 64 ] && [ ! -e said ]; } || fail "$file trains with FLAGS that cannot be read ($status): $out"
  play $file 0 SLURM_HET_SIZE=2 SLURM_JOB_ID_HET_GROUP_0=7 "${own[@]}"
  { [ "$status" = 64 ] && [[ $out == *"heterogeneous job"* ]]; } || fail "$file takes a heterogeneous job ($status): $out"
  play $file 99 SLURM_HET_SIZE=2 SLURM_JOB_ID_HET_GROUP_0=4 SLURM_ARRAY_JOB_ID=6 SLURM_ARRAY_TASK_ID=3
  [ "$status" = 99 ] || fail "$file takes an outer job's parts for its own ($status): $out"
  case $file in
    array.sh) [ "$(cat requeued)" = "requeue 6_3" ] || fail "$file requeues '$(cat requeued)'" ;;
    requeue.sh) [ "$(cat requeued)" = "requeue 7" ] || fail "$file requeues '$(cat requeued)'" ;;
    *) [ ! -e requeued ] || fail "$file requeues" ;;
  esac
  [ $file = array.sh ] || ! grep -q '^SLURM_ARRAY_' seen || fail "$file hands on the numbers of an outer array"
done
if command -v shellcheck >/dev/null; then
  shellcheck "$source"/slurm/*.sh || failed=1
else
  echo "shellcheck is not there: what it would say is not looked at"
fi
exit $failed
