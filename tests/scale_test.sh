#!/usr/bin/env bash
# chorale scale as people use it: both modes, both subjects, refusals, and Ctrl-C. usage: scale_test.sh CHORALE SOURCE
set -uo pipefail
chorale=$1 source=$2 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
fail() { echo "$*"; failed=1; }
expect() {  # expect CODE TEXT WORDS...: the program ends with CODE and says TEXT
  local code=$1 text=$2 out status
  shift 2
  out=$(timeout 120 "$chorale" "$@" 2>&1 </dev/null)
  status=$?
  [ "$status" = "$code" ] && [[ $out == *"$text"* ]] || fail "chorale $*: expected $code and '$text', got $status: $out"
}
holds() { grep -q "$2" "$1" || fail "$1 lacks $2: $(cat "$1")"; }

for launch in threads mpirun; do
  command -v $launch >/dev/null || [ $launch = threads ] || continue
  expect 0 "efficiency" scale --layers "linear(4) relu linear(1)" --input 8 --batch 12 --steps 40 --ranks 3,1 --repeat 2 --launch $launch --out $launch
  holds $launch/scale.json '"ranks": 3'
  holds $launch/scale.json '"batch": 36'
done
expect 0 '"mode": "strong"' scale --preset article --steps 20 --ranks 1,2 --mode strong --repeat 1 --launch threads --json
holds scale.json '"batch": 32'
! command -v gnuplot >/dev/null || holds scale.svg '<svg'
[ ! -e scale.gnuplot ] || fail "the script of the picture was left"

expect 0 "" data shop --sessions 600 --customers 100 --products 30 --seed 3 --out shop
cp "$source/examples/recipes/shop_purchase.ini" recipe.ini
expect 0 "recipe.ini" scale recipe.ini --train.steps 5 --ranks 1,2 --repeat 1 --launch threads --out recipe
holds recipe/scale.json '"subject": "recipe.ini"'
[ ! -e runs ] || fail "a sweep left run directories"

expect 64 "--ranks 0 is refused" scale --ranks 1,0
expect 64 "did you mean weak" scale --mode week
expect 64 "did you mean --repeat" scale --repet 3
expect 64 "no recipe is named" scale --train.batch 3
expect 64 "a recipe names its own" scale recipe.ini --layers "linear(1)"
expect 64 "did you mean 'linear'" scale --layers "lineer(1)" --ranks 1 --repeat 1
expect 64 "absent.ini" scale absent.ini
expect 64 "can be written" scale --ranks 1 --out /proc/none
OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=0 expect 64 "without mpirun" scale --ranks 1
[[ $("$chorale" completion bash) == *" scale "* ]] || fail "completion does not know scale"
expect 0 "--mode" help scale

# Ctrl-C ends the run that is under way, and nothing is written.
mkdir stopped
"$chorale" scale --preset article --steps 100000000 --rows 4321 --ranks 2 --out stopped 2>/dev/null &
pid=$!
for _ in $(seq 100); do pgrep -f "rows 4321 .*--batch 64|--batch 64 .*rows 4321" >/dev/null && break; sleep 0.1; done
sleep 0.5
kill -INT $pid
wait $pid
status=$?
[ $status = 130 ] || fail "Ctrl-C: expected 130, got $status"
sleep 0.2
! pgrep -f "rows 4321" >/dev/null || fail "Ctrl-C left processes: $(pgrep -af 'rows 4321')"
[ -z "$(ls stopped)" ] || fail "Ctrl-C left files: $(ls stopped)"
exit $failed
