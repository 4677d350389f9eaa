#!/usr/bin/env bash
# Builds everything and runs the tests that fit this machine; --all adds the long ones (fault, fuzz, bench, paper, gpu).
# The last line is `N passed, N failed, N skipped`, the reasons of the skips before it. The exit status says whether anything failed.
set -euo pipefail
case ${1:-} in
  "") labels='^(tier1|tier2|cluster)$' sanitized='^tier1$' ;;
  --all) labels=. sanitized='^(tier1|fuzz)$' ;;
  *) sed -n '2,3p' "${BASH_SOURCE[0]}" >&2; exit 64 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
passed=0 failed=0 skipped=0 reasons=()
pass() { passed=$((passed + 1)); echo "ok: $1"; }
fail() { failed=$((failed + 1)); echo "FAILED: $1"; }
skip() { skipped=$((skipped + 1)); reasons+=("$1"); }

# build PRESET TARGET [OPTION...]: configure and build; what it says is in build/PRESET.log.
build() {
  local preset=$1 target=$2
  shift 2
  cmake --preset "$preset" "$@" >build/"$preset".log 2>&1 && cmake --build --preset "$preset" --target "$target" >>build/"$preset".log 2>&1
}

# test PRESET LABELS IS_BUILT [OPTION...]: ctest with the labels given; a build that broke is one failure and runs no test.
test_preset() {
  local preset=$1 wanted=$2 is_built=$3 log=build/$1/tests.log kind a b c
  shift 3
  if [ "$is_built" != 0 ]; then
    tail -n 60 build/"$preset".log
    fail "build of preset $preset"
    return 0
  fi
  local status=0
  ctest --test-dir build/"$preset" -V -L "$wanted" --no-tests=error "$@" >"$log" 2>&1 || status=$?
  grep -E '^ *[0-9]+/[0-9]+ Test +#' "$log" || true
  local failed_before=$failed
  while read -r kind a b c; do
    case $kind in
      skip) reasons+=("$preset: $a $b $c") ;;
      total) passed=$((passed + a)) failed=$((failed + b)) skipped=$((skipped + c)) ;;
    esac
  done < <(awk -f tests/count.awk "$log")
  if [ "$status" != 0 ]; then
    [ "$failed" -gt "$failed_before" ] || fail "ctest of preset $preset (exit status $status)"
    failed_parts "$log"
  fi
}

# What the tests said that failed: of each the last lines, not those of its neighbours.
failed_parts() {
  local number
  for number in $(grep -v '\*\*\*Skipped' "$1" | sed -nE 's/^ *[0-9]+\/[0-9]+ Test +#([0-9]+): .*\*\*\*.*/\1/p'); do
    echo "--- test $number"
    grep -E "^$number: " "$1" | grep -vE 'CHORALE_SKIP|^[0-9]+: ok ' | tail -n 60
  done
}

bash cmake/packages.sh
# What only tests need: a Slurm of two nodes on this machine. Without it they skip, with the reason.
bash cmake/packages.sh tests/packages.txt || skip "installing tests/packages.txt: see above"
mkdir -p build
if [ -n "${CHORALE_DATA:-}" ] && [ -d "$CHORALE_DATA" ]; then
  [ "$labels" = . ] || labels='^(tier1|tier2|cluster|data)$'
else
  skip "tests on real data: CHORALE_DATA names no folder"
fi
# The sanitized programs are built while the tests of the others run, which wait more than they work: with what these leave of the cores.
built=0
build release all -DCHORALE_WERROR=ON -DCHORALE_UNITY=ALL || built=$?
set -m  # a process group of its own, which ends with this script
(
  chrt --idle -p 0 "$BASHPID" 2>/dev/null || renice -n 19 "$BASHPID" >/dev/null
  build asan tier1_tests -DCHORALE_UNITY=ALL
) &
sanitizer_build=$!
set +m
trap 'kill -- "-$sanitizer_build" 2>/dev/null || true' EXIT
test_preset release "$labels" "$built"
built=0
wait "$sanitizer_build" || built=$?
test_preset asan "$sanitized" "$built" --parallel 2
if git ls-files -z '*.cpp' '*.hpp' | xargs -0r clang-format --dry-run --Werror; then
  pass "clang-format"
else
  fail "clang-format: run clang-format -i on the files named above"
fi
for reason in ${reasons[@]+"${reasons[@]}"}; do echo "skipped: $reason"; done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
