# OVA: disks in tar archives, which tar, 7z and Python write. shellcheck shell=bash

# ova_shows IMAGE DISK [MEMBER]: the disk of a member
ova_shows()
{
	"$F" ova "$1" ${3:+"$3"} > out && "$here/foreign.py" "$F" ova "$1" ours.raw "" ${3:+"$3"} &&
		same_content "$2" ours.raw
}

# ova_refuses IMAGE PATTERN [MEMBER]
ova_refuses()
{
	run "$F" ova "$1" ${3:+"$3"}
	[ "$code" = 1 ] || fail "exit code $code: $(cat out err)" || return 1
	has $'^error\t.*'"$2" out
}

# ova_large FORMAT: an archive with a member of 9 GiB, which is a hole, before the disk
ova_large()
{
	/usr/bin/python3 - "$1" <<- 'END'
		import sys, tarfile
		kind = getattr(tarfile, sys.argv[1])
		with open("large.ova", "wb") as out:
		    for name, size in (("a.ovf", 0), ("hole", 9 << 30), ("disk.vmdk", None)):
		        data = open(name, "rb").read() if size is None else b""
		        info = tarfile.TarInfo(name)
		        info.size = len(data) if size is None else size
		        out.write(info.tobuf(kind))
		        out.write(data)
		        out.truncate(out.tell() - len(data) + info.size + -info.size % 512)
		        out.seek(0, 2)
		    out.write(bytes(1024))
	END
}

qemu-img create -q -f vmdk other.vmdk 5M
qemu-io -f vmdk -c 'write -q -P 1 0 64k' -c 'write -q -P 2 3M 1M' -c 'write -q -P 3 4800k 512' other.vmdk
qemu-img convert -f vmdk -O vmdk -o subformat=streamOptimized other.vmdk disk.vmdk
qemu-img convert -f vmdk -O raw disk.vmdk disk.raw
echo '<Envelope/>' > box.ovf
printf 'SHA1(disk.vmdk)= 0\n' > box.mf

for kind in gnu ustar pax oldgnu; do
	tar --format=$kind -cf $kind.ova box.ovf disk.vmdk box.mf
	expect "ova: $kind" ova_shows $kind.ova disk.raw
	expect "ova: $kind: probed" foreign_says probe $kind.ova "^format.ova$"
done
tar --format=v7 -cf v7.ova box.ovf ./disk.vmdk
expect "ova: v7" ova_shows v7.ova disk.raw
7z a -bd -ttar 7z.ova box.ovf disk.vmdk > out
expect "ova: 7z" ova_shows 7z.ova disk.raw
for kind in GNU_FORMAT PAX_FORMAT; do
	ova_large $kind
	expect "ova: 9 GiB before it: $kind" ova_shows large.ova disk.raw
	rm large.ova
done

# Names of more than 100 bytes, in all ways to write them.
long=$(printf 'folder%.0s' {1..18})
mkdir "$long"
cp disk.vmdk "$long/disk.vmdk"
for kind in gnu ustar pax; do
	tar --format=$kind -cf long.ova box.ovf "./$long/disk.vmdk"
	expect "ova: long name: $kind" ova_shows long.ova disk.raw "$long/disk.vmdk"
done

# Several disks, of several formats. The last member of a name counts, as for tar.
qemu-img convert -f vmdk -O raw other.vmdk other.raw
qemu-img convert -f vmdk -O vdi other.vmdk b.vdi
qemu-img convert -f vmdk -O vpc -o subformat=fixed,force_size other.vmdk c.vhd
qemu-img convert -f vmdk -O qcow2 other.vmdk d.qcow2
gzip -nc disk.vmdk > e.vmdk.gz
tar -cf several.ova box.ovf disk.vmdk b.vdi c.vhd d.qcow2 e.vmdk.gz box.mf
expect "ova: several" ova_refuses several.ova \
	"has several disks: disk.vmdk, b.vdi, c.vhd, d.qcow2, e.vmdk.gz; name one, such as several.ova:disk.vmdk$"
expect "ova: several: first" ova_shows several.ova disk.raw disk.vmdk
expect "ova: several: VDI" ova_shows several.ova other.raw ./b.vdi
expect "ova: several: fixed VHD" ova_shows several.ova other.raw c.vhd
expect "ova: several: another one" ova_refuses several.ova "no member x.vmdk; its disks are: disk.vmdk, b" x.vmdk
expect "ova: gzip" ova_refuses several.ova "member e.vmdk.gz is compressed with gzip.*; unpack" e.vmdk.gz
expect "ova: qcow2" ova_refuses several.ova "member d.qcow2 is a qcow2 image.*; unpack" d.qcow2
expect "ova: no image" ova_refuses several.ova "member box.ovf is in no known format; unpack" box.ovf
tar -cf twice.ova box.ovf disk.vmdk
mkdir new
cp other.vmdk new/disk.vmdk
tar -rf twice.ova -C new disk.vmdk
expect "ova: replaced" ova_shows twice.ova other.raw disk.vmdk
many=()
for i in {10..40}; do
	ln disk.vmdk "disk-$i.vmdk"
	many+=("disk-$i.vmdk")
done
tar --hard-dereference -cf many.ova box.ovf "${many[@]}"
expect "ova: many" ova_refuses many.ova "disk-16.vmdk, \.\.\.; name one"

# A split disk: the extents are members, beside the descriptor, and no disks of their own.
mkdir split
for kind in twoGbMaxExtentSparse monolithicFlat; do
	qemu-img convert -f vmdk -O vmdk -o subformat=$kind other.vmdk split/s.vmdk
	tar -cf split.ova box.ovf split
	expect "ova: $kind" ova_shows split.ova other.raw
	rm split/*
done
printf '%s\n' "# Disk DescriptorFile" version=1 "RW 1 FLAT \"$PWD/box.mf\" 0" > outside.vmdk
tar -cf outside.ova box.ovf box.mf outside.vmdk
expect "ova: file outside" ova_refuses outside.ova "box.mf, which is not in the archive"

# Refused.
tar -cf none.ova box.ovf box.mf
expect "ova: no disk" ova_refuses none.ova "no disk image among"
cp gnu.ova cut.ova
truncate -s -20K cut.ova
expect "ova: truncated" ova_refuses cut.ova "truncated; restore"
cp gnu.ova changed.ova
printf x | dd of=changed.ova bs=1 seek=1030 conv=notrunc status=none
expect "ova: checksum" ova_refuses changed.ova "tar header at host offset 1024"
expect "ova: no archive" ova_refuses disk.vmdk "tar header at host offset 0"
truncate -s 100 short.ova
expect "ova: short" ova_refuses short.ova "truncated; restore"
truncate -s 64K hole
printf x | dd of=hole bs=1 seek=40000 conv=notrunc status=none
tar -S -cf sparse.ova --format=gnu box.ovf hole disk.vmdk
expect "ova: sparse member" ova_refuses sparse.ova "sparse member at host offset 1024.*without tar --sparse"
cp --sparse=always c.vhd holes.vhd
tar -S -cf sparse.ova --format=pax box.ovf holes.vhd
expect "ova: sparse disk" ova_refuses sparse.ova "member .*holes.vhd is sparse in the archive.*unpack|no disk image"
tar -cf inner.ova box.ovf gnu.ova
expect "ova: in itself" ova_refuses inner.ova "no disk image"
expect "ova: in itself, by name" ova_refuses inner.ova "no known format" gnu.ova

# shellcheck disable=SC2016 # for the inner shell
expect "ova: $count damaged ones" survives_damage --member disk.vmdk \
	--module "$here/vmdk_damage.py" --judge \
	"sh -c 'tar -xOf \"\$0\" disk.vmdk > \"\$1.vmdk\" && exec qemu-img convert -f vmdk -O raw \"\$1.vmdk\" \"\$1\"' IMAGE OUT" \
	ova gnu.ova

# A VDI names its parent by UUID: the member of that, of which the last one of its name counts.
mkdir vdi
qemu-img create -q -f vdi vdi/base.vdi 5M
qemu-img create -q -f vdi vdi/disk.vmdk 5M
"$here/put.py" vdi/disk.vmdk 76 4 4 392 8 0x1122334455667788 \
	--copy vdi/base.vdi 392 424 16 --copy vdi/base.vdi 408 440 16
tar -C vdi -cf by-id.ova base.vdi disk.vmdk base.vdi
"$F" ova by-id.ova disk.vmdk > out
expect "ova: parent by UUID" is $'backing\tmember base.vdi backing\t*.vdi' \
	"$(grep ^backing out | paste -sd ' ')"
expect "ova: damaged UUIDs" survives_damage --member disk.vmdk --judge none ova by-id.ova
