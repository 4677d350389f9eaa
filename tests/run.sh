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

# A step is configure, build of a target, then ctest with the labels given; a build that breaks is one failure and runs no test.
step() {
  local preset=$1 wanted=$2 target=$3 log=build/$1/tests.log kind a b c
  shift 3
  if ! cmake --preset "$preset" "$@" >build/"$preset".log 2>&1 || ! cmake --build --preset "$preset" --target "$target" >build/"$preset".log 2>&1; then
    tail -n 60 build/"$preset".log
    fail "build of preset $preset"
    return 0
  fi
  local status=0
  ctest --test-dir build/"$preset" -V -L "$wanted" --no-tests=error >"$log" 2>&1 || status=$?
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
    grep -vE '^ *[0-9]+/[0-9]+ Test +#|CHORALE_SKIP' "$log" | tail -n 120
  fi
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
step release "$labels" all -DCHORALE_WERROR=ON
step asan "$sanitized" tier1_tests
if git ls-files -z '*.cpp' '*.hpp' | xargs -0r clang-format --dry-run --Werror; then
  pass "clang-format"
else
  fail "clang-format: run clang-format -i on the files named above"
fi
for reason in ${reasons[@]+"${reasons[@]}"}; do echo "skipped: $reason"; done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
