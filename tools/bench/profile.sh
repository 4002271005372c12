#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Profile of counted instructions by function, for one cell of one peer.

set -euo pipefail

usage() {
	cat <<'EOT'
usage: profile.sh [options] PEER CELL     e.g. profile.sh ferry-stream throughput/64

Boots the machine in counted mode with a QEMU plugin that counts every block of
instructions that runs while the cell is measured, both ends and the kernel in
between. Prints instructions and calls per operation for each function. The
counts are exact, and the plugin does not change what is counted.

  --kernel RELEASE     as tools/vm/vm
  --module FILE        the module to load (build/RELEASE/ferry.ko)
  --no-module          load none
  --top N              functions to print (40)
  --annotate FUNCTION  instead: the function's instructions, how often each ran
  --keep DIR           keep the counts there; with --annotate or --top and no
                       PEER, read them from there and run nothing
EOT
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
cache=${FERRY_CACHE:-${HOME:-/root}/.cache/ferry}

kernel=6.12 keep='' report=() machine=() module='' load=1
while (($#)); do
	case $1 in
	--kernel) kernel=$2 && shift ;;
	--module) module=$(realpath "$2") && shift ;;
	--no-module) load=0 ;;
	--top | --annotate) report+=("$1" "$2") && shift ;;
	--keep) keep=$(realpath "$2") && shift ;;
	-h | --help) usage && exit ;;
	-*) usage >&2 && exit 2 ;;
	*) break ;;
	esac
	shift
done
(($# == 2 || ($# == 0 && ${#keep} > 0))) || { usage >&2 && exit 2; }

temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
data=${keep:-$temp/data}
mkdir -p "$data"

if (($# == 2)); then
	make -s -C "$here" OUT="$top/build/bench" all profile
	if ((!load)); then
		machine+=(--no-module)
	elif [ -n "$module" ]; then
		machine+=(--module "$module")
	fi
	# The machine starts QEMU by its name: put ours, with the plugin, first.
	mkdir "$temp/bin"
	cat >"$temp/bin/qemu-system-x86_64" <<EOT
#!/bin/bash
exec $(command -v qemu-system-x86_64) "\$@" -plugin "$top/build/bench/profile.so,out=$data/blocks"
EOT
	chmod 755 "$temp/bin/qemu-system-x86_64"
	# Without nokaslr the addresses would not be those of the kernel's file.
	PATH=$temp/bin:$PATH "$top/tools/vm/vm" run --icount --kernel "$kernel" --append nokaslr \
		"${machine[@]}" --rw "$data" --timeout 1800 -- "$here/guest.sh" --symbols "$data/kallsyms" \
		"$top/build/bench/ferry-bench" --only "$1,$2" --no-table --json "$data/result.json"
	release=$(awk -F '"' '$2 == "kernel" { print $4 }' "$data/result.json")
	[ -n "$module" ] || module=$top/build/$release/ferry.ko
	printf '%s\n' "$release" "$module" >"$data/made-of"
fi
{
	read -r release
	read -r module
} <"$data/made-of"
exec python3 "$here/profile.py" "$data" --module "$module" --vmlinux "$cache/vm/vmlinux-$release" \
	"${report[@]}"
