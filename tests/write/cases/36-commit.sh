# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Images whose data goes to their backing files. The result has to be the same as that
# of "qemu-img commit" on a copy.

commit_names="fine old sub longer shorter raw packed snap deep data tdata v1"

# pair NAME SIZE BASE-SIZE: NAME.top over NAME.base
pair() {
	local name=$1

	# shellcheck disable=SC2086
	qemu-img create -q -f "$base_format" $base_options "$name.base" "$3"
	# shellcheck disable=SC2086
	qemu-img create -q -f qcow2 $top_options -b "$name.base" -F "$base_format" "$name.top" "$2"
}

base_write() {
	qemu-io -f "$base_format" -c 'write -P 1 0 1M' -c 'write -P 2 1500k 300k' \
		-c 'write -P 3 2M 64k' "$1" > qemu-io.log
}

# few NAME CLUSTERS: an image has no more
few() {
	local nr

	nr=$(qemu-img check -f qcow2 --output=json "$1" | jq '."allocated-clusters" // 0')
	[ "$nr" -le "$2" ] || fail "$1 is not empty: $nr clusters"
}

# half_way: 48 MiB were to go from over.qcow2 to base.qcow2.
half_way() {
	check base.qcow2 over.qcow2
	few base.qcow2 49151
	! (few over.qcow2 49151) || fail "it was over before the signal"
	holds qcow2 over.qcow2 'read -P 2 0 48M'
}

top_write() {
	local packed=-c

	# Nothing is compressed in a data file.
	[ "$1" != tdata.top ] || packed=
	fill "$1" 'write -P 5 70k 10k' 'write -z 512k 200k' 'write -P 6 1600k 30k' \
		"write $packed -P 9 1920k 128k" 'discard 128k 128k' 'write -P 7 2900k 100k'
}

commit_pairs() {
	local name top_options base_options base_format=qcow2

	for name in $commit_names; do
		top_options= base_options= base_format=qcow2
		case $name in
		longer | shorter | packed | snap) ;;
		fine)	top_options='-o cluster_size=4k' base_options='-o cluster_size=512' ;;
		old)	top_options='-o compat=0.10' base_options='-o compat=0.10' ;;
		sub)	top_options='-o extended_l2=on,cluster_size=128k'
			base_options='-o extended_l2=on,cluster_size=64k' ;;
		raw)	base_format=raw ;;
		data)	base_options='-o data_file=data.file' ;;
		tdata)	top_options='-o data_file=tdata.file' ;;
		v1)	base_format=qcow ;;
		deep)	qemu-img create -q -f qcow2 deep.qcow2 4M
			fill deep.qcow2 'write -P 4 0 4M'
			base_options='-b deep.qcow2 -F qcow2' ;;
		esac
		case $name in
		longer)	pair $name 3M 5M ;;
		shorter) pair $name 6M 3M ;;
		*)	pair $name 3M 3M ;;
		esac
		base_write $name.base
		top_write $name.top
		[ $name != packed ] || {
			qemu-img convert -c -f qcow2 -O qcow2 $name.base other
			mv other $name.base
		}
		[ $name != snap ] || {
			qemu-img snapshot -c first $name.base
			qemu-img convert -l first -O raw $name.base first.raw.copy
		}
		qemu-img convert -f qcow2 -O raw $name.top $name.raw.copy
	done
	mkdir qemu
	cp ./*.top ./*.base deep.qcow2 data.file tdata.file qemu
	(
		cd qemu
		for name in $commit_names; do
			qemu-img commit -q -f qcow2 $name.top
		done
	)
}

make_commit() {
	commit_pairs
}

case_commit() {
	local name

	for name in $commit_names; do
		[ $name != old ] || {
			qcowctl commit old.top
			continue
		}
		attach $name.top
		qcowctl commit --progress=json "$dev" 2> log || fail "$name: $(cat log)"
		grep -q '"done":\([0-9]*\),"total":\1}' <(tail -n 1 log) || fail "$(cat log)"
		same_content $name.raw.copy "$dev"
		operate "$dev" 'write 4k 8k 7' 'read 4k 8k 7'
		detach
	done
}

commit_format() {
	case $1 in
	raw)	echo raw ;;
	v1)	echo qcow ;;
	*)	echo qcow2 ;;
	esac
}

disk_size() {
	qemu-img info -f "$1" --output=json "$2" | jq '."virtual-size"'
}

after_commit() {
	local name format

	for name in $commit_names; do
		format=$(commit_format $name)
		check $name.top
		[ $format != qcow2 ] || check $name.base
		qemu-img compare -f $format -F $format $name.base qemu/$name.base ||
			fail "$name: not what qemu-img commit makes of it"
		is "$(disk_size $format qemu/$name.base)" "$(disk_size $format $name.base)"
		[ $name = old ] || printf '\7%.0s' {1..8192} |
			dd of=$name.raw.copy bs=4k seek=1 conv=notrunc status=none
		qemu-img compare -f qcow2 -F raw $name.top $name.raw.copy ||
			fail "$name: content"
		few $name.top 3
	done
	qemu-img convert -l first -O raw snap.base first.raw
	cmp first.raw first.raw.copy
}

# While it is written, interrupted and gone on with
make_commit_busy() {
	create base 80M
	fill base.qcow2 'write -P 1 0 40M'
	create over 80M -b base.qcow2 -F qcow2 -o cluster_size=4k
	fill over.qcow2 'write -P 2 16M 64M'
}

case_commit_busy() {
	local writer

	attach over.qcow2
	qcowwrite race "$dev" 7 2 $((2 << 20)) > race.log 2>&1 &
	writer=$!
	is 1 "$(interrupted INT qcowctl commit "$dev")"
	has 'interrupted after' log
	refuses "is being committed" qcowctl stream "$dev"
	refuses "is being committed" qcowctl resize "$dev" 100M
	! qemu-io -r -f qcow2 -c 'read 0 1' base.qcow2 || fail "it can be opened by others"
	qcowctl commit "$dev"
	qemu-io -r -f qcow2 -c 'read 0 1' base.qcow2
	wait $writer || fail "$(cat race.log)"
	operate "$dev" 'read 16m 64m 2'
	qcowctl commit "$dev"
	operate "$dev" 'read 16m 64m 2'
	detach
	holds qcow2 base.qcow2 'read -P 2 16M 64M'
}

after_commit_busy() {
	check base.qcow2 over.qcow2
	qemu-img compare base.qcow2 over.qcow2
	few over.qcow2 0
}

# Detached in the middle, committed anew
make_commit_left() {
	create base 48M -o cluster_size=1k
	create over 48M -b base.qcow2 -F qcow2 -o cluster_size=1k
	fill over.qcow2 'write -P 2 0 48M'
}

case_commit_left() {
	attach over.qcow2
	is 137 "$(interrupted KILL qcowctl commit "$dev")"
	detach
	half_way
	qcowctl commit over.qcow2
}

after_commit_left() {
	check base.qcow2 over.qcow2
	holds qcow2 base.qcow2 'read -P 2 0 48M'
	few over.qcow2 0
}

# Killed while the image is attached for this only, committed anew
make_commit_killed() {
	make_commit_left
}

case_commit_killed() {
	is 137 "$(interrupted KILL qcowctl commit over.qcow2)"
	! grep -qsxF "$PWD/over.qcow2" /sys/block/qcow*/qcow/image || fail "it is attached still"
	half_way
	qcowctl commit over.qcow2
}

after_commit_killed() {
	after_commit_left
}

# Under fio
make_commit_fio() {
	create base 48M
	create over 48M -b base.qcow2 -F qcow2
}

case_commit_fio() {
	local pid n=0

	attach over.qcow2
	fio --output=$HERE/fio.out --filename="$dev" --direct=1 --ioengine=libaio \
		--size=48M --time_based --runtime=$((QCOW_RUNTIME - 1)) --iodepth=8 --fsync=64 --name=a \
		--rw=randwrite --bsrange=512-64k --blockalign=512 --verify=crc32c \
		--verify_fatal=1 --verify_backlog=256 &
	pid=$!
	while runs $pid; do
		n=$((n + 1))
		qcowctl commit "$dev" || fail "commit $n"
	done
	wait $pid || { grep -m 3 -E 'err=|verify' $HERE/fio.out; fail fio; }
	[ $n -gt 1 ] || fail "only $n"
	qcowctl commit "$dev"
	detach
	echo "$n times"
}

after_commit_fio() {
	check base.qcow2 over.qcow2
	qemu-img compare base.qcow2 over.qcow2
}

make_commit_refused() {
	create base 1M
	create over 1M -b base.qcow2 -F qcow2
	create other 1M -b base.qcow2 -F qcow2
	fill over.qcow2 'write -P 5 0 64k'
	create snap 1M -b base.qcow2 -F qcow2
	qemu-img snapshot -c first snap.qcow2
	cp base.qcow2 dirty.base
	craft dirty.base 'set_header(72, 8, 1)'
	create dirty 1M -b dirty.base -F qcow2
	create small 1M
	qemu-img bitmap --add small.qcow2 b
	create large 2M -b small.qcow2 -F qcow2
	remember base.qcow2 over.qcow2 other.qcow2 snap.qcow2
}

case_commit_refused() {
	local other pid

	attach -r over.qcow2
	refuses "read-only" qcowctl commit "$dev"
	detach
	refuses "has no backing file" qcowctl commit base.qcow2
	refuses "has snapshots" qcowctl commit snap.qcow2
	refuses "dirty" qcowctl commit dirty.qcow2
	refuses "small.qcow2: .*has bitmaps" qcowctl commit large.qcow2
	refuses "takes one" qcowctl commit
	refuses "json" qcowctl commit --progress=xml over.qcow2
	# Others use the backing file
	attach other.qcow2
	other=$dev
	attach over.qcow2
	refuses "base.qcow2: is in use by $other;" qcowctl commit "$dev"
	! grep -q "in use by $dev;" err || fail "it names the device itself"
	refuses "base.qcow2: is in use by $dev;" qcowctl commit "$other"
	qcowctl detach "$other"
	qemu-io -r -f qcow2 -c 'sleep 30000' base.qcow2 > /dev/null &
	pid=$!
	until grep -q "$(stat -c %i base.qcow2)" /proc/locks; do
		sleep 0.05
	done
	sleep 0.3
	refuses "base.qcow2: in use: .*qemu-io pid $pid" qcowctl commit "$dev"
	kill $pid
	wait $pid || true
	detach
}

after_commit_refused() {
	unchanged
}

make_commit_read_only() {
	create base 1M
	create over 1M -b base.qcow2 -F qcow2
	fill over.qcow2 'write -P 5 0 64k'
}

case_commit_read_only() {
	attach over.qcow2
	chattr +i base.qcow2
	refuses "cannot be opened for writing" qcowctl commit "$dev"
	chattr -i base.qcow2
	qcowctl commit "$dev"
	detach
	holds qcow2 base.qcow2 'read -P 5 0 64k'
}
