# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Internal snapshots: their disk, not today's.

# What a snapshot holds is in IMAGE.1 to IMAGE.3; see ../images/extra.py.
E=/images/extra

# seen NUMBER: everything that tells of it
seen() {
	local sys=/sys/block/${dev#/dev/} name ro

	read -r name < "$sys/qcow/snapshot"
	is "state $1" "$name"
	read -r ro < "$sys/ro"
	is 1 "$ro"
	is "state $1" "$(qcowctl list -nO SNAPSHOT)"
	qcowctl info --json "$dev" > json
	grep -q "\"snapshot\": *\"state $1\"" json || fail "$(cat json)"
	qcowctl info "$dev" | grep -x "    snapshot: state $1" > /dev/null
	! qcowctl map "$dev" > out 2> err || fail "mapped"
	grep -q "shows snapshot state $1" err
}

case_snapshot_read() {
	local name i

	for name in plain old sub large; do
		for i in 1 2 3; do
			attach --snapshot "state $i" $E/snap-$name
			same_content "$dev" $E/snap-$name.$i
			seen $i
			detach
			[ $name = plain ] || continue
			# where in the JSON it is
			is "state $i" "$(jq -r .device.snapshot json)"
			# the same by its id
			attach --snapshot $i $E/snap-plain
			same_content "$dev" $E/snap-plain.$i
			detach
		done
		attach $E/snap-$name
		is "" "$(cat "/sys/block/${dev#/dev/}/qcow/snapshot")"
		same_content "$dev" $E/snap-$name.now
		detach
	done
}

case_snapshot_backing() {
	attach --snapshot 2 $E/snap-over
	same_content "$dev" $E/snap-over.2
	is 2 "$(cat "/sys/block/${dev#/dev/}/qcow/depth")"
	detach
}

# refuses_snapshot MESSAGE ARGUMENTS...
refuses_snapshot() {
	local message=$1

	shift
	! qcowctl attach "$@" > out 2> err || fail "attach $* works"
	is 1 "$(wc -l < err)"
	grep -q "$message" err || fail "$(cat err)"
}

case_snapshot_refused() {
	refuses_snapshot "snap-plain: has no snapshot" --snapshot 4 $E/snap-plain
	refuses_snapshot "snap-plain: has no snapshot" --snapshot "state" $E/snap-plain
	truncate -s 1M raw
	refuses_snapshot "raw: has no snapshots" --snapshot 1 -f raw raw
	refuses_snapshot "L1 table is too small" --snapshot 1 $E/snap-short
	is "" "$(qcowctl list -n)"
}
