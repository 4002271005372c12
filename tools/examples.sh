#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What README.md, Documentation/tutorial.md, porting.md and languages.md show, compiled
# and run from their very text: a block that begins with a comment with the name of
# its file is a program, and of a console block the lines that begin with "$ "
# are commands (with "> " they go on), the others what these print.
#
# usage: examples.sh build     the programs, into build/examples/; those of
#                              languages.md, where there are compilers for them,
#                              into a directory for each language
#        examples.sh run       in the machine: the programs of README.md must
#                              understand each other, the commands print what
#                              stands there

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=$top/build/examples
pages=("$top/README.md" "$top"/Documentation/{tutorial,porting}.md)

# extract PAGE LANGUAGE DIR: the programs in blocks of a language.
extract() {
	mkdir -p "$3"
	awk -v start="\`\`\`$2" -v dir="$3" '
		$0 == start { block = 1; next }
		/^```$/ { block = 0; file = "" }
		block == 1 {
			block = 2
			if ($0 ~ /^(\/\*|\/\/|#) [a-z]+\.[a-z]+:/) {
				file = $2
				sub(/:$/, "", file)
				file = dir "/" file
			}
		}
		file { print > file }' "$1"
}

# What needs no compiler is looked at by its own language in selftests/languages.sh.
build_languages() {
	local to=$dir/languages language what go=(env CGO_ENABLED=0 GO111MODULE=off
		GOCACHE="${FERRY_CACHE:-$HOME/.cache/ferry}/go" GOFLAGS='' GOTOOLCHAIN=local go)

	for language in c perl python go rust javascript; do
		extract "$top/Documentation/languages.md" "$language" "$to/$language"
	done
	for what in server client; do
		gcc -Wall -Wextra -Werror -O2 -I "$top/uapi" -o "$to/c/$what" "$to/c/$what.c"
		if command -v go >/dev/null; then
			"${go[@]}" vet "$to/go/$what.go" "$to/go/ferry.go"
			"${go[@]}" build -o "$to/go/$what" "$to/go/$what.go" "$to/go/ferry.go"
		fi
		if command -v rustc >/dev/null; then
			rustc --edition 2021 -D warnings -O -o "$to/rust/$what" "$to/rust/$what.rs"
		fi
	done
	command -v gofmt >/dev/null || return 0
	gofmt -d "$to/go" >"$to/gofmt"
	[ ! -s "$to/gofmt" ] || {
		cat "$to/gofmt" >&2
		return 1
	}
}

build() {
	local page file

	rm -rf "$dir"
	for page in "${pages[@]}"; do
		extract "$page" c "$dir"
	done
	for file in server client; do
		[ -s "$dir/$file.c" ] || {
			echo "README.md has no $file.c" >&2
			exit 1
		}
	done
	for file in "$dir"/*.c; do
		gcc -Wall -Wextra -Werror -O2 -I "$top/uapi" -o "${file%.c}" "$file"
	done
	build_languages
}

run_programs() {
	local server line answer

	exec {out}< <(exec "$dir/server")
	server=$!
	read -r line <&"$out"
	[ "$line" = listening ]
	answer=$("$dir/client" 'carry this over')
	wait "$server"
	[ "$answer" = 'carry this over' ]
}

# The script that a console block is: each command, printed before it is run.
script_of() {
	awk -v quote="'" '
		function flush() {
			if (!command)
				return
			shown = command
			gsub(quote, quote "\\" quote quote, shown)
			gsub(/\n/, "\n> ", shown)
			print "printf \"%s\\n\" " quote "$ " shown quote
			print command
			command = ""
		}
		/^\$ / { flush(); command = substr($0, 3); next }
		/^> / { command = command "\n" substr($0, 3) }
		END { flush() }' "$1"
}

# run_block FILE: in a process group of its own, which ends with it.
run_block() {
	local block=$1 status=0 pid

	script_of "$block" >"$block.sh"
	mkdir "$block.dir"
	(cd "$block.dir" && PATH=$top/build/tools:$dir:$PATH exec setsid timeout 120 bash "$block.sh") \
		>"$block.out" 2>&1 </dev/null &
	pid=$!
	wait "$pid" || status=$?
	cp "$block.out" "$block.said"
	kill -KILL -- "-$pid" 2>/dev/null || :
	diff -u --label "what stands there" --label "what came (status $status)" "$block" "$block.said"
}

run_commands() {
	local page work block n=0 failed=0

	work=$(mktemp -d)
	# Another user finds the commands and runs them.
	chmod 755 "$work"
	for page in "${pages[@]}"; do
		awk -v work="$work/$((++n))" '
			/^```console$/ { file = sprintf("%s.%02d", work, ++n); next }
			/^```$/ { file = "" }
			file { print > file }' "$page"
	done
	for block in "$work"/*.[0-9][0-9]; do
		run_block "$block" || failed=1
	done
	rm -rf "$work"
	return "$failed"
}

case ${1-} in
build) build ;;
run) run_programs && run_commands ;;
*) echo "usage: examples.sh build | run" >&2 && exit 2 ;;
esac
