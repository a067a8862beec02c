# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# QEMU's locks: its programs and the driver keep out of each other's way.

copy_plain() {
	mkdir fs
	mount -t tmpfs tmpfs fs
	cp --sparse=always "$IMAGES/extra/plain.qcow2" fs/plain.qcow2
	cp --sparse=always "$IMAGES/extra/over.qcow2" fs/over.qcow2
}

# writer COMMAND...: starts it and waits until it has taken its locks.
writer() {
	mkfifo fifo
	"$@" < fifo > writer.log 2>&1 &
	writer_pid=$!
	exec 9> fifo
	for _ in $(seq 100); do
		[ "$(wc -l < /proc/locks)" -gt "$locks_before" ] && return
		kill -0 $writer_pid || fail "the writer ended: $(cat writer.log)"
		sleep 0.1
	done
	fail "the writer takes no locks"
}

end_writer() {
	exec 9>&-
	kill $writer_pid 2> /dev/null || true
	wait $writer_pid || true
}

# refused_by NAME COMMAND...: attach is refused while COMMAND writes.
refused_by() {
	local name=$1

	shift
	locks_before=$(wc -l < /proc/locks)
	writer "$@"
	refuses "plain.qcow2: .*in use.*$name" qcowctl attach -r fs/plain.qcow2
	grep -q "$writer_pid" err || fail "the process is not named"
	# The backing file is in use as well.
	refuses "plain.qcow2: .*in use.*$name" qcowctl attach -r fs/over.qcow2
	end_writer
	attach fs/plain.qcow2
	same_content "$IMAGES/extra/plain.raw" "$dev"
	detach
}

case_lock_qemu_io() {
	copy_plain
	refused_by qemu-io qemu-io -f qcow2 fs/plain.qcow2
}

case_lock_qemu_nbd() {
	copy_plain
	refused_by qemu-nbd qemu-nbd -f qcow2 -t -k "$PWD/socket" fs/plain.qcow2
}

case_lock_qemu_system() {
	copy_plain
	refused_by qemu-system qemu-system-x86_64 -M q35,accel=tcg -S -display none \
		-nodefaults -monitor none -serial none \
		-drive if=virtio,format=qcow2,file=fs/plain.qcow2
}

case_lock_ours() {
	copy_plain
	attach fs/over.qcow2
	for image in plain over; do
		! qemu-io -f qcow2 -c 'write 0 512' fs/$image.qcow2 > out 2>&1 ||
			fail "$image can be written"
		has 'lock' out
		qemu-io -r -f qcow2 -c 'read 0 512' fs/$image.qcow2
		qemu-img info -U fs/$image.qcow2 > /dev/null
		qemu-img info fs/$image.qcow2 > /dev/null
	done
	detach
	for image in plain over; do
		qemu-io -f qcow2 -c 'write -P 7 0 512' fs/$image.qcow2
	done
	attach fs/over.qcow2
	is 7 "$(od -An -tu1 -N1 "$dev" | tr -d ' ')"
	detach
}

# Many readers do not hinder each other.
case_lock_shared() {
	copy_plain
	attach fs/plain.qcow2
	attach fs/plain.qcow2
	attach fs/over.qcow2
	is 3 "$(qcowctl list -n | wc -l)"
	qcowctl detach --all
}
