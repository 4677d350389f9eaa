# What the fault tests share; sourced with $chorale and $source set. Leaves the caller in a new folder with recipe.ini and its data.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
fail() { echo "$*"; failed=1; }
skip() { echo "CHORALE_SKIP $*"; }
expect() {  # expect CODE TEXT COMMAND...: it ends with CODE within 60 s and says TEXT
  local code=$1 text=$2 out status
  shift 2
  out=$(timeout -k 5 60 "$@" 2>&1 </dev/null)
  status=$?
  [ "$status" = "$code" ] && [[ $out == *"$text"* ]] || fail "$*: expected $code and '$text', got $status: $out"
}
holds() { grep -q -- "$2" "$1" 2>/dev/null || fail "$1 does not hold '$2': $(cat "$1" 2>&1)"; }
hash_of() { grep -o '"parameters_hash": "[^"]*"' "$1/summary.json" | cut -d'"' -f4; }
same() { [ "$1" = "$2" ] && [ -n "$1" ] || fail "$3: '$1' and '$2' differ"; }
no_drafts() { [ -z "$(find "$1" -name '*.tmp.*')" ] || fail "$1 after $2: unfinished files are left: $(find "$1" -name '*.tmp.*')"; }
"$chorale" data shop --sessions 2000 --customers 300 --products 50 --seed 3 --out shop 2>/dev/null || fail "no data"
cp "$source/examples/recipes/shop_purchase.ini" recipe.ini
# 7 steps an epoch; saves after steps 10, 20, 30, 40 and at the end, 44.
train=("$chorale" train recipe.ini --quiet --launch threads -n 2 --train.epochs 7 --train.steps 44 --train.early_stop "" --checkpoint.every_steps 10 --parallel.virtual_workers 4)
