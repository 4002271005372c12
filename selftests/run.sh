#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run the selftests as root, each program in a network namespace of its own.
# Output is KTAP, one subtest a program; the last line is the sum.

set -euo pipefail

usage()
{
	cat <<-END
	usage: run.sh [-l LOGDIR] [-t SECONDS] [-n | -o] [-s I/N] [-S I/N] [-v] [PROGRAM...]

	Runs the programs named (default: all) and ends with one line,
	"N passed, N failed, N skipped". Exit status 0 when none failed.

	  -l LOGDIR   also leave each program's whole output in LOGDIR/PROGRAM.tap
	  -n          only AF_FERRY: the tests of the old families are left out
	  -t SECONDS  how long one program may take (900)
	  -o          only the old families: AF_FERRY need not be there
	  -s I/N      each test in every N-th of its variants only, or in one; with
	              I = 0 to N - 1 all have their turn
	  -S I/N      every N-th variant of the old families only
	  -v          also show what passed in detail
	END
}

here=$(cd "$(dirname "$0")" && pwd)
limit=$(sed -n 's/^timeout=//p' "$here/settings")
logdir=
old_only=
verbose=

while getopts hl:nos:S:t:v option; do
	case $option in
	h) usage; exit 0 ;;
	l) logdir=$OPTARG ;;
	n) export FT_FERRY_ONLY=1 ;;
	o) old_only=1 ;;
	s | S)
		[[ $OPTARG =~ ^[0-9]{1,3}/[1-9][0-9]?$ ]] || { usage >&2; exit 2; }
		[[ $option == S ]] || export FT_SHARE=$OPTARG
		[[ $option == s ]] || export FT_OLD_SHARE=$OPTARG
		;;
	t) limit=$OPTARG ;;
	v) verbose=1 ;;
	*) usage >&2; exit 2 ;;
	esac
done
shift $((OPTIND - 1))

if (($(id -u) != 0)); then
	echo "run.sh: needs root, for network namespaces and unloading" >&2
	exit 2
fi
if [[ -n $logdir ]]; then
	mkdir -p "$logdir"
fi

programs=("$@")
if ((${#programs[@]} == 0)); then
	while read -r line; do
		programs+=("$line")
	done < "$here/programs.txt"
fi

scratch=$(mktemp -d)
session=
# What a program that was stopped has left behind ends too: a test is a process group of
# its own, but in the session of its program.
end_session()
{
	[[ -z $session ]] || pkill -KILL -s "$session" || :
	session=
}
trap 'end_session; rm -rf "$scratch"' EXIT

# Whether socket(AF_FERRY, SOCK_STREAM, 0) works.
have_ferry()
{
	# shellcheck disable=SC2016 # a variable of perl
	perl -e 'socket(my $s, 18, 1, 0) or exit 1'
}

# A sum of one program's results: "passed failed skipped", counting a program
# that ended before its plan was fulfilled as one more failure.
count()
{
	awk -v status="$2" '
		/^ok [0-9]+/ { if (/# SKIP/) skip++; else pass++ }
		/^not ok [0-9]+/ { fail++ }
		/^1\.\.[0-9]+/ && !plan { split($0, p, /\.\./); plan = p[2] + 0 }
		/^1\.\.0 # SKIP/ { skip = plan = 1 }
		END {
			if (pass + fail + skip != plan || (status && !fail))
				fail++
			print pass + 0, fail + 0, skip + 0
		}' "$1"
}

# Long lists of what worked are of no use on a console.
show()
{
	if [[ -n $verbose ]]; then
		sed 's/^/  /' "$1"
	else
		sed -E '/^#  (RUN|          OK) /d; /^# Starting /d; s/^/  /' "$1"
	fi
}

passed=0
failed=0
skipped=0
number=0
times=()

echo "KTAP version 1"
echo "1..${#programs[@]}"
echo "# kernel $(uname -r)"
[[ -z ${FT_OLD_SHARE:-} ]] || echo "# a share of the old families' variants: $FT_OLD_SHARE"
[[ -z ${FT_SHARE:-} ]] || echo "# a share of each test's variants: $FT_SHARE"

if [[ -z $old_only ]] && ! have_ferry; then
	echo "Bail out! AF_FERRY is not there: load ferry.ko, or say -o"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
fi

for program in "${programs[@]}"; do
	name=$(basename "$program")
	log=$scratch/$name.tap
	status=0
	number=$((number + 1))
	start=$SECONDS
	echo "  # Subtest: $name"
	# shellcheck disable=SC2016 # $@ belongs to the inner shell
	setsid timeout -k 5 "$limit" unshare --net -- \
		sh -c 'ip link set lo up && exec "$@"' sh \
		"$here/$name" > "$log" 2>&1 < /dev/null &
	session=$!
	wait "$session" || status=$?
	end_session
	# The harness ends with 4 when all was skipped.
	if ((status == 4)); then
		status=0
	fi
	if ((status == 124 || status == 137)); then
		echo "# stopped after $limit seconds" >> "$log"
	fi
	show "$log"
	read -r p f s < <(count "$log" "$status")
	passed=$((passed + p))
	failed=$((failed + f))
	skipped=$((skipped + s))
	result=ok
	if ((f > 0)); then
		result="not ok"
	fi
	echo "$result $number $name"
	echo "# $p passed, $f failed, $s skipped in $((SECONDS - start)) s" \
		"(status $status)"
	times+=("$((SECONDS - start)) $name")
	if [[ -n $logdir ]]; then
		{ echo "# kernel $(uname -r)"; cat "$log"; } > "$logdir/$name.tap"
	fi
done

echo "# the slowest, in seconds:" \
	"$(printf '%s\n' "${times[@]}" | sort -rn | head -n 10 | paste -sd ,)"
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
