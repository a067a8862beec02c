# qcowctl convert, but for the copying, which tests/write does. shellcheck shell=bash

fake_root
qemu-img create -q -f qcow2 convert-base.qcow2 3M
qemu-img create -q -f vmdk convert.vmdk 2M
qemu-img create -q -f raw convert.raw 1M

# converted NAME SOURCE FORMAT BYTES [OPTION...]: the new image names its source, and is
# attached to be streamed, which the mock cannot do. So it is one that was interrupted.
converted()
{
	local name=$1 source=$2 format=$3 bytes=$4 time

	shift 4
	for time in '' --resume; do
		expect "convert: $name: $time" refuses "$name.new: Inappropriate ioctl" \
			with_driver qcowctl convert $time "$@" "$source" "$name.new"
		expect "convert: $name: $time: attached" has "fd=rw:$T/$name.new" root/log
		expect "convert: $name: $time: over its source" has "fd=ro:$T/$source" root/log
	done
	expect "convert: $name: an overlay" is "$T/$source $format $bytes" \
		"$(qemu-img info -U --output=json "$name.new" |
			jq -r '"\(."backing-filename") \(."backing-filename-format") \(."virtual-size")"')"
}

converted qcow2 convert-base.qcow2 qcow2 3145728
converted vmdk convert.vmdk vmdk 2097152
converted raw convert.raw raw 1048576 -f raw

expect "convert: an image that is there" refuses "qcow2.new: is there; choose another name, or go on with --resume" \
	with_driver qcowctl convert convert-base.qcow2 qcow2.new
expect "convert: another source" refuses "qcow2.new: is no conversion of this source" \
	with_driver qcowctl convert --resume convert.vmdk qcow2.new
expect "convert: another format of the source" refuses "vmdk.new: names its source as an image of the format vmdk, but that is read as raw; give -f vmdk" \
	with_driver qcowctl convert -c --resume -f raw convert.vmdk vmdk.new
expect "convert: another format of the source: nothing was read" is "" "$(ls root/log 2>/dev/null)"
expect "convert: another image" refuses "is no conversion of this source" \
	with_driver qcowctl convert --resume convert.vmdk convert-base.qcow2
expect "convert: itself" refuses "is there; choose another name" \
	with_driver qcowctl convert convert-base.qcow2 convert-base.qcow2
cp convert-base.qcow2 convert-guess.img
expect "convert: a format that a guest may have chosen" refuses "give its format with -f" \
	with_driver qcowctl convert convert-guess.img convert-none.qcow2
mkdir convert.folder
expect "convert: a folder" refuses "has no name that an image can name" \
	with_driver qcowctl convert -f vvfat convert.folder convert-none.qcow2
expect "convert: a raw source that is not said to be raw" refuses "not a qcow2 image" \
	with_driver qcowctl convert convert.raw convert-none.qcow2
expect "convert: nothing was made" is "" "$(ls convert-none.qcow2 2>/dev/null)"
expect "convert: one name" refuses "takes an image, and the name of a new one" qcowctl convert convert.vmdk
echo '<Envelope/>' >convert.ovf
tar -cf convert.ova convert.ovf convert.vmdk
expect "convert: a member" refuses "is a disk of an archive, which an image cannot name" \
	with_driver qcowctl convert convert.ova:convert.vmdk member.qcow2

expect "convert: -o" refuses "convert takes cluster_size and compression_type, not preallocation" \
	with_driver qcowctl convert -o preallocation=full convert.vmdk other.new
expect "convert: -o help" is "cluster_size compression_type" \
	"$(qcowctl convert -o help | sed -nE 's/^  ([a-z_]*)=.*/\1/p' | paste -sd' ')"

# Compressed, with a file in place of the device. Text, noise, written zeros, a hole, and a last
# cluster that is no whole one.
{
	seq 100000
	head -c 300K /dev/zero | openssl enc -aes-128-ctr -nosalt -pass pass:x 2> /dev/null
	head -c 200K /dev/zero
	seq 70000
} > convert.disk
truncate -s 10000384 convert.disk
qemu-img convert -f raw -O vmdk convert.disk convert-disk.vmdk

# packs NAME SOURCE FORMAT [OPTION...]: NAME is like the image that qemu-img makes, and at most
# 1 % larger, for the refcount table.
packs()
{
	with_driver qcowctl convert -c -f "$3" "${@:4}" "$2" "$1" || return
	qemu-img convert -c -f "$3" -O qcow2 "${@:4}" "$2" "$1.judge" || return
	qemu-img compare -q -f qcow2 -F raw "$1" convert.disk && qemu-img check -q "$1" &&
		is null "$(qemu-img info --output=json "$1" | jq -r '."backing-filename"')" &&
		[ $((100 * $(stat -c %s "$1"))) -le $((101 * $(stat -c %s "$1.judge"))) ] &&
		is "$(qemu-img info --output=json "$1.judge" | jq '."format-specific"."data"')" \
			"$(qemu-img info --output=json "$1" | jq '."format-specific"."data"')"
}

cp convert.disk root/dev/qcow0
expect "convert: -c" packs packed.new convert.disk raw
expect "convert: -c: the source is attached" has "fd=ro:$T/convert.disk data=-1" root/log
expect "convert: -c: and nothing else" is 1 "$(grep -c fd= root/log)"
expect "convert: -c: and detached" has "^detach flags=0 index=0" root/log
expect "convert: -c: zstd" packs zstd.new convert-disk.vmdk vmdk -o compression_type=zstd
expect "convert: -c: small clusters" packs small.new convert.disk raw -o cluster_size=512
expect "convert: -c: large clusters" packs large.new convert.disk raw -o cluster_size=2M

# The source fails. The image keeps the clusters that it has, and reads the same.
truncate -s 900000 root/dev/qcow0
expect "convert: -c: the source fails" refuses "convert.disk: cannot be read at byte 900000: Input/output error" \
	with_driver qcowctl convert -c -f raw -o cluster_size=4k convert.disk failed.new
expect "convert: -c: nothing was done in this batch" qemu-img check -q failed.new
qemu-io -f qcow2 -c 'write -q -P 9 1M 4k' -c 'write -q -z 2M 1M' failed.new
cp convert.disk root/dev/qcow0
dd if=/dev/zero bs=1M count=1 seek=2 of=convert.disk conv=notrunc status=none
expect "convert: -c: --resume" with_driver qcowctl convert -c --resume -f raw convert.disk failed.new
expect "convert: -c: --resume: check" qemu-img check -q failed.new
printf '\11%.0s' {1..4096} | dd bs=4k seek=256 of=convert.disk conv=notrunc status=none
expect "convert: -c: --resume: what was there stays" qemu-img compare -q -f qcow2 -F raw failed.new convert.disk

# A writeback failed. The pages that were lost are in the page cache still, and count as clean.
qemu-img create -q -f qcow2 -b convert.disk -F raw lost.new
cp lost.new lost.kept
qemu-io -f qcow2 -c 'write -q -P 7 0 64k' lost.new
cp convert.disk root/dev/qcow0
expect "convert: -c: --resume: after a failed writeback" env MOCK_ON_DISK=lost.kept MOCK_ROOT="$T/root" \
	LD_PRELOAD="$T/mock.so" "$Q" convert -c --resume -f raw convert.disk lost.new
expect "convert: -c: --resume: only tables on the disk count" qemu-img compare -q -f qcow2 -F raw lost.new convert.disk

# An image on a block device, which keeps its size.
qemu-img create -q -f qcow2 -b convert.disk -F raw convert-image.disk
truncate -s 20M convert-image.disk
expect "convert: -c: --resume: a block device" with_driver qcowctl convert -c --resume -f raw convert.disk convert-image.disk
expect "convert: -c: --resume: a block device: its disk" qemu-img compare -q -f qcow2 -F raw convert-image.disk convert.disk
expect "convert: -c: --resume: a block device: complete" is null \
	"$(qemu-img info --output=json convert-image.disk | jq -r '."backing-filename"')"

# The new image was made larger than its source, which ends inside a cluster.
qemu-img create -q -f qcow2 -b convert.disk -F raw larger.new
qemu-img resize -q larger.new 30M
expect "convert: -c: --resume: a larger image" with_driver qcowctl convert -c --resume -f raw convert.disk larger.new
expect "convert: -c: --resume: a larger image: check" qemu-img check -q larger.new
truncate -s 30M convert.larger
dd if=convert.disk of=convert.larger conv=notrunc bs=1M status=none
expect "convert: -c: --resume: a larger image: its disk" qemu-img compare -q -f qcow2 -F raw larger.new convert.larger
expect "convert: -c: --resume: a larger image: its size" is 31457280 "$(qemu-img info --output=json larger.new | jq '."virtual-size"')"

# A preallocated source whose holes are decrypted.
printf secret > convert.key
luks_image convert-luks.qcow2 convert.key -o preallocation=metadata
head -c 1M /dev/zero | openssl enc -aes-128-ctr -nosalt -pass pass:x 2> /dev/null | head -c 1M > root/dev/qcow0
cp root/dev/qcow0 convert.noise
expect "convert: -c: a preallocated encrypted source" with_driver qcowctl convert -c --key-file convert.key convert-luks.qcow2 luks.new
expect "convert: -c: a preallocated encrypted source: its disk" qemu-img compare -q -f qcow2 -F raw luks.new convert.noise
expect "map: a preallocated encrypted image" is \
	"$(qemu-img map --output=json --image-opts --object secret,id=k,file=convert.key driver=qcow2,encrypt.key-secret=k,file.filename=convert-luks.qcow2 |
		jq -c '.[] | [.start, .length, .data, .zero]')" \
	"$(qcowctl map -J convert-luks.qcow2 | jq -c '.[] | [.start, .length, .data, .zero]')"

# A signal, which comes before the key: the image keeps the cluster that was read.
mkfifo convert.fifo
expect "convert: -c: SIGINT" refuses "interrupt.new: interrupted after 65536 of 1048576 bytes; it reads the same .*: to go on, add --resume" \
	bash -c '
		MOCK_ROOT=root LD_PRELOAD=./mock.so timeout 60 "$1" convert -c --key-file convert.fifo convert-luks.qcow2 interrupt.new &
		exec 8> convert.fifo
		kill -INT $(cat /proc/$!/task/$!/children)
		cat convert.key >&8
		exec 8>&-
		wait $!' bash "$Q"
expect "convert: -c: SIGINT: its clusters" is 65536 \
	"$(qcowctl map -J interrupt.new | jq 'map(select(.depth == 0 and .data) | .length) | add')"
expect "convert: -c: SIGINT: --resume" with_driver qcowctl convert -c --resume --key-file convert.key convert-luks.qcow2 interrupt.new
expect "convert: -c: SIGINT: its disk" qemu-img compare -q -f qcow2 -F raw interrupt.new convert.noise

# Writes that fail: nothing is damaged, and --resume goes on.
${CC:-cc} -shared -fPIC -O1 -o stop.so "$here/stop.c" -ldl
cp convert.disk root/dev/qcow0
packing=("$Q" convert -c -f raw convert.disk)
expect "convert: -c: a limit of the file's size" refuses "cannot be written: File too large; .*: have its file system and ulimit -f allow a larger file, and go on with --resume" \
	bash -c 'ulimit -f 500; MOCK_ROOT=root LD_PRELOAD=./mock.so exec "$@"' bash "${packing[@]}" failing1.new
expect "convert: -c: a disk that fails" refuses "cannot be written: Input/output error; .*: see the kernel log, and go on with --resume" \
	env STOP_AT=20 STOP_ERRNO=5 MOCK_ROOT=root LD_PRELOAD=./mock.so:./stop.so "${packing[@]}" failing2.new
expect "convert: -c: no space" refuses "cannot be written: No space left on device; .*: make room, and go on with --resume" \
	env STOP_AT=20 STOP_ERRNO=28 MOCK_ROOT=root LD_PRELOAD=./mock.so:./stop.so "${packing[@]}" failing3.new
for i in 1 2 3; do
	expect "convert: -c: failed writes $i: it reads the same" qemu-img compare -q -f qcow2 -F raw failing$i.new convert.disk
	expect "convert: -c: failed writes $i: --resume" with_driver "${packing[@]}" --resume failing$i.new
	expect "convert: -c: failed writes $i: check" qemu-img check -q failing$i.new
	expect "convert: -c: failed writes $i: its disk" qemu-img compare -q -f qcow2 -F raw failing$i.new convert.disk
done

# The image has shared clusters of a batch, as the next one cannot be read. Then --resume is
# killed before a write, at the end of it too.
checks()
{
	qemu-img check -q "$1" || [ $? -eq 3 ]
}
seq 1500000 > convert.long
truncate -s 11M convert.long
cp convert.long root/dev/qcow0
truncate -s 9M root/dev/qcow0
packing=("$Q" convert -c -f raw convert.long)
expect "convert: -c: half of it" refuses "cannot be read at byte 9437184" with_driver "${packing[@]}" half.new
named=$(qemu-img check --output=json half.new | jq '."compressed-clusters"')
expect "convert: -c: half of it: clusters" is 128 "$named"
expect "convert: -c: half of it: shared ones" test "$(stat -c %s half.new)" -lt $((named << 16))
cp convert.long root/dev/qcow0
for ((i = 1; i < 100; i += 4)); do
	[ ! -e killed.new ] || mv killed.new latest.new
	cp half.new killed.new
	STOP_AT=$i MOCK_ROOT=root LD_PRELOAD=./mock.so:./stop.so run "${packing[@]}" --resume killed.new
	[ $code -eq 99 ] || break
	expect "convert: -c: killed before write $i: nothing but leaks" checks killed.new
	expect "convert: -c: killed before write $i: it reads the same" qemu-img compare -q -f qcow2 -F raw killed.new convert.long
done
expect "convert: -c: killed before each fourth write" is "0 1" "$code $((i > 30))"
for i in killed latest; do
	[ $i = killed ] || expect "convert: -c: $i: --resume" with_driver "${packing[@]}" --resume $i.new
	expect "convert: -c: $i: check" qemu-img check -q $i.new
	expect "convert: -c: $i: its disk" qemu-img compare -q -f qcow2 -F raw $i.new convert.long
	expect "convert: -c: $i: all of it" is null "$(qemu-img info --output=json $i.new | jq -r '."backing-filename"')"
done
packing=("$Q" convert -c -f raw convert.disk)
cp convert.disk root/dev/qcow0
qemu-img create -q -f qcow2 -b convert.disk -F raw damaged.new
poke damaged.new "$(peek damaged.new 40 8)" 8 513
expect "convert: -c: damage" refuses "damaged.new: is damaged; see qcowctl check" with_driver "${packing[@]}" --resume damaged.new
head -c 3M /dev/zero | openssl enc -aes-128-ctr -nosalt -pass pass:x > convert.noise 2> /dev/null
truncate -s 3M convert.noise
qemu-img create -q -f qcow2 -o cluster_size=512,refcount_bits=64 -b convert.noise -F raw table.new
cp convert.noise root/dev/qcow0
expect "convert: -c: a small refcount table" refuses "its refcount table is too small; convert the source to another name" \
	with_driver qcowctl convert -c --resume -f raw convert.noise table.new

qemu-img create -q -f qcow2 -b convert.disk -F raw snapshot.new
qemu-img snapshot -c one snapshot.new
expect "convert: -c: snapshots" refuses "is no conversion of this source" \
	with_driver qcowctl convert -c --resume -f raw convert.disk snapshot.new
qemu-img create -q -f qcow2 -o extended_l2=on -b convert.disk -F raw extended.new
expect "convert: -c: subclusters" refuses "has snapshots, bitmaps or other things that a conversion does not make" \
	with_driver qcowctl convert -c --resume -f raw convert.disk extended.new
# An extension of the header that is not known, behind the format of the source.
qemu-img create -q -f qcow2 -b convert.disk -F raw extension.new
poke extension.new $((112 + 8 + 8)) 4 $((0x12345678))
expect "convert: -c: an unknown extension" refuses "has snapshots, bitmaps or other things that a conversion does not make" \
	with_driver qcowctl convert -c --resume -f raw convert.disk extension.new
# Marks of the new image.
for i in 1 2; do
	qemu-img create -q -f qcow2 -b convert.disk -F raw marked$i.new
	poke marked$i.new 72 8 $i
	expect "convert: -c: a mark: $i" refuses "repair it with qcowctl check --repair=all" \
		with_driver qcowctl convert -c --resume -f raw convert.disk marked$i.new
done

# Another process finishes the image before this one has its lock.
qemu-img create -q -f qcow2 -b convert-luks.qcow2 -F qcow2 raced.new
{
	exec 8> convert.fifo
	qemu-img rebase -u -b '' raced.new
	cat convert.key >&8
} &
expect "convert: -c: --resume: finished meanwhile" refuses "raced.new: is complete: another conversion has finished it meanwhile" \
	with_driver qcowctl convert -c --resume --key-file convert.fifo convert-luks.qcow2 raced.new
kill $! 2>/dev/null
wait $!

# The device is left over, but the new image is complete.
cp convert.disk root/dev/qcow0
MOCK_DETACH_ERRNO=5 expect "convert: -c: a detach that fails" exits 0 "undetached.new: is complete all the same" \
	with_driver qcowctl convert -c -f raw convert.disk undetached.new
expect "convert: -c: a detach that fails: complete" is null \
	"$(qemu-img info --output=json undetached.new | jq -r '."backing-filename"')"
rm -rf convert* lost.kept ./*.new ./*.judge root
