# QED, beside qemu-img. shellcheck shell=bash

# qed_changed IMAGE HOST_OFFSET BYTES NUMBER...: a copy changed.qed with other numbers
qed_changed()
{
	cp "$1" changed.qed && "$here/put.py" changed.qed "${@:2}"
}

# qed_refuses PATTERN IMAGE NUMBERS...
qed_refuses()
{
	qed_changed "${@:2}" && foreign_refuses qed changed.qed "$1"
}

# qed_finds PATTERN IMAGE NUMBERS...: a check of a changed copy does.
qed_finds()
{
	qed_changed "${@:2}" && foreign_says qed changed.qed "$1"
}

# number IMAGE HOST_OFFSET: prints a number of 64 bits.
number()
{
	od -An -tu8 -j"$2" -N8 "$1" | tr -d ' '
}

# Clusters that are written, zeros, and none, in two L2 tables. QEMU reads no tables of one
# cluster, though it makes them.
qemu-img create -q -f qed -o cluster_size=4k,table_size=2 some.qed 9M
qemu-io -f qed -c 'write -q -P 1 0 6k' -c 'write -q -P 2 1M 64k' -c 'write -q -P 3 3M 512' \
	-c 'write -q -z 1028k 8k' -c 'write -q -P 4 9436672 512' some.qed
expect "qed: some clusters" same_disk qed some.qed
expect "qed: probed" foreign_says probe some.qed "^format.qed$"
expect "qed: check" foreign_finds_nothing qed some.qed
expect "qed: closed" foreign_says qed some.qed "^dirty.0$"
for size in 64k:4 64k:16 2M:2; do
	qemu-img create -q -f qed -o cluster_size=${size%:*},table_size=${size#*:} other.qed 130M
	qemu-io -f qed -c 'write -q -P 1 65M 3M' -c 'write -q -P 9 0 512' other.qed
	expect "qed: clusters $size" same_sparse qed other.qed
	rm other.qed
done

# Over a backing file, whose format is told, or not
tr '\0' '\7' < /dev/zero | head -c 4M > base.raw
qemu-img create -q -f qed -b base.raw -F raw -o cluster_size=4k,table_size=2 child.qed 9M
qemu-io -f qed -c 'write -q -P 1 8k 100k' -c 'write -q -z 1M 32k' child.qed
qemu-img convert -f qed -O raw child.qed judge.raw
disk_of qed child.qed ours.raw base.raw
expect "qed: child" same_content judge.raw ours.raw
expect "qed: child: name" foreign_says qed child.qed "^backing.base.raw$"
expect "qed: child: raw" foreign_says qed child.qed "^parent.1.raw"
expect "qed: child: any format" qed_finds "^parent.1.probe" child.qed 16 8 1
expect "qed: no child" foreign_says qed some.qed "^parent.0"

# Not closed: QEMU reads it as well.
expect "qed: not closed" qed_finds "^dirty.1$" some.qed 16 8 2
expect "qed: not closed: as qemu-img" same_disk qed changed.qed

# Found by a check
l1=$(number some.qed 40)
l2=$(number some.qed "$l1")
first=$(number some.qed "$l2")
expect "qed: check: shared" qed_finds "^fault.*guest offset 4096 shares .* other data" some.qed $((l2 + 8)) 8 "$first"
expect "qed: check: in metadata" qed_finds "^fault.*guest offset 4096 shares .* other metadata" some.qed $((l2 + 8)) 8 "$l2"
expect "qed: check: tables" qed_finds "^fault.an L2 table at host offset $l2 shares" some.qed $((l1 + 8)) 8 "$l2"
expect "qed: check: leak" qed_finds "^leak.1 clusters of the file have no use" some.qed "$l2" 8 0

# Refused
expect "qed: no magic" qed_refuses "no magic of QED" some.qed 0 4 1
expect "qed: features" qed_refuses "unknown features of QED, 0x10; use" some.qed 16 8 0x10
expect "qed: small clusters" qed_refuses "clusters of 2048 bytes" some.qed 4 4 2048
expect "qed: large clusters" qed_refuses "clusters of 134217728 bytes" some.qed 4 4 0x8000000
expect "qed: odd clusters" qed_refuses "clusters of 12288 bytes" some.qed 4 4 12288
expect "qed: tables" qed_refuses "tables of 3 clusters" some.qed 8 4 3
expect "qed: large tables" qed_refuses "tables of 32 clusters" some.qed 8 4 32
expect "qed: no header" qed_refuses "header has no clusters" some.qed 12 4 0
expect "qed: large header" qed_refuses "L1 table is at" some.qed 12 4 -1
expect "qed: no disk" qed_refuses "disk of 0 bytes" some.qed 48 8 0
expect "qed: part of a sector" qed_refuses "disk of 9437185 bytes" some.qed 48 8 9437185
expect "qed: large disk" qed_refuses "disk of 4294967808 bytes" some.qed 48 8 $(((1 << 32) + 512))
expect "qed: L1 outside" qed_refuses "L1 table is at host offset 1099511627776" some.qed 40 8 $((1 << 40))
expect "qed: L1 in the header" qed_refuses "L1 table is at host offset 0" some.qed 40 8 0
expect "qed: L1 not aligned" qed_refuses "L1 table is at host offset 4608" some.qed 40 8 4608
expect "qed: L2 outside" qed_refuses "entry 1 of its L1 table is 0x10000000000" some.qed $((l1 + 8)) 8 $((1 << 40))
expect "qed: L2 not aligned" qed_refuses "entry 1 of its L1 table is 0x3" some.qed $((l1 + 8)) 8 3
expect "qed: cluster outside" qed_refuses "cluster of guest offset 4096 is 0x10000000000" some.qed $((l2 + 8)) 8 $((1 << 40))
expect "qed: cluster not aligned" qed_refuses "cluster of guest offset 4096 is 0x201" some.qed $((l2 + 8)) 8 513
expect "qed: cluster in the header" qed_refuses "no magic|cluster of guest offset 0 is 0x800" some.qed "$l2" 8 2048
expect "qed: long name" qed_refuses "name of a backing file of 4000 bytes" child.qed 60 4 4000
expect "qed: no name" qed_refuses "name of a backing file of 0 bytes" child.qed 60 4 0
expect "qed: name outside" qed_refuses "at host offset 4095" child.qed 56 4 4095
expect "qed: name with NUL" qed_refuses "has a NUL" child.qed "$(od -An -tu4 -j56 -N4 child.qed | tr -d ' ')" 1 0
cp some.qed changed.qed
truncate -s 12000 changed.qed
expect "qed: truncated" foreign_refuses qed changed.qed "L1 table|truncated"
qemu-img create -q -f qed -o cluster_size=4k,table_size=16 many.qed 200G
l1=$(number many.qed 40)
for i in 0 1 2 3 4 5 6; do
	echo $((l1 + 8 * i)) 8 "$l1"
done | xargs "$here/put.py" many.qed
expect "qed: many tables" foreign_refuses qed many.qed "more L2 tables than the file has room for"

expect "qed: $count damaged ones" survives_damage qed some.qed
expect "qed: $count damaged children" survives_damage qed --parent base.raw child.qed
