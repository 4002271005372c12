#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What "make install" puts below a root of its own can be used from there, and
# "make uninstall" leaves no file. Needs neither a machine nor the module.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

die()
{
	echo "$*" >&2
	exit 1
}

files()
{
	find "$root" ! -type d -printf '%m %P\n' | sort -k 2
}

umask 022
make -s -C "$top" install DESTDIR="$root" PREFIX=/opt/ferry
diff <(files) - <<-'END'
	755 opt/ferry/bin/ferry
	644 opt/ferry/include/linux/ferry.h
	644 opt/ferry/include/linux/ferry_diag.h
	755 opt/ferry/lib/ferry/ferry-bench
	644 opt/ferry/lib/ferry/libferry-preload.so
	644 opt/ferry/lib/python3/dist-packages/ferry.py
	644 opt/ferry/lib/systemd/system/ferry-port@.service
	644 opt/ferry/share/bash-completion/completions/ferry
	644 opt/ferry/share/man/man1/ferry.1
	644 opt/ferry/share/man/man7/af_ferry.7
END

[[ $("$root/opt/ferry/bin/ferry" --version) == "ferry "[0-9]* ]] || die "no version"
echo '#include <linux/ferry_diag.h>
#include <linux/ferry.h>
int main(void) { return FERRY_ADDR_LEN(0) != 20; }' |
	gcc -Wall -Werror -I "$root/opt/ferry/include" -xc - -o "$root/uses"
"$root/uses"
rm "$root/uses"
for page in man1/ferry.1 man7/af_ferry.7; do
	# Bold is a letter, a backspace and the letter again.
	text=$(mandoc "$root/opt/ferry/share/man/$page" | sed 's/.\x08//g')
	[[ $text == *AF_FERRY* ]] || die "$page is no page"
done

if command -v systemd-analyze > /dev/null; then
	# It has no manual page that is installed.
	cp "$root/opt/ferry/lib/systemd/system/ferry-port@.service" "$root/ferry-port@1.service"
	said=$(systemd-analyze verify --man=no "$root/ferry-port@1.service" 2>&1) || said+=" (refused)"
	[[ -z $said ]] || die "systemd says of the unit: $said"
	rm "$root/ferry-port@1.service"
fi

if [[ -x /usr/bin/python3 ]]; then
	PYTHONPATH=$root/opt/ferry/lib/python3/dist-packages /usr/bin/python3 -B -c \
		'import ferry; assert ferry.Address("x").pack() == b"\x12" + bytes(19) + b"x"'
	# Below the usual prefixes it is where Python looks.
	for prefix in /usr /usr/local; do
		make -s -C "$top" python_install DESTDIR="$root" PREFIX="$prefix"
		found=$(cd "$root" && find usr -name ferry.py)
		/usr/bin/python3 -c 'import sys; assert sys.argv[1] in sys.path' "/${found%/*}"
		rm -r "${root:?}/usr"
	done
fi

make -s -C "$top" uninstall DESTDIR="$root" PREFIX=/opt/ferry
[[ -z $(files) ]] || die "still there: $(files)"
