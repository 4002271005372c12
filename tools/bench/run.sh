#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds ferry-bench, runs it in the virtual machine and keeps what it found:
# what "make bench" calls.

set -euo pipefail

usage() {
	cat <<'EOT'
usage: run.sh [options] [-- ferry-bench options]

  --counted            one CPU whose clock counts instructions (default): repeats
                       within 3 %, does not see caches, locks and parallelism
  --parallel           two CPUs at once: for factors only under emulation
  --twice              run twice, and fail when AF_FERRY, AF_UNIX or pipe differ by
                       more than 3 % in a cell
  --quick, --only W    as ferry-bench; see its --help and --list
  --kernel RELEASE     as tools/vm/vm (6.12)
  --tree DIR           a kernel built in DIR, as tools/vm/vm
  --module FILE        measure this module instead of building one
  --no-module          measure the other families only

A whole run writes MODE-KERNEL.json, .txt and .svg to Documentation/benchmarks, any
other to build/bench. Fails when a target is missed.
EOT
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
made_by="make bench"
(($# == 0)) || made_by="make bench BENCH_ARGS='$*'"

mode=counted kernel=6.12 tree='' module='' machine=() options=() runs=1 whole=1
while (($#)); do
	case $1 in
	--counted) mode=counted ;;
	--parallel) mode=parallel ;;
	--twice) runs=2 ;;
	--quick) options+=(--quick) whole=0 ;;
	--only) options+=(--only "$2") whole=0 && shift ;;
	--kernel) kernel=$2 && shift ;;
	--tree) tree=$(realpath "$2") whole=0 && shift ;;
	--module) module=$(realpath "$2") && shift ;;
	--no-module) module=none whole=0 ;;
	-h | --help) usage && exit ;;
	--) shift && options+=("$@") && whole=0 && break ;;
	*) usage >&2 && exit 2 ;;
	esac
	shift
done

build=$top/build/bench
make -s -C "$here" OUT="$build"
if [ -n "$tree" ]; then
	release=$(cat "$tree/include/config/kernel.release")
	machine+=(--tree "$tree")
	target="KDIR=$tree"
else
	release=$(find /boot \( -name "vmlinuz-$kernel" -o -name "vmlinuz-${kernel}[.-]*-amd64" \) \
		! -name '*-cloud-*' ! -name '*-rt-*' | sort -rV | head -n 1)
	[ -n "$release" ] || { echo "run.sh: no kernel $kernel; make setup installs one" >&2 && exit 2; }
	release=${release##*/vmlinuz-}
	machine+=(--kernel "$release")
	target="KERNELRELEASE=$release"
fi
case $module in
none) machine+=(--no-module) ;;
'') make -s -C "$top" module "$target" ;;
*) machine+=(--module "$module") ;;
esac
if [ "$mode" = counted ]; then
	machine+=(--icount)
else
	machine+=(--cpus 2)
fi

name=$mode-$(cut -d . -f 1,2 <<<"$release")
to=$build
((!whole)) || to=$top/Documentation/benchmarks
mkdir -p "$to" "$build/out"

run_once() {
	"$top/tools/vm/vm" run --mem 2048 --timeout 7200 --rw "$build/out" \
		"${machine[@]}" -- "$here/guest.sh" "$build/ferry-bench" "${options[@]}" \
		--no-table --command "$made_by" --json "$build/out/$1"
}

run_once "$name.json"
bench=$build/ferry-bench
cp "$build/out/$name.json" "$to/$name.json"
status=0
"$bench" --from "$to/$name.json" --targets --plot-data "$build/out/plot" >"$to/$name.txt" || status=$?
cat "$to/$name.txt"
if [ -s "$build/out/plot" ]; then
	gnuplot -e "data='$build/out/plot'; mode='$mode'; kernel='$release'; made_by=\"$made_by\"" \
		"$here/plot.gp" >"$to/$name.svg"
fi
echo
echo "Written: ${to#"$top"/}/$name.{json,txt,svg}"
if ((runs == 2)); then
	run_once again.json
	"$bench" --from "$build/out/again.json" --no-table --compare "$to/$name.json" || status=1
fi
exit "$status"
