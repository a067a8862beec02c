# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Callers that are limited or killed, or that interrupt their command.

# --- Limits of the task are none of the image's ---

make_limits() {
	create base 8M
	fill base.qcow2 'write -P 1 0 8M'
	create over 8M -b base.qcow2 -F qcow2
	create image 8M
}

limited() {
	prlimit --fsize=65536 "$@"
}

case_limits() {
	attach image.qcow2
	operate "$dev" 'write 0 4m 2'
	limited qcowctl snapshot create "$dev" first
	limited qcowctl snapshot delete "$dev" first
	limited qcowctl bitmap add "$dev" b
	limited qcowctl bitmap remove "$dev" b
	limited qcowctl resize "$dev" 12M
	operate "$dev" 'write 4m 4m 3'
	limited qcowctl detach "$dev"
	attach over.qcow2
	operate "$dev" 'write 0 1m 4'
	limited qcowctl stream "$dev"
	operate "$dev" 'read 0 1m 4' 'read 1m 7m 1' 'flush'
	limited qcowctl detach "$dev"
}

after_limits() {
	check image.qcow2 over.qcow2
	holds qcow2 image.qcow2 'read -P 2 0 4M' 'read -P 3 4M 4M' 'read -P 0 8M 4M'
	rm -f base.qcow2
	holds qcow2 over.qcow2 'read -P 4 0 1M' 'read -P 1 1M 7M'
}

# --- Long commands end at a signal ---

make_slow_backing() {
	qemu-img create -q -u -f qcow2 -b /dev/mapper/slow -F raw over.qcow2 16M
}

# ends COMMAND...: soon; it would take 16 seconds.
ends() {
	local begin=$SECONDS

	"$@" || true
	[ $((SECONDS - begin)) -lt 8 ] || fail "it took $((SECONDS - begin)) seconds: $*"
}

case_slow_backing() {
	local pid

	modprobe dm-delay
	mapped slow "0 32768 delay /dev/vdb 0 0"
	attach over.qcow2
	dmsetup suspend --noflush --nolockfs slow
	dmsetup load slow --table "0 32768 delay /dev/vdb 0 1000"
	dmsetup resume --noudevsync slow

	qcowctl stream "$dev" 2> log &
	pid=$!
	sleep 2
	kill -INT $pid
	ends wait $pid
	has 'interrupted' log

	qcowctl stream "$dev" &
	pid=$!
	sleep 2
	ends qcowctl detach --force "$dev"
	! stays || fail "it stays"
	! wait $pid || fail "streamed"

	# An image that is attached for one command only is not free for others.
	qcowctl stream over.qcow2 2> log &
	pid=$!
	sleep 3
	! qcowctl list -nO IMAGE | grep -xF "$PWD/over.qcow2" || fail "it is listed"
	! qcowctl list -J | grep -F "$PWD/over.qcow2" || fail "it is listed in JSON"
	refuses "" qcowctl resize over.qcow2 32M
	refuses "not attached" qcowctl detach over.qcow2
	kill -INT $pid
	ends wait $pid
	has 'interrupted' log
	dmsetup remove --noudevsync --retry slow
}

after_slow_backing() {
	qemu-img rebase -u -f qcow2 -b '' over.qcow2
	check over.qcow2
}
