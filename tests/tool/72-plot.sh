# SPDX-License-Identifier: GPL-2.0
# The picture that map draws. shellcheck shell=bash

rm -f base.qcow2 top.qcow2 ./*.svg
qemu-img create -q -f qcow2 base.qcow2 64M
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2 64M
qemu-io -f qcow2 -c 'write -q 16M 16M' base.qcow2
qemu-io -f qcow2 -c 'write -q 0 8M' -c 'write -q -c 32M 64k' -c 'write -q -z 40M 8M' top.qcow2

# plotted NAME EXPECTED ARGUMENTS...
plotted()
{
	run qcowctl map "${@:3}"
	expect "plot: $1" is "0 $2" "$code $(cat err; sed 's/ *$//' out)"
}

export COLUMNS=74
# 64 columns, 16 rows: cells of 64 KiB, 4 MiB in a line
row() { printf -v line "%$1s" ""; printf '%s' "${line// /$2}"; }
picture()
{
	local at

	echo "top.qcow2: a disk of 64M, 64K a character"
	for at in 0B 4M 8M 12M 16M 20M 24M 28M 32M 36M 40M 44M 48M 52M 56M 60M; do
		case $at in
		0B|4M) line=$(row 64 "$1") ;;
		16M|20M|24M|28M) line=$(row 64 "$2") ;;
		32M) line=$3$(row 63 "$5") ;;
		40M|44M) line=$(row 64 "$4") ;;
		*) line=$(row 64 "$5") ;;
		esac
		printf '%7s %s\n' $at "$line"
	done
	echo "      $1 data 8M"
	echo "      $3 compressed 64K"
	echo "      $2 backing file 16M"
	echo "      $4 zeros 8M"
	echo "      $5 nothing 31.9M"
}
plotted "in blocks" "$(picture █ ▒ ▓ 0 ·)" --plot top.qcow2
LC_ALL=C plotted "in letters" "$(picture '#' b c 0 .)" top.qcow2 --plot
COLUMNS=0 run qcowctl map --plot base.qcow2
printf -v long '%s' "$(sed -n 2p out | sed 's/^ *[^ ]* //')"
expect "plot: a width of its own" is 70 "${#long}"

# The smallest and the largest disk, one with an odd end
for size in 512 1k 66048 100000000000512 8E; do
	rm -f size.raw size.qcow2
	qemu-img create -q -f qcow2 -o cluster_size=2M size.qcow2 "$size" 2>/dev/null || continue
	expect "plot: a disk of $size" accepts qcowctl map --plot size.qcow2
	expect "plot: a disk of $size: lines" test "$(wc -l <out)" -le 18
done
: >empty.raw
expect "plot: an empty disk" accepts qcowctl map --plot -f raw empty.raw

# SVG
name='a<b>&"c.qcow2'
cp top.qcow2 "$name"
expect "plot: SVG" accepts qcowctl map "--plot=out.svg" "$name"
expect "plot: SVG: nothing else" is "" "$(cat out)"
expect "plot: SVG: its text" is 'a<b>&"c.qcow2: a disk of 64M, 16K a cell' \
	"$(python3 -c 'import xml.etree.ElementTree as e
print(e.parse("out.svg").getroot().find("{http://www.w3.org/2000/svg}text").text)')"
expect "plot: SVG: cells of compressed data" is 40 \
	"$(python3 -c 'import xml.etree.ElementTree as e
print(sum(int(r.get("width")) for r in e.parse("out.svg").getroot()
          if r.tag.endswith("rect") and r.get("fill") == "#9b51b6" and r.get("height") == "9"))')"
expect "plot: SVG: again" accepts qcowctl map "--plot=out.svg" base.qcow2
cp top.qcow2 image.svg
cp image.svg before.svg
expect "plot: not over an image" refuses "is no SVG, so it is not replaced" qcowctl map --plot=image.svg top.qcow2
expect "plot: the image is whole" cmp image.svg before.svg
mkfifo pipe.svg
expect "plot: not into a pipe" refuses "is no SVG" qcowctl map --plot=pipe.svg top.qcow2
expect "plot: another ending" refuses "ends in .svg" qcowctl map --plot=out.png top.qcow2
expect "plot: no folder" refuses "no/x.svg: cannot be written" qcowctl map --plot=no/x.svg top.qcow2
expect "plot: not with JSON" refuses "neither" qcowctl map --plot -J top.qcow2
expect "plot: not with a bitmap" refuses "neither" qcowctl map --plot --bitmap b top.qcow2
# Damage ends it before anything is drawn.
poke top.qcow2 "$(($(peek top.qcow2 40 8)))" 8 0x8000000000000201
run qcowctl map --plot=damaged.svg top.qcow2
expect "plot: damage" is "1 " "$code $(cat out; ls damaged.svg 2>/dev/null)"
rm -f ./*.svg "$name" size.qcow2 empty.raw
unset COLUMNS
