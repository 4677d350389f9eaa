#!/usr/bin/env bash
# Installs what cmake/packages.txt, or the list that is named, has and this machine lacks. Without anything missing it touches neither apt nor the
# network.
set -euo pipefail
list=${1:-$(dirname "${BASH_SOURCE[0]}")/packages.txt}
missing=()
while read -r package; do
  [ -n "$package" ] || continue
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
done <"$list"
[ ${#missing[@]} -gt 0 ] || exit 0
as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "missing packages: ${missing[*]}; install them as root" >&2; exit 64; }
  as_root=(sudo)
fi
echo "installing: ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends "${missing[@]}" >/dev/null
