# SPDX-License-Identifier: GPL-2.0
# One-way throughput of every peer. Given by run.sh: data, mode, kernel, made_by.

set terminal svg size 1200,620 font "sans,12" background "white"
set output
unit = mode eq "counted" ? "instructions" : "ns"
set multiplot layout 1,2 margins 0.05,0.83,0.14,0.86 spacing 0.07 title sprintf("One-way transfer, %s mode, Linux %s - made by: %s", mode, kernel, made_by) noenhanced

stats data using 1 nooutput
blocks = STATS_blocks
set logscale x 2
set xrange [0.7:1500000]
set xtics ("1" 1, "64" 64, "1Ki" 1024, "4Ki" 4096, "16Ki" 16384, "64Ki" 65536, "1Mi" 1048576) rotate by -45
set xlabel "bytes a write"
set grid
set key noenhanced samplen 2

set title "Ratio to AF\\_UNIX of the same type (higher is better)"
set yrange [0:3.5]
unset key
plot for [i=0:blocks-2] data index i using 1:3 with linespoints linewidth 2 linecolor i+1 pointtype i+1 title columnheader(1)

set title sprintf("%s a message, both ends together (lower is better)", unit)
set logscale y 10
set yrange [*:*]
set key at screen 0.995,0.86 right top
plot for [i=0:blocks-1] data index i using 1:2 with linespoints linewidth 2 linecolor i+1 pointtype i+1 title columnheader(1)
unset multiplot
