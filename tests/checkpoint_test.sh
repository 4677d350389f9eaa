#!/usr/bin/env bash
# chorale checkpoint and chorale inspect --verify as people use them. usage: checkpoint_test.sh CHORALE SOURCE
set -uo pipefail
chorale=$(realpath "$1") source=$(realpath "$2")
. "$source/tests/fault/fault.sh"
expect 0 "" "${train[@]}" --run-dir run --checkpoint.keep_last 9 --checkpoint.keep_best 1 --train.evaluate_every 10
expect 0 "validation.loss" "$chorale" checkpoint list run
[ "$("$chorale" checkpoint list run --json | grep -c '"state": "complete"')" = 5 ] || fail "list --json: $("$chorale" checkpoint list run --json)"
expect 0 "sound    run/checkpoints/step_44" "$chorale" checkpoint verify run
expect 0 "sound" "$chorale" inspect run/checkpoints/step_20 --verify
expect 64 "needs a run directory" "$chorale" checkpoint prune
expect 64 "is it a run directory" "$chorale" checkpoint list recipe.ini
expect 64 "takes list, verify, prune or convert" "$chorale" checkpoint lsit

# Damage: 66, the file, its bytes and the tensor are named, and the others stay sound.
cp -r run damaged
printf 'X' | dd of=damaged/checkpoints/step_44/model.safetensors bs=1 seek=9000 conv=notrunc status=none
expect 66 "step_44/model.safetensors: bytes 0 to" "$chorale" inspect damaged/checkpoints/step_44 --verify
expect 66 "(tensor '" "$chorale" checkpoint verify damaged
expect 66 "sound    damaged/checkpoints/step_40" "$chorale" checkpoint verify damaged
expect 66 '"sound": false' "$chorale" checkpoint verify damaged --json
expect 0 "falling back to the checkpoint of step 40" "${train[@]}" --run-dir damaged --resume
same "$(hash_of damaged)" "$(hash_of run)" "parameters after a fallback"
for k in 1 2; do cp -r run other$k; done
sed -i 's/"version": 2/"version": 3/' other1/checkpoints/step_44/manifest.json
expect 66 "differs from its own hash" "$chorale" checkpoint verify other1
truncate -s 0 other2/checkpoints/step_44/manifest.json
expect 66 "is no JSON object" "$chorale" inspect other2/checkpoints/step_44 --verify

# Removing: what stays is said before, and what is asked for. Never all that is sound.
cp -r run spoilt
for step in 40 44; do truncate -s 100 spoilt/checkpoints/step_$step/model.safetensors; done
expect 66 "nothing is removed, for none of those that would stay is sound: " "$chorale" checkpoint prune spoilt
[ "$(ls spoilt/checkpoints | wc -l)" = 5 ] || fail "prune removed what a resume would fall back to"
expect 0 "removed spoilt/checkpoints/step_20" "$chorale" checkpoint prune spoilt --keep-last 3
mkfifo pipe
expect 64 "name a file" "$chorale" checkpoint convert run --out pipe
[ -p pipe ] || fail "convert replaced a pipe"
expect 64 "lies in a checkpoint" "$chorale" checkpoint convert run --out run/checkpoints/step_20/model.safetensors
expect 0 "would remove run/checkpoints/step_10" "$chorale" checkpoint prune run --keep-last 2 --keep-every 20 --dry-run
[ "$(ls run/checkpoints | wc -l)" = 5 ] || fail "a dry run removed something"
expect 0 "removed run/checkpoints/step_30" "$chorale" checkpoint prune run --keep-last 2 --keep-every 20
[ "$(ls run/checkpoints | sort -V | tr '\n' ' ')" = "step_20 step_40 step_44 " ] || fail "prune left $(ls run/checkpoints)"

# Ranks that are processes: updates of one keep what the writer of the other, which comes late, still needs.
for late in 0 1; do
  for exchange in shared replicated sharded; do
    beside=("${train[@]}" --launch mpirun --checkpoint.keep_last 9 --parallel.exchange "$exchange")
    expect 0 "" "${beside[@]}" --run-dir "late_$exchange$late" --inject "sleep@$late:10:save:read"
    expect 0 "" "${beside[@]}" --run-dir "waits_$exchange$late" --checkpoint.background false
    for step in 10 20 30 40 44; do
      for file in model optimizer state; do
        cmp "late_$exchange$late/checkpoints/step_$step/$file.safetensors" "waits_$exchange$late/checkpoints/step_$step/$file.safetensors" ||
          fail "$exchange, rank $late writes late: $file of step $step differs"
      done
    done
  done
done

# And on two nodes, each of which has half of the state: in the background owners write their own, else it is gathered.
for wire in f32 bf16; do
  apart=(env CHORALE_FAKE_NODES=2 "${train[@]}" --launch mpirun --checkpoint.keep_last 9 --parallel.exchange sharded --parallel.wire $wire)
  expect 0 "" "${apart[@]}" --run-dir "apart_$wire" --inject "sleep@1:10:save:read"
  expect 0 "" "${apart[@]}" --run-dir "gathered_$wire" --checkpoint.background false
  for step in 10 20 30 40 44; do
    for file in model optimizer state; do
      cmp "apart_$wire/checkpoints/step_$step/$file.safetensors" "gathered_$wire/checkpoints/step_$step/$file.safetensors" ||
        fail "sharded over two nodes, $wire: $file of step $step differs"
    done
  done
  expect 0 "sound    apart_$wire/checkpoints/step_44" "$chorale" checkpoint verify "apart_$wire"
done

# One file for other tools.
expect 0 "tensors, last weights of step 44" "$chorale" checkpoint convert run --out model.safetensors
expect 0 "wrote half.safetensors" "$chorale" checkpoint convert run/checkpoints/step_20 --dtype bf16 --out half.safetensors
[ "$(stat -c %s half.safetensors)" -lt "$(stat -c %s model.safetensors)" ] || fail "bf16 is not smaller"
expect 64 "--out FILE.safetensors" "$chorale" checkpoint convert run
expect 64 "is a folder" "$chorale" checkpoint convert run --out run
if command -v python3 >/dev/null; then
  python3 - <<'PY' || fail "the converted files are not what they should be"
import json, struct
def read(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        return header.pop("__metadata__"), header, f.read()
meta, full, data = read("model.safetensors")
half_meta, half, _ = read("half.safetensors")
assert meta == {"format": "pt"} == half_meta, meta
assert full.keys() == half.keys() and "0.weight" in full, full.keys()
assert all(t["dtype"] == "F32" for t in full.values()) and all(t["dtype"] == "BF16" for t in half.values())
assert all(full[n]["shape"] == half[n]["shape"] for n in full)
PY
fi
exit $failed
