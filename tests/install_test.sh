#!/usr/bin/env bash
# Installs to a folder of its own and builds examples/own_model against it, outside the tree. usage: install_test.sh BUILD SOURCE
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$1" --prefix "$work/prefix" >"$work/log" || { cat "$work/log"; exit 1; }
cp -r "$2/examples/own_model" "$work/own_model"
cmake -S "$work/own_model" -B "$work/build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$work/prefix" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
cmake --build "$work/build" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
one=$(cd "$work" && ./build/own_model)
two=$(cd "$work" && mpirun --oversubscribe --bind-to none -np 2 ./build/own_model)
echo "$one"
echo "$two"
[[ $one == "1 ranks, rmse 0.0"* && $two == "2 ranks, rmse 0.0"* ]]
"$work/prefix/bin/chorale" version
[ "$(wc -l <"$2/examples/own_model/own_model.cpp")" -le 60 ]

cp -r "$2/examples/bring_your_own_gradients" "$work/gradients"
cmake -S "$work/gradients" -B "$work/gradients/build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$work/prefix" \
  -DCMAKE_DISABLE_FIND_PACKAGE_Torch=ON >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
cmake --build "$work/gradients/build" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
for ranks in 1 2; do
  found=$(mpirun --oversubscribe --bind-to none -np $ranks "$work/gradients/build/regression")
  [[ $found == "$ranks ranks: y = 2.000 x0 -3.000 x1 +1.000"* ]] || { echo "the regression found: $found"; exit 1; }
done
[ "$(wc -l <"$2/examples/bring_your_own_gradients/regression.cpp")" -le 40 ]
