#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The two programs in README.md, compiled from its very text and run.
#
# usage: examples.sh build     into build/examples/
#        examples.sh run       in the machine: they must understand each other

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=$top/build/examples

build() {
	local program

	mkdir -p "$dir"
	for program in server client; do
		# A C block begins with a comment that names its file.
		awk -v name="$program.c" '
			/^```c$/ { block = 1; next }
			/^```$/ { block = 0; take = 0 }
			block == 1 { take = index($0, "/* " name ":") == 1; block = 2 }
			take { print }' "$top/README.md" >"$dir/$program.c"
		[ -s "$dir/$program.c" ] || {
			echo "README.md has no $program.c" >&2
			exit 1
		}
		gcc -Wall -Wextra -Werror -O2 -I "$top/uapi" -o "$dir/$program" "$dir/$program.c"
	done
}

run() {
	local server line answer

	exec {out}< <(exec "$dir/server")
	server=$!
	read -r line <&"$out"
	[ "$line" = listening ]
	answer=$("$dir/client" 'carry this over')
	wait "$server"
	[ "$answer" = 'carry this over' ]
}

case ${1-} in
build) build ;;
run) run ;;
*) echo "usage: examples.sh build | run" >&2 && exit 2 ;;
esac
