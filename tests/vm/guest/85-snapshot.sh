# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Internal snapshots: their disk, not today's.

# IMAGE.1 to IMAGE.3 have the content of the snapshots; see ../images/extra.py.
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
	has "\"snapshot\": *\"state $1\"" json
	qcowctl info "$dev" | grep -x "    snapshot: state $1" > /dev/null
	refuses "shows snapshot state $1" qcowctl map "$dev"
}

case_snapshot_read() {
	local name i

	for name in plain old sub large; do
		for i in 1 2 3; do
			attach --snapshot "state $i" $E/snap-$name
			same_content $E/snap-$name.$i "$dev"
			seen $i
			detach
			[ $name = plain ] || continue
			# where in the JSON it is
			is "state $i" "$(jq -r .device.snapshot json)"
			# the same by its id
			attach --snapshot $i $E/snap-plain
			same_content $E/snap-plain.$i "$dev"
			detach
		done
		attach $E/snap-$name
		is "" "$(cat "/sys/block/${dev#/dev/}/qcow/snapshot")"
		same_content $E/snap-$name.now "$dev"
		detach
	done
}

case_snapshot_backing() {
	attach --snapshot 2 $E/snap-over
	same_content $E/snap-over.2 "$dev"
	is 2 "$(cat "/sys/block/${dev#/dev/}/qcow/depth")"
	detach
}

case_snapshot_refused() {
	refuses "snap-plain: has no snapshot" qcowctl attach --snapshot 4 $E/snap-plain
	refuses "snap-plain: has no snapshot" qcowctl attach --snapshot "state" $E/snap-plain
	truncate -s 1M raw
	refuses "raw: has no snapshots" qcowctl attach --snapshot 1 -f raw raw
	refuses "L1 table is too small" qcowctl attach --snapshot 1 $E/snap-short
	is "" "$(qcowctl list -n)"
}
