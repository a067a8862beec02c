# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# qcow version 1

fake_root

v1()
{
	rm -f v1.qcow
	qemu-img create -q -f qcow "$@" v1.qcow 5M
}

# offset, bytes, value, message
while IFS='|' read -r offset bytes value said; do
	[ -n "$offset" ] || continue
	v1
	poke v1.qcow "$offset" "$bytes" "$value"
	for command in "attach" "info" "info --chain" "attach -f qcow" "map"; do
		# shellcheck disable=SC2086
		expect "v1: $offset = $value: $command" refuses "v1.qcow: .*$said" \
			qcowctl $command v1.qcow
	done
done <<'END'
24|8|0|disk of 0 bytes is too small
24|8|1|disk of 1 bytes is too small
24|8|0x8000000000000000|too large
24|8|0xffffffffffffffff|too large
24|8|0x80000000001|too large
32|1|8|cluster size 2\^8 is out of range
32|1|17|cluster size 2\^17 is out of range
32|1|255|out of range
33|1|5|L2 tables of 2\^5 entries
33|1|14|L2 tables of 2\^14 entries
36|4|2|encryption method 2 is not supported
40|8|100000|L1 table .*past its end
40|8|0x7ffffffffffffff0|L1 table .*out of range
40|8|0xfffffffffffffff8|L1 table .*out of range
END
v1
poke v1.qcow 8 8 300
poke v1.qcow 16 4 1024
expect "v1: a long name" refuses "backing file name of 1024 bytes is too long" qcowctl info v1.qcow
poke v1.qcow 8 8 40
poke v1.qcow 16 4 9
expect "v1: a name in the header" refuses "inside the header" qcowctl info v1.qcow
poke v1.qcow 8 8 300
expect "v1: a name of zeros" refuses "holds a NUL byte" qcowctl info v1.qcow
for n in 0 20 24 40 47; do
	v1
	truncate -s $n v1.qcow
	expect "v1: $n bytes" refuses "v1.qcow: .*(truncated|not a qcow)" qcowctl attach -f qcow v1.qcow
done

# As QEMU describes them.
image base.qcow2
v1
qemu-io -f qcow -c 'write -q 0 128k' -c 'write -q -c 1M 4k' v1.qcow
normal='import json, sys
got = json.load(sys.stdin)
for key in ("actual-size", "file-length", "children"):
    got.pop(key, None) if isinstance(got, dict) else None
print(sorted(got.items()) if isinstance(got, dict) else
      [{k: v for k, v in e.items() if k != "compressed"} for e in got])'
"$Q" info --json v1.qcow >ours.json
qemu-img info --output=json v1.qcow >theirs.json
expect "v1: info" is "$(python3 -c "$normal" <theirs.json)" "$(python3 -c "$normal" <ours.json)"
for above in "" "-b base.qcow2 -F qcow2"; do
	# shellcheck disable=SC2086
	v1 $above
	qemu-io -f qcow -c 'write -q 0 128k' -c "write -q -c 1M $([ -z "$above" ] && echo 4k || echo 512)" \
		-c 'write -q 3M 512' v1.qcow
	qemu-img map --output=json v1.qcow | python3 -c "$normal" >theirs.json
	"$Q" map --json v1.qcow | python3 -c "$normal" >ours.json
	expect "v1: map $above" is "$(cat theirs.json)" "$(cat ours.json)"
done
run qcowctl info v1.qcow
expect "v1: info: cluster size" has '^cluster_size: 512$' out
expect "v1: info: backing file" has '^backing file: base.qcow2' out

# The formats of an attached image and of its backing file.
expect "v1: over qcow2" attaches v1.qcow
expect "v1: over qcow2: images" is "format=2 format=3" \
	"$(attached | grep -o 'format=[0-9]*' | tr '\n' ' ' | sed 's/ $//')"
qemu-img create -q -f qcow2 -b v1.qcow -F qcow over.qcow2
expect "v1: below qcow2" attaches over.qcow2
expect "v1: below qcow2: images" is "format=3 format=2 format=3" \
	"$(attached | grep -o 'format=[0-9]*' | tr '\n' ' ' | sed 's/ $//')"
image deep.qcow2
qemu-img create -q -f qcow2 -b deep.qcow2 -F qcow2 base.qcow2
expect "v1: a format that it does not say" refuses "base.qcow2: its backing file .*not opened, .*being qcow version 1" \
	qcowctl attach v1.qcow

# Cut short: without refcounts all tables tell.
v1
qemu-io -f qcow -c 'write -q 0 128k' -c 'write -q 4M 4k' v1.qcow
length=$(stat -c %s v1.qcow)
cp v1.qcow full.qcow
for lost in 4096 8192 70000; do
	head -c $((length - lost)) full.qcow >v1.qcow
	expect "v1: short by $lost" refuses "v1.qcow: file is truncated: .*restore it from a copy" \
		qcowctl attach v1.qcow
done
head -c $((length - 100)) full.qcow >v1.qcow
expect "v1: short by less than a cluster" attaches v1.qcow

# Its tables never lie in the header, to be read or written.
cp full.qcow v1.qcow
poke v1.qcow 40 8 40
for options in "" -r; do
	# shellcheck disable=SC2086
	expect "v1: tables in the header $options" refuses "L1 table lies inside the header" \
		qcowctl attach $options v1.qcow
done
