#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Counted blocks to functions: what profile.sh prints."""

import argparse
import bisect
import json
import re
import signal
import subprocess
import sys

USER_END = 1 << 63


def read_symbols(path):
    """Sorted addresses and names of /proc/kallsyms; module symbols tell their module."""
    symbols = []
    with open(path, encoding="ascii") as lines:
        for line in lines:
            fields = line.split()
            if fields[1] not in "tTwW":
                continue
            name = fields[2] + (" " + fields[3] if len(fields) > 3 else "")
            symbols.append((int(fields[0], 16), name))
    symbols.sort()
    return [address for address, _ in symbols], [name for _, name in symbols]


def read_blocks(path):
    with open(path, encoding="ascii") as lines:
        for line in lines:
            address, instructions, executions = line.split()
            yield int(address, 16), int(instructions), int(executions)


def find_symbol(symbols, address):
    index = bisect.bisect_right(symbols[0], address) - 1
    if address < USER_END or index < 0:
        return "[user]", 0
    return symbols[1][index], symbols[0][index]


def operations_of(path):
    with open(path, encoding="utf-8") as file:
        results = json.load(file)["results"]
    if len(results) != 1:
        sys.exit("profile: give one peer and one cell; these match: " +
                 ", ".join(f"{r['peer']} {r['cell']}/{r.get('parameter', '')}" for r in results))
    if "error" in results[0]:
        sys.exit(f"profile: not measured: {results[0]['error']}")
    if "operations" not in results[0]:
        sys.exit(f"profile: {results[0]['cell']} is not a measurement of time")
    return results[0]


def print_functions(blocks, symbols, operations, top):
    functions = {}
    for address, instructions, executions in blocks:
        name, start = find_symbol(symbols, address)
        entry = functions.setdefault(name, [0, 0])
        entry[0] += instructions * executions
        if address == start:
            entry[1] += executions
    total = sum(entry[0] for entry in functions.values())
    print(f"{'instructions':>12} {'share':>7} {'calls':>8}  function (per operation)")
    ordered = sorted(functions.items(), key=lambda item: -item[1][0])
    for name, (instructions, calls) in ordered[:top]:
        print(f"{instructions / operations:12.1f} {100 * instructions / total:6.2f}% "
              f"{calls / operations:8.3f}  {name}")
    rest = sum(entry[0] for _, entry in ordered[top:])
    if rest:
        print(f"{rest / operations:12.1f} {100 * rest / total:6.2f}% {'':8}  "
              f"({len(ordered) - top} more)")
    print(f"{total / operations:12.1f} 100.00% {'':8}  all")


def objdump(*arguments):
    command = ["objdump", "-d", "--no-show-raw-insn", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def disassemble(name, start, symbols, module, vmlinux):
    """(address in the running kernel or None, text) of each line of a function."""
    if " " in name:
        lines = objdump("-r", module)
        header = re.compile(rf"[0-9a-f]+ <{re.escape(name.split()[0])}>:")
        first = next((i for i, line in enumerate(lines) if header.match(line)), None)
        if first is None:
            sys.exit(f"profile: {module} has no function {name}")
        lines = lines[first + 1:]
        lines = lines[:lines.index("")] if "" in lines else lines
    else:
        after = bisect.bisect_right(symbols[0], start)
        end = symbols[0][after] if after < len(symbols[0]) else start + 4096
        lines = objdump(f"--start-address={start:#x}", f"--stop-address={end:#x}", vmlinux)
    first = None
    for line in lines:
        match = re.match(r"\s*([0-9a-f]+):\s+(\S.*)", line)
        if not match:
            continue
        if "R_X86_64" in line:
            yield None, match.group(2)
            continue
        address = int(match.group(1), 16)
        if first is None:
            first = address
        yield start + address - first, match.group(2)


def print_function(name, blocks, symbols, operations, module, vmlinux):
    matches = [i for i, symbol in enumerate(symbols[1]) if symbol.split()[0] == name]
    if not matches:
        sys.exit(f"profile: no function {name}")
    start = symbols[0][matches[0]]
    lines = list(disassemble(symbols[1][matches[0]], start, symbols, module, vmlinux))
    places = {address: i for i, (address, _) in enumerate(lines) if address is not None}
    counts = [0] * len(lines)
    for address, instructions, executions in blocks:
        place = places.get(address)
        while place is not None and instructions and place < len(lines):
            if lines[place][0] is not None:
                counts[place] += executions
                instructions -= 1
            place += 1
    print(f"{symbols[1][matches[0]]}: executions per operation")
    for (address, text), count in zip(lines, counts):
        if address is None:
            print(f"{'':18}{'':14}{text}")
        else:
            print(f"{count / operations:10.3f}  +{address - start:<6x}  {text}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", help="with blocks, kallsyms and result.json")
    parser.add_argument("--top", type=int, default=40)
    parser.add_argument("--annotate", metavar="FUNCTION")
    parser.add_argument("--module", default="")
    parser.add_argument("--vmlinux", default="")
    options = parser.parse_args()

    symbols = read_symbols(f"{options.directory}/kallsyms")
    result = operations_of(f"{options.directory}/result.json")
    blocks = list(read_blocks(f"{options.directory}/blocks"))
    if options.annotate:
        print_function(options.annotate, blocks, symbols, result["operations"], options.module,
                       options.vmlinux)
        return
    parameter = f"/{result['parameter']}" if "parameter" in result else ""
    print(f"{result['peer']} {result['cell']}{parameter}: {result['operations']} operations, "
          f"{result['median']:.1f} instructions each by the clock")
    print_functions(blocks, symbols, result["operations"], options.top)


# Quietly, when piped into head.
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
main()
