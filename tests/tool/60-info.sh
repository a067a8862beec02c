# SPDX-License-Identifier: GPL-2.0
# info beside qemu-img info. shellcheck shell=bash

# Every key that both know has to have the same value.
compare()
{
	qemu-img info "${@:2}" --output=json >theirs 2>/dev/null
	run qcowctl info --json "${@:2}"
	expect "info: $1" is "" "$(python3 - <<'END' 2>&1
import json

theirs = json.load(open("theirs"))
ours = json.load(open("out"))
known = {"virtual-size", "filename", "cluster-size", "format", "actual-size",
         "dirty-flag", "backing-filename", "backing-filename-format",
         "full-backing-filename", "encrypted", "type", "compat",
         "compression-type", "lazy-refcounts", "refcount-bits", "corrupt",
         "extended-l2", "data-file", "data-file-raw"}

def look(a, b, where):
    for key, value in a.items():
        if key in ("format-specific", "data"):
            look(value, b.get(key, {}), where + key + ".")
        elif key in known and b.get(key) != value:
            print(where + key, "is", repr(b.get(key)), "not", repr(value))

for a, b in zip(theirs, ours) if isinstance(theirs, list) else [(theirs, ours)]:
    if a["format"] != "raw":
        look(a, b, "")
if isinstance(theirs, list) and len(theirs) != len(ours):
    print("lengths differ")
END
)"
}

image base.qcow2
for options in compat=0.10 compat=1.1 lazy_refcounts=on cluster_size=512 \
	cluster_size=2M refcount_bits=1 refcount_bits=64 extended_l2=on \
	compression_type=zstd data_file=info.raw data_file=info.raw,data_file_raw=on \
	preallocation=metadata; do
	image info.qcow2 -o $options
	compare "$options" info.qcow2
done
image info.qcow2
poke info.qcow2 72 8 1
compare "dirty" info.qcow2
poke info.qcow2 72 8 2
compare "corrupt" info.qcow2
image info.qcow2
poke info.qcow2 32 4 1
compare "AES" info.qcow2
image info.qcow2 -b base.qcow2 -F qcow2
compare "backing file" info.qcow2
run qcowctl info --chain --json info.qcow2
cp out ours.json
qemu-img info --backing-chain --output=json info.qcow2 >theirs
expect "info: --chain" is "$(python3 -c 'import json; print([i["filename"] for i in json.load(open("theirs"))])')" \
	"$(python3 -c 'import json; print([i["filename"] for i in json.load(open("ours.json"))])')"
mkdir -p infodir
image infodir/top.qcow2
qemu-img rebase -u -b ../base.qcow2 -F qcow2 infodir/top.qcow2
compare "backing file elsewhere" infodir/top.qcow2
qemu-img bitmap --add info.qcow2 b0
qemu-img bitmap --add info.qcow2 b1
run qcowctl info info.qcow2
expect "info: bitmaps" has "bitmaps: 2" out
qemu-img snapshot -c one info.qcow2
run qcowctl info info.qcow2
expect "info: snapshots" has "snapshots: 1" out
truncate -s 1M info.raw
run qcowctl info info.raw
expect "info: raw" has "file format: raw" out
expect "info: raw: size" has "virtual size: 1 MiB \(1048576 bytes\)" out
truncate -s 1000000 info.raw
run qcowctl info info.raw
expect "info: raw: whole sectors" has "virtual size: .*\(1000448 bytes\)" out
run qcowctl info -f raw base.qcow2
expect "info: -f raw" has "file format: raw" out
expect "info: -f vmx" refuses "give qcow2, qcow, raw" qcowctl info -f vmx base.qcow2
expect "info: nothing named" refuses "takes one image or device" qcowctl info
expect "info: two images" refuses "takes one image or device" qcowctl info base.qcow2 info.qcow2
