#!/usr/bin/env bash
# Proves first that the scan can fail, one forbidden include at a time, then scans the tree.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
try() {  # try pass|fail FILE HEADER
  rm -rf "${box:?}"/*
  mkdir -p "$box/$(dirname "$2")"
  echo "#include <$3>" >"$box/$2"
  local got=pass
  "$here/arrows.sh" "$box" >/dev/null || got=fail
  [ "$got" = "$1" ] || { echo "<$3> in $2: expected $1, got $got"; exit 1; }
}
try fail core/nn/a.hpp chorale/comm/work.hpp
try fail core/nn/a.hpp chorale/train/reducer.hpp
try fail core/base/a.hpp chorale/core/device/device.hpp
try fail core/base/a.hpp fmt/format.h
try fail comm/a.cpp chorale/core/nn/module.hpp
try fail train/a.cpp chorale/launcher/recipe.hpp
try fail launcher/a.cpp mpi.h
try fail core/nn/a.cpp dnnl.hpp
try fail train/a.cpp cuda_runtime.h
try fail comm/backends/mpi.cpp nccl.h
try fail core/nn/a.hpp Eigen/Core
try fail core/nn/a.cpp ../base/dtype.hpp
try pass core/nn/a.cpp Eigen/Core
try pass comm/backends/mpi.cpp mpi.h
try pass comm/a.hpp chorale/core/base/buffer.hpp
try pass train/a.cpp chorale/comm/communicator.hpp
try pass launcher/a.cpp chorale/train/settings.hpp
"$here/arrows.sh"
