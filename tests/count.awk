# Counts test cases in the output of `ctest -V`. One line `pass P fail F`, one `skip REASON` for each skip.
# Several summaries of one entry are ranks of one program: the largest counts, so that no case counts twice.
# A summary of Catch2 is believed only as far as the entry's own verdict: a crash or a time-out is a failure.
/^ *[0-9]+: / {
  id = $1; sub(/:$/, "", id)
  text = $0; sub(/^ *[0-9]+: ?/, "", text)
  if (text ~ /^CHORALE_SKIP /) {
    sub(/^CHORALE_SKIP /, "", text)
    if (!((id, text) in seen)) { seen[id, text] = 1; skipped[id]++; reasons[++n] = text }
  } else if (text ~ /^All tests passed \(/) {
    match(text, /in [0-9]+ test case/); v = substr(text, RSTART + 3) + 0
    if (v > passed[id]) passed[id] = v
  } else if (text ~ /^test cases: /) {
    p = 0; f = 0
    if (match(text, /[0-9]+ passed/)) p = substr(text, RSTART) + 0
    if (match(text, /[0-9]+ failed/)) f = substr(text, RSTART) + 0
    if (p > passed[id]) passed[id] = p
    if (f > failed[id]) failed[id] = f
  }
}
/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
  match($0, /#[0-9]+/); id = substr($0, RSTART + 1, RLENGTH - 1)
  if ($0 ~ /\*\*\*Skipped|\*\*\*Not Run \(Disabled\)/) {
    if (!skipped[id]) { name = $0; sub(/^.*#[0-9]+: /, "", name); sub(/ .*/, "", name); reasons[++n] = name ": the program says that it cannot run here"; skip_total++ }
    else skip_total += skipped[id]
    next
  }
  good = $0 ~ / Passed +[0-9.]+ sec/
  p = passed[id] + 0; f = failed[id] + 0; s = skipped[id] + 0
  p = p > s ? p - s : 0
  if (!good && f == 0) f = 1
  if (good && p + f + s == 0) p = 1
  pass_total += p; fail_total += f; skip_total += s
}
END {
  for (i = 1; i <= n; i++) print "skip " reasons[i]
  print "total " pass_total + 0, fail_total + 0, skip_total + 0
}
