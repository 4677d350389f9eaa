#!/usr/bin/env bash
# Looks into what was built for all that cmake/hardening.cmake asks for.
# usage: hardening_test.sh PROGRAM LIBRARY
set -uo pipefail
program=$1 library=$2 failed=0
export LC_ALL=C
fail() { echo "$*"; failed=1; }
has() { grep -q -e "$2" <<<"$1"; }

for file in "$program" "$library"; do
  [ -s "$file" ] || { fail "$file is missing"; continue; }
  header=$(readelf -hW "$file") segments=$(readelf -lW "$file") dynamic=$(readelf -dW "$file") symbols=$(readelf --dyn-syms -W "$file")
  has "$header" 'Type: *DYN' || fail "$file has a fixed address"
  has "$segments" 'GNU_RELRO' || fail "$file has no read-only part after relocation (RELRO)"
  has "$dynamic" 'BIND_NOW\|FLAGS_1.*NOW' || fail "$file binds symbols late, so RELRO is not full"
  has "$dynamic" 'TEXTREL' && fail "$file has relocations in its code"
  has "$segments" 'GNU_STACK.* RW ' || fail "$file has an executable stack: $(grep GNU_STACK <<<"$segments")"
  grep 'LOAD' <<<"$segments" | grep -q 'RWE' && fail "$file has memory that is written and executed"
  has "$symbols" '__stack_chk_fail' || fail "$file has no stack protector"
  has "$symbols" '__[a-z]*_chk' || fail "$file has no _FORTIFY_SOURCE"
  has "$symbols" '__glibcxx_assert_fail' || fail "$file has no _GLIBCXX_ASSERTIONS"
done
has "$(readelf -dW "$program")" 'FLAGS_1.*PIE' || fail "$program is no position-independent executable"
if [ "$(uname -m)" = x86_64 ]; then
  code=$(objdump -d --no-show-raw-insn --section=.text "$program")
  has "$code" 'endbr64' || fail "$program has no targets of indirect jumps (-fcf-protection)"
  has "$code" 'or[lq] *\$0x0,.*(%rsp)' || fail "$program does not probe large stack frames (-fstack-clash-protection)"
  [ "$(grep -A1 '<main>:' <<<"$code" | grep -c endbr64)" = 1 ] || fail "main of $program is no marked target"
fi
exit $failed
