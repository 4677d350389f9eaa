#!/usr/bin/env bash
# Every #include of the tree goes along an arrow of docs/architecture.md, and vendor headers stay in their homes.
#   tests/arrows.sh [ROOT]      lists each include that does not; exit status 1 if there is one
set -euo pipefail
cd "${1:-$(dirname "${BASH_SOURCE[0]}")/..}"
folders=()
for f in core comm train launcher tests examples; do [ -d "$f" ] && folders+=("$f"); done
find "${folders[@]}" \( -name '*.cpp' -o -name '*.hpp' -o -name '*.cu' -o -name '*.cuh' \) -print0 | sort -z | xargs -0r awk '
function floor_of(path) {
  if (path ~ /^core\/(base|device)\//) { split(path, part, "/"); return "core/" part[2] }
  sub(/\/.*/, "", path)
  return path
}
function refuse(why) { printf "%s:%d: %s (%s)\n", FILENAME, FNR, $0, why; bad = 1 }
function only_in(home, header) { if (FILENAME !~ home && FILENAME !~ /^(tests|examples)\//) refuse(header " has its home elsewhere") }
BEGIN {
  allowed["core/base"] = " core/base "
  allowed["core/device"] = " core/base core/device "
  allowed["core"] = " core/base core/device core "
  allowed["comm"] = " core/base core/device comm "
  allowed["train"] = " core/base core/device core comm train "
  allowed["launcher"] = allowed["train"] "launcher "
  allowed["examples"] = allowed["launcher"] "examples "
  allowed["tests"] = allowed["examples"] "tests "
}
/^[ \t]*#[ \t]*include[ \t]*[<"]/ {
  header = $0; sub(/^[^<"]*[<"]/, "", header); sub(/[>"].*/, "", header)
  from = floor_of(FILENAME)
  if (header ~ /\.\.\//) refuse("a path upwards hides its floor")
  else if (header ~ /^chorale\//) {
    to = header; sub(/^chorale\//, "", to)
    if (index(allowed[from], " " floor_of(to) " ") == 0) refuse(from " may not include " floor_of(to))
  }
  else if (header ~ /^(core|comm|train|launcher)\//) refuse("write <chorale/...>")
  else if (header == "mpi.h") only_in("^comm/backends/mpi", header)
  else if (header ~ /^pmix/) only_in("^comm/control/job_board", header)
  else if (header == "nccl.h") only_in("^comm/backends/nccl", header)
  else if (header ~ /^(cuda|cublas|cudnn|nvrtc|curand)/) only_in("^core/device/cuda/", header)
  else if (header ~ /^(dnnl|oneapi\/)/) only_in("^core/device/cpu/", header)
  else if (header ~ /^(unsupported\/)?Eigen\// && FILENAME !~ /\.cpp$/) refuse("Eigen in .cpp files only")
  else if (from == "core/base" && header ~ /^(fmt|nlohmann|boost|catch2|Eigen)\//) refuse("core/base has the standard library only")
}
END { exit bad }'
