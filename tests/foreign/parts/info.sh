# The output of qcowctl info --json beside that of qemu-img info. shellcheck shell=bash
#
# QEMU has no keys of their own for VDI, VHDX and VHD: those facts are ours alone.

# facts KEY...: the facts in the JSON that is read, but the file's length and blocks, and the
# keys that are named
facts()
{
	jq -S "del(.\"actual-size\", .\"file-length\"${*/#/, .})"
}

# same_info IMAGE [KEY]: qcowctl and qemu-img tell the same, but the key is not compared.
same_info()
{
	qemu-img info --output=json "$1" | facts "${@:2}" > judge.json &&
		"$QCOW_TOP/userspace/qcowctl" info --json "$1" | facts "${@:2}" > ours.json || return 1
	[ -s judge.json ] && diff judge.json ours.json > difference || fail "$(cat difference)"
}

ours='"format-specific"'
mkdir folder
for kind in monolithicSparse monolithicFlat twoGbMaxExtentSparse twoGbMaxExtentFlat; do
	qemu-img create -q -f vmdk -o subformat=$kind folder/$kind.vmdk 9728k
	expect "info: vmdk: $kind" same_info folder/$kind.vmdk
done
qemu-img create -q -f vmdk -o subformat=twoGbMaxExtentSparse folder/large.vmdk 4200M
expect "info: vmdk: three extents" same_info folder/large.vmdk
qemu-img convert -f vmdk -O vmdk -o subformat=streamOptimized folder/monolithicFlat.vmdk stream.vmdk
expect "info: vmdk: stream" same_info stream.vmdk
qemu-img create -q -f vmdk -b monolithicSparse.vmdk -F vmdk folder/child.vmdk
expect "info: vmdk: child" same_info folder/child.vmdk
cd folder || exit 1
expect "info: vmdk: child: beside it" same_info child.vmdk
cd ..
sample iotest-version3.vmdk
expect "info: iotest-version3.vmdk" same_info iotest-version3.vmdk
for option in static=off static=on; do
	qemu-img create -q -f vdi -o $option some.vdi 9728k
	expect "info: vdi: $option" same_info some.vdi "$ours"
done
for option in subformat=dynamic subformat=fixed block_size=1M log_size=2M; do
	qemu-img create -q -f vhdx -o $option some.vhdx 9728k
	expect "info: vhdx: $option" same_info some.vhdx "$ours"
done
for option in force_size=on force_size=off; do
	qemu-img create -q -f vpc -o $option some.vhd 9728k
	expect "info: vpc: $option" same_info some.vhd "$ours"
done
for sample in iotest-dynamic-1G.vhdx test-disk2vhd.vhdx hyperv2012r2-dynamic.vhd \
	virtualpc-dynamic.vhd d2v-zerofilled.vhd; do
	sample $sample
	expect "info: $sample" same_info $sample "$ours"
done
qemu-img create -q -f qed some.qed 9728k
expect "info: qed" same_info some.qed
qemu-img create -q -f qed -b folder/monolithicSparse.vmdk -F vmdk over.qed
expect "info: qed: backing file" same_info over.qed
truncate -s 4M some.raw
qemu-img create -q -f qed -b some.raw -F raw over.qed
expect "info: qed: raw backing file" same_info over.qed
