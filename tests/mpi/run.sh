#!/usr/bin/env bash
# The backend contract under mpirun: run.sh PROGRAM working|failing|interrupted. Ends with 4 and a reason when there is no mpirun.
set -u
program=$1 mode=$2
command -v mpirun > /dev/null || { echo "skipped: mpirun is not installed"; exit 4; }
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
unset CHORALE_FAKE_NODES
folder=$(mktemp -d) failures=0
trap 'rm -rf "$folder"' EXIT

# held RANKS LINES ARGUMENTS...: LINES ranks say that ARGUMENTS held, and nobody says otherwise.
held() {
  local ranks=$1 lines=$2; shift 2
  rm -rf "$folder"/v; mkdir "$folder"/v
  VERDICTS=$folder/v timeout 60 mpirun --oversubscribe --bind-to none "${extra[@]}" -np "$ranks" "$program" "$@" > "$folder"/out 2>&1
  cat "$folder"/v/* >> "$folder"/out 2> /dev/null
  local good; good=$(grep -c ' held: ' "$folder"/out)
  if [ "$good" -eq "$lines" ] && ! grep -q BROKEN "$folder"/out; then
    echo "ok: $* at $ranks ranks${CHORALE_FAKE_NODES:+ on $CHORALE_FAKE_NODES nodes}: $(grep -m1 -o 'held: .*' "$folder"/out)"
  else
    echo "NOT ok: $* at $ranks ranks${CHORALE_FAKE_NODES:+ on $CHORALE_FAKE_NODES nodes}: $good of $lines ranks"; cat "$folder"/out
    failures=$((failures + 1))
  fi
}

extra=()
shm_before=$(ls /dev/shm 2> /dev/null)
if [ "$mode" = working ]; then
  for ranks in 1 2 3 4; do held "$ranks" "$ranks" working; done
  for nodes in 2 4; do CHORALE_FAKE_NODES=$nodes held 4 4 working; done
  CHORALE_FAKE_NODES=2 held 3 3 working
  held 2 2 borrowed
  for ranks in 2 3; do held "$ranks" "$ranks" large; done
  held 3 3 late
elif [ "$mode" = interrupted ]; then
  for check in 0 2 5 8 11 12 14 17 18 20; do held 3 3 i$check; done
  for check in 0 5 9 13 16; do CHORALE_FAKE_NODES=2 held 4 4 i$check; done
else
  for check in 0 5 6; do held 2 2 $check; done
  for check in 0 1 2 3 4 5 6 7 8 9 10 11; do CHORALE_FAKE_NODES=2 held 4 4 $check; done
  # mpirun would end the job itself before we can show that we notice.
  extra=(--mca orte_abort_on_non_zero_status 0 --enable-recovery)
  held 3 2 killed
fi
# What is new and mapped by nobody is left over; a job beside ours may own the rest.
for name in $(comm -13 <(sort <<< "$shm_before") <(ls /dev/shm 2> /dev/null | sort)); do
  cat /proc/[0-9]*/maps 2> /dev/null | grep -qF "/dev/shm/$name" && continue
  [ -e "/dev/shm/$name" ] || continue
  echo "NOT ok: left in /dev/shm: $(ls -l "/dev/shm/$name")"
  failures=$((failures + 1))
done
exit $((failures > 0))
