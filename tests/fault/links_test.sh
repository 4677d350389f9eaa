#!/usr/bin/env bash
# Checkpoints and logs that lie behind links, as an unprivileged user: one's own link is followed when old things are removed; one of others is
# refused before anything is, and what lies behind it stays.
# usage: links_test.sh CHORALE SOURCE
set -uo pipefail
chorale=$(realpath "$1") source=$(realpath "$2")
. "$source/tests/fault/fault.sh"
user=54321 other=54322
chmod 755 .
if [ "$(id -u)" != 0 ] || ! command -v setpriv >/dev/null || ! setpriv --reuid $user --regid $user --clear-groups "$chorale" --version >/dev/null 2>&1; then
  skip "links of others: no two unprivileged users can be had"
  exit $failed
fi
mkdir tmp && chmod 1777 tmp
as_user=(setpriv --reuid $user --regid $user --clear-groups env HOME="$PWD" TMPDIR="$PWD/tmp")
go=("${as_user[@]}" "${train[@]}" --run-dir run --checkpoint.keep_last 1 --resume)

begin() {  # begin FOLDER OWNER: a run of the user's, whose FOLDER lies in another place, of OWNER, and is to be linked
  rm -rf run scratch && mkdir run && chown $user:$user run
  "${as_user[@]}" "${train[@]}" --run-dir run --train.steps 10 >/dev/null 2>&1 || fail "no run"
  mv "run/$1" scratch
  mkdir -p scratch/step_5.tmp.left scratch/attempt_{1,2,3,4,5,6,7}
  for precious in scratch/step_5.tmp.left scratch/attempt_1; do : >$precious/file; done
  chown -R "$2:$2" scratch && chmod -R a+rwX scratch
}

for folder in checkpoints logs; do
  begin $folder $user
  "${as_user[@]}" ln -s ../scratch run/$folder
  expect 0 "" "${go[@]}" --train.steps 30
  [ -L run/$folder ] || fail "the link of $folder has gone"
done
begin checkpoints $user
"${as_user[@]}" ln -s ../scratch run/checkpoints
expect 0 "" "${go[@]}" --train.steps 30
[ "$(cd scratch && echo step_*)" = step_30 ] || fail "old checkpoints behind one's own link were not removed: $(ls scratch)"

for folder in checkpoints logs; do
  begin $folder $user
  ln -s ../scratch run/$folder && chown -h $other run/$folder  # who can write into the run directory
  expect 74 "run/$folder is a link, and it belongs to user $other" "${go[@]}" --train.steps 30
  begin $folder $other
  "${as_user[@]}" ln -s ../scratch run/$folder
  expect 74 "run/$folder is a link, and the folder behind it belongs to user $other" "${go[@]}" --train.steps 30
  [ -e scratch/step_5.tmp.left/file ] && [ -e scratch/attempt_1/file ] || fail "something behind a link of others was removed: $(ls scratch)"
done
expect 74 "Make the link yourself" "${as_user[@]}" "$chorale" train recipe.ini --quiet -n 2 --restarts 0 --run-dir run --resume --train.steps 30
exit $failed
