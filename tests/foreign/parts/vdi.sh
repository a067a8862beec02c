# VDI, beside qemu-img. shellcheck shell=bash


# Blocks of 1 MiB: written, zero, none, and a disk that is no multiple of one.
qemu-img create -q -f vdi some.vdi 9728k
qemu-io -f vdi -c 'write -q -P 1 0 64k' -c 'write -q -P 2 3M 2M' -c 'write -q -P 3 8M 512' some.vdi
expect "vdi: some blocks" same_disk vdi some.vdi
qemu-img convert -O vdi -o static=on some.vdi fixed.vdi
expect "vdi: fixed" same_disk vdi fixed.vdi
expect "vdi: probed" foreign_says probe some.vdi "^format.vdi$"
truncate -s 1M fixed.vdi
expect "vdi: truncated" foreign_refuses vdi fixed.vdi "so it is truncated; restore it from a copy"
cp some.vdi other.vdi
printf '\2' | dd of=other.vdi bs=1 seek=70 conv=notrunc status=none
expect "vdi: another version" foreign_refuses vdi other.vdi "VDI of version 2.1"
expect "vdi: $count damaged ones" survives_damage vdi some.vdi
