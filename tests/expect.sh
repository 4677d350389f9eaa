# What tests of the program share; sourced with $chorale set. Leaves the caller in a new folder.
failed=0
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
expect() {  # expect CODE TEXT WORDS...: the program ends with CODE and says TEXT
  local code=$1 text=$2 out status
  shift 2
  out=$(timeout 60 "$chorale" "$@" 2>&1 </dev/null)
  status=$?
  if [ "$status" != "$code" ] || [[ $out != *"$text"* ]]; then
    echo "chorale $*: expected $code and '$text', got $status: $out"
    failed=1
  fi
}
check() { "${@:2}" || { echo "$1"; failed=1; }; }
