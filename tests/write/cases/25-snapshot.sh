# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Snapshots that we make, delete and apply, and that QEMU does; each reads them all.

# judged STAGE: here and now, by QEMU; on the host, for that is quicker there
judged() {
	cp --sparse=always image.qcow2 "at-$1"
}

# same_snapshot IMAGE SNAPSHOT FILE: QEMU reads the file's content in the snapshot.
same_snapshot() {
	qemu-img convert -q -l "snapshot.name=$2" -O raw "$1" seen.raw
	same_content "$3" seen.raw
	rm seen.raw
}

# same_now IMAGE FILE
same_now() {
	qemu-img compare -q -f qcow2 -F raw "$1" "$2" || fail "$1 is not $2"
}

same_attached() {
	local shown

	shown=$(qcowctl attach --snapshot "$1" image.qcow2) || fail "attach --snapshot $1"
	same_content "$2" "$shown"
	qcowctl detach "$shown"
}

# the names, as both see them
names() {
	local ours qemus

	ours=$(qcowctl snapshot list -J image.qcow2 | jq -r '.snapshots[].name' | tr '\n' ' ')
	qemus=$(qemu-img info -U --output=json image.qcow2 |
		jq -r '.snapshots[]?.name' | tr '\n' ' ')
	is "$qemus" "$ours"
	is "$1" "${ours% }"
}

snapshot_kinds='v2:compat=0.10 sub:extended_l2=on'
snapshot_more_kinds='plain: small:cluster_size=512 wide:refcount_bits=64
	narrow:refcount_bits=4 large:cluster_size=2M'

make_snapshot_images() {
	local kind options

	[ -z "${QCOW_QUICK:-}" ] || snapshot_kinds=v2:compat=0.10
	for kind in $snapshot_kinds ${QCOW_LONG:+$snapshot_more_kinds}; do
		options=${kind#*:}
		mkdir "${kind%:*}"
		create "${kind%:*}/image" 8M ${options:+-o "$options"}
		fill "${kind%:*}/image.qcow2" 'write -P 1 0 3M' 'write -z 512k 256k' \
			'write -P 2 5M 1M'
	done
	mkdir compressed
	qemu-img convert -c -O qcow2 v2/image.qcow2 compressed/image.qcow2
	for kind in */; do
		qemu-img convert -O raw "$kind/image.qcow2" "$kind/one.raw"
	done
}

# list_ours STAGE, same_names STAGE NAMES: as both see them, then and on the host
list_ours() {
	qcowctl snapshot list -J image.qcow2 > "list-$1"
}

same_names() {
	is "$2" "$(jq -r '.snapshots[].name' "list-$1" | xargs)"
	is "$2" "$(qemu-img info --output=json "at-$1" | jq -r '.snapshots[]?.name' | xargs)"
}

# The image is not attached.
case_snapshot_images() {
	local dir

	for dir in */; do
		cd "$dir"
		qcowctl snapshot create image.qcow2 one
		list_ours one
		judged one
		attach image.qcow2
		operate "$dev" 'write 1m 300k 7' 'write 6m 64k 8' 'discard 2m 512k' flush
		cp "$dev" two.raw
		qcowctl snapshot create -v "$dev" two
		judged two
		operate "$dev" 'write 0 100k 9' 'write 3m 64k 10'
		cp "$dev" now.raw
		detach
		list_ours both
		judged both
		same_attached one one.raw
		same_attached two two.raw
		qcowctl snapshot apply image.qcow2 one
		judged applied
		qcowctl snapshot delete image.qcow2 one
		list_ours deleted
		judged deleted
		qemu-img snapshot -a two image.qcow2
		attach image.qcow2
		same_content two.raw "$dev"
		operate "$dev" 'write 0 1m 11'
		qcowctl snapshot delete "$dev" two
		detach
		list_ours none
		judged none
		cd ..
	done
}

after_snapshot_images() {
	local dir

	for dir in */; do
		cd "$dir"
		check at-one at-both at-applied at-deleted at-none image.qcow2
		same_names one one
		same_names both "one two"
		same_names deleted two
		same_names none ""
		same_snapshot at-two two two.raw
		same_snapshot at-both one one.raw
		same_snapshot at-both two two.raw
		same_now at-both now.raw
		same_now at-applied one.raw
		same_snapshot at-applied two two.raw
		same_now at-deleted one.raw
		same_snapshot at-deleted two two.raw
		cd ..
	done
}

# --- Refused commands change nothing ---

make_snapshot_refused() {
	create image 8M
	fill image.qcow2 'write -P 1 0 1M'
	qemu-img snapshot -c first image.qcow2
	create one 4M -o refcount_bits=1
	fill one.qcow2 'write -P 1 0 1M'
	create two 4M -o refcount_bits=2
	fill two.qcow2 'write -P 1 0 1M'
	qemu-img snapshot -c a two.qcow2
	qemu-img snapshot -c b two.qcow2
	create data 4M -o data_file=data.raw
	qemu-img create -q -f raw raw.img 1M
	cp image.qcow2 busy.qcow2
	remember image.qcow2 one.qcow2 two.qcow2 data.qcow2
}

case_snapshot_refused() {
	refuses 'image.qcow2: has a snapshot with that' qcowctl snapshot create image.qcow2 first
	refuses 'image.qcow2: has a snapshot with that' qcowctl snapshot create image.qcow2 1
	refuses 'image.qcow2: has no snapshot with that' qcowctl snapshot delete image.qcow2 second
	refuses 'image.qcow2: has no snapshot with that' qcowctl snapshot apply image.qcow2 fir
	refuses 'has 1 to 255 bytes' qcowctl snapshot create image.qcow2 "$(printf '%0256d' 7)"
	refuses 'one.qcow2: has refcounts of 1 bit' qcowctl snapshot create one.qcow2 x
	refuses 'two.qcow2: has refcounts of 2 bits' qcowctl snapshot create two.qcow2 x
	refuses 'two.qcow2: has refcounts of 2 bits' qcowctl snapshot apply two.qcow2 a
	refuses 'data.qcow2: has an external data file' qcowctl snapshot create data.qcow2 x
	refuses 'raw.img: .*magic|raw.img: ' qcowctl snapshot create raw.img x
	attach -r image.qcow2
	refuses 'is attached read-only' qcowctl snapshot create "$dev" x
	detach
	is "" "$(qcowctl list -n | grep -F "$PWD/" || true)"
	check image.qcow2 one.qcow2 two.qcow2
	names first
	# in use
	attach busy.qcow2
	exec 7< "$dev"
	exits 1 'is in use:' qcowctl snapshot apply "$dev" first
	has "pid $$|bash" err
	exec 7<&-
	operate "$dev" 'write 0 64k 9'
	qcowctl snapshot apply "$dev" first
	operate "$dev" 'read 0 1m 1'
	detach
}

# --- The disk's size changes with it ---

make_snapshot_sizes() {
	create image 4M
	fill image.qcow2 'write -P 1 0 4M'
	qemu-img snapshot -c small image.qcow2
	qemu-img resize -q image.qcow2 3G
	fill image.qcow2 'write -P 2 2G 1M'
	qemu-img snapshot -c large image.qcow2
}

case_snapshot_sizes() {
	attach image.qcow2
	qcowctl snapshot apply "$dev" small
	is $((4 << 20)) "$(blockdev --getsize64 "$dev")"
	operate "$dev" 'read 0 4m 1'
	qcowctl snapshot apply "$dev" large
	is $((3 << 30)) "$(blockdev --getsize64 "$dev")"
	operate "$dev" 'read 0 4m 1' 'read 2048m 1m 2' 'write 2048m 1m 3'
	qcowctl snapshot apply "$dev" 1
	detach
	check image.qcow2
	is $((4 << 20)) "$(qemu-img info --output=json image.qcow2 | jq '."virtual-size"')"
	refuses 'not inside its disk' qcowctl attach --offset 8M image.qcow2
	qcowctl snapshot apply image.qcow2 2
	attach --offset 8M image.qcow2
	refuses 'ends before the piece' qcowctl snapshot apply "$dev" small
	detach
}

# --- The state of a virtual machine ---

machine() {
	printf '%s\n' "$@" quit | timeout 60 qemu-system-x86_64 -accel tcg -S -m 16 \
		-nodefaults -display none -monitor stdio -drive file=image.qcow2,format=qcow2
}

make_snapshot_machine() {
	create image 64M
	fill image.qcow2 'write -P 1 0 1M'
	machine 'savevm running' > qemu.log
	qemu-img snapshot -l image.qcow2 | grep running
}

case_snapshot_machine() {
	local was

	was=$(qemu-img info --output=json image.qcow2 | jq -c '.snapshots[0]')
	qcowctl snapshot create image.qcow2 other
	check image.qcow2
	qcowctl snapshot apply image.qcow2 running
	qcowctl snapshot delete image.qcow2 other
	check image.qcow2
	is "$was" "$(qemu-img info --output=json image.qcow2 | jq -c '.snapshots[0]')"
	is "$(jq .\"vm-state-size\" <<< "$was")" \
		"$(qcowctl snapshot list --json image.qcow2 | jq '.snapshots[0]."vm-state-size"')"
	qcowctl snapshot list image.qcow2
	cp image.qcow2 gone.qcow2
	qcowctl snapshot delete gone.qcow2 running
}

after_snapshot_machine() {
	check image.qcow2 gone.qcow2
	machine 'loadvm running' 'info status' > qemu.log
	! grep -iE 'error|not' qemu.log || fail "it cannot be run again"
}

# cost COMMAND...: sets ticks: the processor time of the whole guest that it takes
cost() {
	local before

	before=$(awk '$1 == "cpu" { print $2 + $3 + $4 + $7 + $8 }' /proc/stat)
	"$@"
	ticks=$(($(awk '$1 == "cpu" { print $2 + $3 + $4 + $7 + $8 }' /proc/stat) - before))
}

# least NAME: the variable gets $ticks if that is less
least() {
	[ -n "${!1}" ] && [ "${!1}" -le "$ticks" ] || printf -v "$1" %s "$ticks"
}

# A snapshot of 25 GiB, all allocated: qemu-img takes longer to make and to delete it. Another
# case that runs beside this one takes time as well, so of two times the least one counts.
case_snapshot_cost() {
	local ticks made='' deleted='' their_made='' their_deleted='' i

	qemu-img create -q -f qcow2 -o preallocation=metadata image.qcow2 25G
	cp --sparse=always image.qcow2 theirs.qcow2
	attach image.qcow2
	for ((i = 0; i < 2; i++)); do
		cost qcowctl snapshot create "$dev" one
		least made
		cost qemu-img snapshot -c one theirs.qcow2
		least their_made
		cost qcowctl snapshot delete "$dev" one
		least deleted
		cost qemu-img snapshot -d one theirs.qcow2
		least their_deleted
	done
	detach
	check image.qcow2
	rm image.qcow2 theirs.qcow2
	echo "made in $made ticks, qemu-img: $their_made; deleted in $deleted, qemu-img: $their_deleted"
	[ "$made" -le "$their_made" ] || fail "it takes longer to make one"
	[ "$deleted" -le "$their_deleted" ] || fail "it takes longer to delete one"
}

after_snapshot_cost() {
	:
}
