#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# main.sh [TOPIC CASE]: runs in the guest everything that /out/plan names, or
# one case. The result of each goes to /out/results.
#
# Disks: vda holds the images; vdb, vdc, vdd are empty.
set -uo pipefail
here=$(dirname "$0")
. "$here/lib.sh"

if [ $# -eq 2 ]; then
	# shellcheck source=/dev/null
	. "$here/$1"
	set -e
	"case_${2//-/_}"
	exit 0
fi

CASE_SECONDS=120

report() {
	echo "$1" >> /out/results
}

# run_case TOPIC NAME: a process of its own, with a folder and time of its own.
run_case() {
	local log=/tmp/log dir=/tmp/case status=0 begin=$SECONDS left pid

	mkdir -p $dir
	# timeout makes a process group of the case and all that it starts.
	(cd $dir && exec timeout -k 5 $CASE_SECONDS bash "$here/main.sh" "$1" "$2") \
		> $log 2>&1 &
	pid=$!
	wait $pid || status=$?
	kill -9 -- -$pid 2> /dev/null
	left=$(left_over)
	[ -z "$left" ] || remove_devices
	clean_up $dir
	[ $((SECONDS - begin)) -lt 30 ] || echo "$2: $((SECONDS - begin)) s"
	if [ $status -eq 0 ] && [ -z "$left" ]; then
		report "ok $2"
		return
	fi
	report "not ok $2: exit code $status $left; $(tail -n 3 $log | tr '\n' ' ')"
	echo "--- $2: exit code $status $left"
	tail -n 25 $log
}

# processors TOPIC: all of them for a topic whose requests are to meet each other, one
# for any other topic and its processes. Emulated processors that wait for each other
# keep the host's busy for nothing; the kernel's own threads have all in any case.
processors() {
	local list=0

	[[ $1 != [467]* ]] || list=0-$(($(nproc --all) - 1))
	taskset -p -c $list $$ > /dev/null
}

# Everything of a topic file that is planned
run_topic() {
	local name

	# shellcheck source=/dev/null
	for name in $(. "$here/$1"; compgen -A function case_); do
		name=${name#case_}
		name=${name//_/-}
		planned "$name" && run_case "$1" "$name"
	done
}

# shellcheck disable=SC2153
insmod "$QCOW_MODULE" || exit 1
# libcryptsetup needs it for some ciphers.
modprobe loop
prepare
cp "$here"/*.sh $BIN
here=$BIN
for manifest in cross crafted damage crypt; do
	[ -s "/out/$manifest" ] || continue
	start=$SECONDS
	qcowtest compare -r "$IMAGES" "/out/$manifest" >> /out/results
	echo "$manifest: $((SECONDS - start)) s"
done
if [ -s /out/refuse ]; then
	qcowtest refuse "$IMAGES/refuse" /out/refuse >> /out/results
fi
for topic in "$here"/[0-9]*.sh; do
	start=$SECONDS
	processors "$(basename "$topic")"
	run_topic "$(basename "$topic")"
	echo "$(basename "$topic"): $((SECONDS - start)) s"
done
[ -z "$(left_over)" ] || report "not ok nothing left: $(left_over)"
rmmod qcow || report "not ok rmmod"
