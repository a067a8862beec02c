# SPDX-License-Identifier: GPL-2.0
# The counters of devices, which sysfs shows. shellcheck shell=bash

fake_root

# counts NAME=VALUE...: counters of the fake device
counts()
{
	local set

	mkdir -p root/sys/block/qcow0/qcow_stat
	for set; do
		echo "${set#*=}" >"root/sys/block/qcow0/qcow_stat/${set%=*}"
	done
}

# squeezed: standard output without repeated blanks
squeezed()
{
	tr -s ' ' <out | sed 's/^ //; s/ $//'
}

expect "stat: a driver without counters" refuses "too old to show counters" \
	with_driver qcowctl stat qcow0
counts reads=3 read_bytes=12288 writes=18446744073709551615 memory=33554432 errors=0
run with_driver qcowctl stat
expect "stat: a table" is "0 NAME READS READ WRITES WRITTEN DISCARDS FLUSHES FAST SLOW HITS MISSES ALLOC COW UNPACKED ERRORS MEMORY
qcow0 3 12K 18446744073709551615 0 32M" "$code $(squeezed)"
run with_driver qcowctl stat -b qcow0
expect "stat: bytes in full" has "12288 .* 33554432$" out
run with_driver qcowctl stat -J
expect "stat: JSON" is '0 {"qcowstat":[{"name":"/dev/qcow0","reads":3,"read_bytes":12288,"writes":18446744073709551615,"errors":0,"memory":33554432}]}' \
	"$code $(python3 -c 'import json; print(json.dumps(json.load(open("out")), separators=(",", ":")))')"
expect "stat: no such device" refuses "/dev/qcow7: no such device" with_driver qcowctl stat qcow7
for bad in 0 -1 x 1x nan inf 1e9 ""; do
	expect "stat: an interval of \"$bad\"" refuses "bad interval" with_driver qcowctl stat --interval "$bad"
done

# Each line tells the difference to the line before; a smaller counter is another device's.
counts reads=10 read_bytes=4096 memory=100
mkfifo lines
with_driver qcowctl stat -J -i 0.2 qcow0 >lines 2>err &
watching=$!
exec 8<lines
# next GLOB: the next line that is so; there may be others before
next()
{
	local line

	while read -ru 8 line; do
		# shellcheck disable=SC2053
		[[ $line == $1 ]] && return
	done
	echo "the lines ended"
	return 1
}
expect "stat: all at first" next '*"reads":10,*"memory":100}*'
expect "stat: then nothing" next '*"reads":0,*"memory":100}*'
counts memory=50 reads=17
expect "stat: then what was added" next '*"reads":7,*'
expect "stat: memory is not compared" next '*"reads":0,*"memory":50}*'
counts reads=2
expect "stat: another device" next '*"reads":2,*'
rm -r root/sys/block/qcow0/qcow_stat
expect "stat: it has gone" next '*:\[\]*'
wait $watching
expect "stat: it ends with the device" is "0 " "$? $(cat err)"
exec 8<&-
# Without names it goes on, and a signal ends it without a fault.
counts reads=1
with_driver timeout -s INT 1 "$Q" stat --interval=0.05 >out 2>err
expect "stat: interrupted" is "124 " "$? $(cat err)"
expect "stat: headings each time" test "$(grep -c NAME out)" -ge 2
rm lines
fake_root
