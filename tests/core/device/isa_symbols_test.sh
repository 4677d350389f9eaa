#!/usr/bin/env bash
# Kernels compiled for one instruction set define nothing that the linker could share with another: no Eigen, no std templates, no inline
# function of a header. Else one binary would not run on every processor. usage: isa_symbols_test.sh BUILD COMPILER
set -euo pipefail
build=$1 compiler=$2 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# shared ISA OBJECTS...: symbols outside namespace chorale::ISA that they define for others to use, and any use of the C++ library.
shared() {
  local isa=$1
  shift
  nm -C "$@" | awk -v isa="$isa" '
    $2 ~ /^[TWVuBDR]$/ { name = $0; sub(/^[0-9a-f]+ . /, "", name)
                         if (name !~ "chorale::" isa "::" && name !~ /^(DW\.ref|__odr_asan|\.?__asan|__ubsan)/) print name }
    $1 == "U" && /(^| )(std::|Eigen::|operator (new|delete))/ { print }'
}

# First that the scan can fail: a std template, and an inline function of a header that was not inlined.
printf '#include <vector>\nvoid f(std::vector<int>& v) { v.push_back(1); }\n' >"$work/a.cpp"
printf 'struct F { template <class T> static T f(T x) { return x * x; } };\ndouble g(double x) { return F::f(x); }\n' >"$work/b.cpp"
for bad in a b; do
  "$compiler" -std=c++20 -O0 -c "$work/$bad.cpp" -o "$work/$bad.o"
  [ -n "$(shared avx2 "$work/$bad.o")" ] || { echo "the scan does not find what $bad.cpp shares"; exit 1; }
done

for isa in baseline avx2 avx512; do
  folder=$build/CMakeFiles/chorale_core_device_cpu_kernels_$isa.dir
  mapfile -t objects < <(find "$folder" -name '*.o')
  [ "${#objects[@]}" -ge 7 ] || { echo "$folder has ${#objects[@]} objects, expected at least 7"; exit 1; }
  found=$(shared "$isa" "${objects[@]}" | sort -u)
  [ -z "$found" ] || { printf '%s kernels share symbols with other instruction sets:\n%s\n' "$isa" "$found"; failed=1; }
done

# Outside those three folders nothing may need AVX: three-operand instructions and wide registers give it away.
found=$(objdump -d --no-show-raw-insn -C "$build/libchorale.so" | awk '
  /^[0-9a-f]+ </ { name = $0 }
  /[%][yz]mm|\tv[a-z0-9]+ .*[%]xmm/ { if (name !~ /chorale::avx(2|512)::/) found[name] = 1; else seen = 1 }
  END { for (name in found) print name; if (!seen) print "no AVX instruction at all: the scan sees nothing" }')
[ -z "$found" ] || { printf 'instructions of newer processors in:\n%s\n' "$found"; failed=1; }
exit $failed
