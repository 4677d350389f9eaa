#!/usr/bin/env bash
# From nothing to a trained model: installs what is missing, builds, makes a shop's data, trains on two ranks, evaluates.
# A second run is quick and replaces the first one's results. Everything is written below build/ and quickstart/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash cmake/packages.sh
mkdir -p build
echo "== building (the first time takes a few minutes; the log is build/quickstart.log)"
if ! { cmake --preset release -DCHORALE_UNITY=ALL && cmake --build --preset release --target chorale_program; } >build/quickstart.log 2>&1; then
  tail -n 40 build/quickstart.log
  exit 1
fi
chorale=$PWD/build/release/chorale
mkdir -p quickstart
echo "== making the shop"
"$chorale" data shop --customers 4000 --products 500 --sessions 20000 --seed 7 --out quickstart/shop --overwrite
cp examples/recipes/shop_purchase.ini quickstart/
echo "== training on 2 ranks"
"$chorale" train quickstart/shop_purchase.ini -n 2 --run-dir quickstart/run --overwrite
echo "== scoring the rows that training never saw"
"$chorale" eval quickstart/run --part test
echo
echo "checkpoint  $(ls -d quickstart/run/checkpoints/step_* | sort -V | tail -n 1)"
[ ! -f quickstart/run/curves.svg ] || echo "curves      quickstart/run/curves.svg"
echo "summary     quickstart/run/summary.json"
