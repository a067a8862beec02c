# SPDX-License-Identifier: GPL-2.0
# Exports to other hosts: arguments, and each step in a mock of the kernel's NVMe target.
# shellcheck shell=bash disable=SC2154

fake_root
image top.qcow2
nvmet=root/sys/kernel/config/nvmet
host=nqn.2014-08.org.nvmexpress:uuid:11111111-2222-4333-8444-555555555555
mkdir -p root/etc $nvmet/subsystems $nvmet/hosts $nvmet/ports bin
echo 0123456789abcdef0123456789abcdef >root/etc/machine-id
# No module of the machine's own is to be loaded.
printf '#!/bin/sh\necho "$@" >>%s/modprobes\necho "modprobe: FATAL: no nvmet" >&2\nexit 1\n' "$T" >bin/modprobe
chmod +x bin/modprobe

# q ARGUMENTS...: qcowctl in front of the mocks
q()
{
	PATH=$T/bin:$PATH with_driver limited "$Q" "$@"
}

# tree: all that the target has, attributes with their values
tree()
{
	(cd $nvmet && find . -mindepth 2 \( -type f -printf '%P=' -exec cat {} \; -printf '\n' \
		-o -type l -printf '%P -> %l\n' -o -printf '%P/\n' \) | sort)
}

# --- Arguments ---

e()
{
	expect "export: $1" refuses "$2" q export "${@:3}"
	expect "export: $1: nothing done" is "" "$(tree)"
}

e "no device" "takes one device or image, or --list" --tcp 127.0.0.1 --allow-host $host
e "two devices" "takes one device or image, or --list" --tcp 127.0.0.1 --allow-host $host qcow0 qcow0
e "no address" "takes --tcp ADDR" --allow-host $host qcow0
e "no host" "takes --allow-host NQN for each host" --tcp 127.0.0.1 qcow0
e "no such device" "/dev/qcow7: no such device" --tcp 127.0.0.1 --allow-host $host qcow7
e "a partition" "is a partition; name its disk /dev/qcow0" --tcp 127.0.0.1 --allow-host $host /dev/qcow0p1
e "an image that is not attached" "missing.qcow2: no such image or device" --tcp 127.0.0.1 --allow-host $host missing.qcow2
e "list with more" "--list takes one device" --list --tcp 127.0.0.1
for address in "" 1.2.3 1.2.3.4.5 1.2.3.256 host host:4420 1.2.3.4: 1.2.3.4:0 1.2.3.4:65536 \
	1.2.3.4:x 1.2.3.4:-1 '[1.2.3.4]' '[::1' '[::1]4420' '[::1]:' : :4420 '::1]:4420' '::g' \
	'fe80::1%' 'fe80::1%a/b' '1.2.3.4%eth0' ' 1.2.3.4' '1.2.3.4 ' $'1.2.3.4\n'; do
	e "address '$address'" 'tcp: bad address .*; give an IP address of this host' \
		--tcp "$address" --allow-host $host qcow0
done
long=nqn.2014-08.a$(printf '%0211d' 0)
for name in "" x nqn nqn.2014 nqn.2014-08 nqn.2014-08. nqn.201x-08.a NQN.2014-08.a nqn.2014-08.a/b \
	'nqn.2014-08.a b' nqn.2014-08.a\"b 'nqn.2014-08.a$b' nqn.2014-08.../.. $'nqn.2014-08.a\e' nqn.2014-08.ä \
	nqn.2014-08.org.nvmexpress.discovery "$long"; do
	e "host '$name'" 'allow-host: bad name .* /etc/nvme/hostnqn' --tcp 127.0.0.1 --allow-host "$name" qcow0
	e "name '$name'" 'nqn: bad name .*; give the NQN of the export' \
		--tcp 127.0.0.1 --allow-host $host --nqn "$name" qcow0
done

# --- Spellings of addresses ---

# at ADDRESS FAMILY HOST PORT
at()
{
	run q export --tcp "$1" --allow-host $host qcow0
	expect "export: at $1" is "0 tcp $2 $3 $4" "$code $(cd $nvmet/ports/7000 && cat addr_trtype <(echo) addr_adrfam <(echo) addr_traddr <(echo) addr_trsvcid | paste -sd ' ')"
	expect "export: at $1: the command for others" has "^nvme connect -t tcp -a ${3/%\%*/%INTERFACE} -s $4 -n nqn\." out
	expect "export: at $1: an interface is the other host's" is "${3//[^%]}" "$(grep -q 'INTERFACE in that line is the interface of the other host' err && echo %)"
	expect "unexport: $1" accepts q unexport qcow0
	expect "unexport: $1: nothing is left" is "" "$(tree)"
}

at 127.0.0.1 ipv4 127.0.0.1 4420
at 192.0.2.1:65535 ipv4 192.0.2.1 65535
at 192.0.2.1:00443 ipv4 192.0.2.1 443
at ::1 ipv6 ::1 4420
at '[2001:DB8:0:0::0001]' ipv6 2001:db8::1 4420
at '[fe80::1%eth0]:8009' ipv6 fe80::1%eth0 8009
run q export --tcp 0.0.0.0 --allow-host $host qcow0
expect "export: at all addresses" is "0 0.0.0.0" "$code $(cat $nvmet/ports/7000/addr_traddr)"
expect "export: at all addresses: others need one" is 1 "$(grep -c '^nvme connect -t tcp -a [0-9.]* -s 4420' out)"
q unexport -a

# --- What is made ---

run q export --tcp 127.0.0.1 --allow-host $host --allow-host nqn.2014-08.org:b --allow-host $host top.qcow2
nqn=$(sed 's/.* //' out)
expect "export: the name is a UUID" is 0 "$code$([[ $nqn =~ ^nqn.2014-08.org.nvmexpress:uuid:[0-9a-f-]{36}$ ]] || echo " $nqn")"
uuid=$(cat "$nvmet/subsystems/$nqn/namespaces/1/device_uuid")
serial=${uuid//-/}
serial=${serial::20}
expect "export: what is made" is "$(sort <<END
hosts/$host/
hosts/$host/dhchap_ctrl_key=
hosts/$host/dhchap_key=
hosts/nqn.2014-08.org:b/
hosts/nqn.2014-08.org:b/dhchap_ctrl_key=
hosts/nqn.2014-08.org:b/dhchap_key=
ports/7000/
ports/7000/addr_adrfam=ipv4
ports/7000/addr_traddr=127.0.0.1
ports/7000/addr_trsvcid=4420
ports/7000/addr_trtype=tcp
ports/7000/subsystems/
ports/7000/subsystems/$nqn -> /sys/kernel/config/nvmet/subsystems/$nqn
subsystems/$nqn/
subsystems/$nqn/allowed_hosts/
subsystems/$nqn/allowed_hosts/$host -> /sys/kernel/config/nvmet/hosts/$host
subsystems/$nqn/allowed_hosts/nqn.2014-08.org:b -> /sys/kernel/config/nvmet/hosts/nqn.2014-08.org:b
subsystems/$nqn/attr_allow_any_host=
subsystems/$nqn/attr_model=qcow
subsystems/$nqn/attr_serial=$serial
subsystems/$nqn/namespaces/
subsystems/$nqn/namespaces/1/
subsystems/$nqn/namespaces/1/device_path=/dev/qcow0
subsystems/$nqn/namespaces/1/device_uuid=$uuid
subsystems/$nqn/namespaces/1/enable=1
subsystems/$nqn/namespaces/1/revalidate_size=
END
)" "$(tree)"
expect "export: twice" refuses "is exported already, as $nqn; run qcowctl unexport /dev/qcow0 first" \
	q export --force --tcp 127.0.0.1 --allow-host $host qcow0
run q export --list
expect "export: list" is "NAME       ADDRESS        NQN$(printf "%$((${#nqn} - 3))s") HOSTS
/dev/qcow0 127.0.0.1:4420 $nqn $host
           $(printf "%$((${#nqn} + 15))s") nqn.2014-08.org:b" "$(sed 's/ *$//' out)"
expect "list: EXPORT by default" is 'EXPORT' "$(q list | sed -n '1s/.* //p')"
expect "list: EXPORT" is "$nqn" "$(q list -nO export)"
expect "info: exports" is "$nqn" "$(q info --json qcow0 | jq -r '.device.exports[]')"
expect "resize: hosts hear of it" is "0 1" \
	"$(q resize qcow0 +1M >/dev/null; echo $? "$(cat "$nvmet/subsystems/$nqn/namespaces/1/revalidate_size")")"
export MOCK_BUSY=1000 MOCK_OPENERS=1
expect "detach: exported" exits 1 "^  /dev/qcow0 exported as $nqn; run qcowctl unexport$" q detach qcow0
unset MOCK_BUSY MOCK_OPENERS
expect "unexport: by its name" accepts q unexport "$nqn"
expect "unexport: by its name: nothing is left" is "" "$(tree)"
expect "list: no EXPORT by default" is 'MOUNTPOINTS' "$(q list | sed -n '1s/.* //p')"
expect "unexport: again" refuses "qcow0: is not exported; see qcowctl export --list" q unexport qcow0
expect "unexport: if it is" accepts q unexport --if-exported qcow0 qcow7 /dev/qcow/nothing

# The same name each time; another one for another part of the image, and on another host
again()
{
	q export --tcp 127.0.0.1 --allow-host $host --json qcow0 | jq -r .nqn
	q unexport qcow0
}
expect "export: name: again" is "$nqn" "$(again)"
echo 512 >root/sys/block/qcow0/qcow/offset
expect "export: name: another offset" test "$(again)" != "$nqn"
echo 0 >root/sys/block/qcow0/qcow/offset
echo monday >root/sys/block/qcow0/qcow/snapshot
expect "export: name: a snapshot" test "$(again)" != "$nqn"
rm root/sys/block/qcow0/qcow/snapshot
echo fedcba9876543210fedcba9876543210 >root/etc/machine-id
expect "export: name: another host" test "$(again)" != "$nqn"
# no_name WHAT PATTERN: a name has to be given.
no_name()
{
	expect "export: name: $1" refuses "^qcowctl: /dev/qcow0: $2.*; name the export with --nqn" \
		q export --tcp 127.0.0.1 --allow-host $host qcow0
	expect "export: name: $1: nothing done" is "" "$(tree)"
	expect "export: name: $1: one is given" accepts q export --tcp 127.0.0.1 --allow-host $host --nqn nqn.2026-01.org.example:a qcow0
	q unexport qcow0
}

for id in "" uninitialized; do
	echo "$id" >root/etc/machine-id
	no_name "machine ID '$id'" "this host has no ID in /etc/machine-id"
done
rm root/etc/machine-id
no_name "no machine ID" "this host has no ID in /etc/machine-id"
echo 0123456789abcdef0123456789abcdef >root/etc/machine-id

# An image on a block device: the name is of the disk, and not of its place among others.
# on_disk NUMBER: prints the export's name with the image on /dev/dm-NUMBER.
on_disk()
{
	echo "/dev/dm-$1" >root/sys/block/qcow0/qcow/image
	again
}
mkdir -p root/dev/disk/by-id root/sys/dev/block/253:{0,1}
echo 253:0 >root/dev/dm-0
echo 253:1 >root/dev/dm-1
echo /dev/dm-0 >root/sys/block/qcow0/qcow/image
no_name "a block device" "its image is on a block device that has no name of its own"
echo 253:1 | tee root/dev/disk/by-id/wwn-b >root/dev/disk/by-id/wwn-a
expect "export: name: a link of udev" test "$(on_disk 1)" != "$nqn"
for attr in wwid device/wwid serial dm/uuid; do
	mkdir -p root/sys/dev/block/253:{0,1}/{device,dm}
	echo "first" >root/sys/dev/block/253:0/$attr
	echo "second" >root/sys/dev/block/253:1/$attr
	was=$(on_disk 0)
	expect "export: name: $attr: another disk" test "$(on_disk 1)" != "$was"
	echo "first" >root/sys/dev/block/253:1/$attr
	expect "export: name: $attr: the same disk as another number" is "$was" "$(on_disk 1)"
	rm root/sys/dev/block/253:{0,1}/$attr
done
rm -r root/sys/dev/block/253:* root/dev/dm-*
echo "$T/top.qcow2" >root/sys/block/qcow0/qcow/image
expect "export: name: as before" is "$nqn" "$(again)"

# A disk whose data goes at the detach is another one at each attach, whatever its name.
# identity ARGUMENTS...: prints the name and the disk's identifiers.
identity()
{
	q export --tcp 127.0.0.1 --allow-host $host "$@" qcow0 >/dev/null
	(cd $nvmet/subsystems && echo * && cat ./*/attr_serial ./*/namespaces/1/device_uuid)
	q unexport qcow0
}
mkdir -p root/proc/sys/kernel/random
for which in temporary overlay; do
	echo 1d35c5a0-1111-4222-8333-444444444444 >root/proc/sys/kernel/random/boot_id
	[ $which = overlay ] || echo 1 >root/sys/block/qcow0/qcow/temporary
	[ $which = temporary ] || echo '/var/tmp/#12 (deleted)' >root/sys/block/qcow0/qcow/image
	was=$(identity)
	given=$(identity --nqn nqn.2026-01.org.example:a)
	expect "export: $which: the same attach" is "$was" "$(identity)"
	echo 1001 >root/sys/block/qcow0/diskseq
	export MOCK_DISKSEQ=1001
	expect "export: $which: each identifier is another one" is "" \
		"$(comm -12 <(sort <<<"$was") <(identity | sort))"
	expect "export: $which: --nqn: the name alone stays" is nqn.2026-01.org.example:a \
		"$(comm -12 <(sort <<<"$given") <(identity --nqn nqn.2026-01.org.example:a | sort))"
	echo 1000 >root/sys/block/qcow0/diskseq
	unset MOCK_DISKSEQ
	echo 2d35c5a0-1111-4222-8333-444444444444 >root/proc/sys/kernel/random/boot_id
	expect "export: $which: another boot" is "" "$(comm -12 <(sort <<<"$was") <(identity | sort))"
	rm -f root/sys/block/qcow0/qcow/temporary
done
echo "$T/top.qcow2" >root/sys/block/qcow0/qcow/image

# --- Steps that fail, and signals: all is as it was, also what others have made ---

mkdir -p $nvmet/hosts/nqn.2014-08.org:keyed $nvmet/ports/3/subsystems $nvmet/subsystems/nqn.2014-08.org:theirs/{namespaces/1,allowed_hosts}
echo secret >$nvmet/hosts/nqn.2014-08.org:keyed/dhchap_key
echo tcp >$nvmet/ports/3/addr_trtype
echo ipv4 >$nvmet/ports/3/addr_adrfam
echo 127.0.0.1 >$nvmet/ports/3/addr_traddr
echo 4421 >$nvmet/ports/3/addr_trsvcid
echo /dev/sda >$nvmet/subsystems/nqn.2014-08.org:theirs/namespaces/1/device_path
before=$(tree)

# tried WHAT VARIABLES... -- PORT: counts the changes that there are. Sets steps.
tried()
{
	local what=$1 port=$2 n

	for ((n = 1; n < 60; n++)); do
		run env MOCK_CONFIGFS_FAIL=$n "${@:3}" MOCK_ROOT="$T/root" LD_PRELOAD="$T/mock.so" \
			"$Q" export --tcp 127.0.0.1:"$port" --allow-host $host --allow-host nqn.2014-08.org:keyed qcow0
		[ $code -ne 0 ] || break
		expect "export: $what: change $n" is "1 $before" "$([ "$(grep -c '' err)" -eq 1 ] || echo "$(cat err) ")$code $(tree)"
	done
	steps=$n
	q unexport qcow0
	expect "export: $what: the end" is "$before" "$(tree)"
}

tried "a failure" 4420
expect "export: so many changes" is 18 "$steps"
tried "a failure, at somebody's port" 4421
expect "export: so many changes, at somebody's port" is 13 "$steps"
# The last steps can no longer be interrupted: the export is there then.
tried "SIGINT" 4420 MOCK_CONFIGFS_SIGNAL=2
expect "export: SIGINT ends it up to there" is 12 "$steps"
expect "export: SIGINT: says so" exits 1 'interrupted; nothing is exported$' env MOCK_CONFIGFS_FAIL=1 MOCK_CONFIGFS_SIGNAL=15 \
	MOCK_ROOT="$T/root" LD_PRELOAD="$T/mock.so" "$Q" export --tcp 127.0.0.1 --allow-host $host qcow0

# killed N: in front of the change of this number
killed()
{
	(MOCK_CONFIGFS_FAIL=$1 MOCK_CONFIGFS_SIGNAL=9 q export --tcp 127.0.0.1 --allow-host $host qcow0) >/dev/null 2>&1
}

# The next call goes on, whenever one was killed.
for ((n = 1; n <= 15; n++)); do
	killed $n
	expect "export: killed at change $n: not done" is '[]' "$(q export -lJ qcow0 | jq -c '[.qcowexports[].addresses[]]')"
	run q export --tcp 127.0.0.1 --allow-host $host qcow0
	expect "export: killed at change $n: the next" is "0 " "$code $(cat err)"
	q unexport qcow0
	expect "export: killed at change $n: the end" is "$before" "$(tree)"
done
# So does unexport, once the disk has its model.
for n in 3 4 6 8 10 11 12 15; do
	killed $n
	expect "unexport: killed at change $n" accepts q unexport --all
	expect "unexport: killed at change $n: the end" is "$before" "$(tree)"
done

# Messages of the last step
# link_fails ERRNO PATTERN
link_fails()
{
	expect "export: port: errno $1" refuses "$2" env MOCK_CONFIGFS_FAIL=15 MOCK_CONFIGFS_ERRNO="$1" \
		MOCK_ROOT="$T/root" LD_PRELOAD="$T/mock.so" "$Q" export --tcp '[::1]:4420' --allow-host $host qcow0
}
link_fails 98 '\[::1\]:4420: another program listens there; choose another port'
link_fails 99 '\[::1\]:4420: is no address of this host; see ip address'
link_fails 22 '\[::1\]:4420: the NVMe target cannot listen there: Invalid argument; see the kernel log'
link_fails 13 'only root of the host may export; use sudo'

# --- What is not ours, and what must not be ---

echo /dev/qcow0 >$nvmet/subsystems/nqn.2014-08.org:theirs/namespaces/1/device_path
expect "export: disabled by others: no export" is '[]' "$(q export -lJ | jq -c .qcowexports)"
echo 0 >$nvmet/subsystems/nqn.2014-08.org:theirs/namespaces/1/enable
expect "export: disabled by others" accepts q export --tcp 127.0.0.1 --allow-host $host qcow0
q unexport qcow0
echo 1 >$nvmet/subsystems/nqn.2014-08.org:theirs/namespaces/1/enable
expect "unexport: made by others" refuses "is exported as nqn.2014-08.org:theirs by another program" q unexport qcow0
expect "export: made by others" refuses "is exported already, as nqn.2014-08.org:theirs, by another program; end it with that" \
	q export --tcp 127.0.0.1 --allow-host $host qcow0
expect "unexport: --all leaves it" accepts q unexport --all
expect "export: list: made by others" is false "$(q export -lJ | jq '.qcowexports[].managed')"
rm $nvmet/subsystems/nqn.2014-08.org:theirs/namespaces/1/enable
echo /dev/sda >$nvmet/subsystems/nqn.2014-08.org:theirs/namespaces/1/device_path
expect "export: a name of others" refuses 'nqn.2014-08.org:theirs: there is an export of that name' \
	q export --tcp 127.0.0.1 --allow-host $host --nqn nqn.2014-08.org:theirs qcow0
expect "export: nothing of others was changed" is "$before" "$(tree)"
# Not one of these has a namespace or an allowed host.
theirs=$nvmet/subsystems/nqn.2014-08.org:bare
mkdir -p $theirs/{namespaces,allowed_hosts,passthru}
# their_name WHAT: the export is left alone.
their_name()
{
	local tree

	tree=$(tree)
	expect "export: $1" refuses 'there is an export of that name' \
		q export --tcp 127.0.0.1 --allow-host $host --nqn nqn.2014-08.org:bare qcow0
	expect "export: $1: it stays" is "$tree" "$(tree)"
}
echo 1 >$theirs/attr_allow_any_host
their_name "any host may connect"
echo 0 >$theirs/attr_allow_any_host
echo /dev/nvme0 >$theirs/passthru/device_path
their_name "a controller is passed through"
rm $theirs/passthru/device_path
ln -s /sys/kernel/config/nvmet/subsystems/nqn.2014-08.org:bare $nvmet/ports/3/subsystems/
their_name "at a port"
rm -r $theirs $nvmet/ports/3/subsystems/nqn.2014-08.org:bare
# A host with a key of the other direction, and one that was there before a failure
mkdir -p $nvmet/hosts/nqn.2014-08.org:{mutual,before}
echo secret >$nvmet/hosts/nqn.2014-08.org:mutual/dhchap_ctrl_key
tree=$(tree)
run env MOCK_CONFIGFS_FAIL=11 MOCK_ROOT="$T/root" LD_PRELOAD="$T/mock.so" \
	"$Q" export --tcp 127.0.0.1 --allow-host nqn.2014-08.org:before --allow-host $host qcow0
expect "export: a host that was there before a failure" is "1 $tree" "$code $(tree)"
q export --tcp 127.0.0.1 --allow-host nqn.2014-08.org:mutual qcow0 >/dev/null
q unexport qcow0
expect "unexport: a host with a key of this one" is "$tree" "$(tree)"
rm -r $nvmet/hosts/nqn.2014-08.org:{mutual,before}
echo '31 22 240:1 / /mnt rw - ext4 /dev/qcow0p1 rw' >>root/proc/self/mountinfo
expect "export: mounted" refuses '/dev/qcow0: is in use on this host: /dev/qcow0p1 mounted on /mnt; end that, or add --force' \
	q export --tcp 127.0.0.1 --allow-host $host qcow0
export MOCK_CLAIMED=1
expect "export: claimed, --force" accepts q export --force --tcp 127.0.0.1 --allow-host $host qcow0
q unexport qcow0
: >root/proc/self/mountinfo
expect "export: claimed by a user that does not show" \
	refuses '/dev/qcow0: is in use on this host: a user that does not show, such as a filesystem after umount -l' \
	q export --tcp 127.0.0.1 --allow-host $host qcow0
unset MOCK_CLAIMED
expect "export: another device meanwhile" refuses '/dev/qcow0: is another device meanwhile; see qcowctl list' \
	env MOCK_SWAP=1 MOCK_ROOT="$T/root" LD_PRELOAD="$T/mock.so" "$Q" export --tcp 127.0.0.1 --allow-host $host top.qcow2
echo 1000 >root/sys/block/qcow0/diskseq
expect "export: another device: nothing is left" is "$before" "$(tree)"
# A detach by force that does not go well
q export --tcp 127.0.0.1 --allow-host $host qcow0 >/dev/null
expect "detach: --force: it lasts" exits 1 "^qcowctl: $nqn: other hosts cannot reach it any more; run qcowctl unexport $nqn when the device has gone$" \
	env MOCK_DETACH_ERRNO=115 MOCK_ROOT="$T/root" LD_PRELOAD="$T/mock.so" "$Q" detach --force qcow0
expect "detach: --force: it lasts: no port" is '[]' "$(q export -lJ | jq -c '[.qcowexports[].addresses[]]')"
expect "unexport: its name, later" accepts q unexport "$nqn"
expect "unexport: its name, later: the end" is "$before" "$(tree)"
q export --tcp 127.0.0.1 --allow-host $host qcow0 >/dev/null
expect "detach: --force: writes are lost" exits 1 'detached, but the writes since the last flush' \
	env MOCK_DETACH_ERRNO=5 MOCK_ROOT="$T/root" LD_PRELOAD="$T/mock.so" "$Q" detach --force qcow0
expect "detach: --force: writes are lost: the export ends" is "$before" "$(tree)"
# A call that hangs, with the lock: others go on after a while.
q export --tcp 127.0.0.1 --allow-host $host qcow0 >/dev/null
expect "export: the lock is root's alone" is 600 "$(stat -c %a root/run/qcow-export.lock)"
flock -F root/run/qcow-export.lock sh -c 'echo >locked; exec sleep 60' &
until [ -e locked ]; do sleep 0.05; done
quickly "unexport: nothing to do" 8 expect "unexport: nothing to do" accepts q unexport --if-exported qcow7
quickly "export: the tree may be locked" 8 flock -n root/sys/kernel/config/nvmet true
expect "unexport: another call hangs" accepts q unexport qcow0
kill %% && wait %% 2>/dev/null
expect "unexport: another call hangs: the end" is "$before" "$(tree)"
# The target waits for the device: a pipe without a reader stands for that.
q export --tcp 127.0.0.1 --allow-host $host qcow0 >/dev/null
enable=$nvmet/subsystems/$nqn/namespaces/1/enable
rm "$enable"
mkfifo "$enable"
expect "unexport: the device hangs" refuses 'unexport: takes long, as the kernel waits .*; it goes on in the background' \
	q unexport qcow0
timeout 20 cat "$enable" >/dev/null
for ((n = 0; n < 400; n++)); do
	[ "$(tree 2>/dev/null)" != "$before" ] || break
	sleep 0.05
done
expect "unexport: the device hangs no more: the end" is "$before" "$(tree)"
echo '31 22 240:1 / /mnt rw - ext4 /dev/qcow0p1 rw' >>root/proc/self/mountinfo
expect "export: mounted, --force" accepts q export --force --tcp 127.0.0.1 --allow-host $host qcow0
expect "detach: --force ends the export" accepts q detach --force qcow0
expect "detach: --force ended it" is "$before" "$(tree)"
dev_is devtmpfs
echo 1 >root/sys/block/qcow0/ro
run env MOCK_CONFIGFS_FAIL=7 MOCK_CONFIGFS_ERRNO=13 MOCK_ROOT="$T/root" LD_PRELOAD="$T/mock.so" \
	"$Q" export --force --tcp 127.0.0.1 --allow-host $host qcow0
expect "export: read-only" refused 'is read-only, and the kernel exports only disks that can be written; attach the image with --temporary'
expect "export: read-only: nothing is left" is "$before" "$(tree)"
echo 0 >root/sys/block/qcow0/ro

# --- No target ---

rm -rf $nvmet modprobes
expect "export: configfs is not mounted" refuses 'configfs is not mounted here; run mount -t configfs configfs /sys/kernel/config' \
	q export --tcp 127.0.0.1 --allow-host $host qcow0
[ "$(id -u)" -ne 0 ] || expect "export: the module is asked for" is nvmet "$(cat modprobes)"
export MOCK_CONFIGFS=1
expect "export: no target" refuses 'the NVMe target of the kernel is not loaded; ' \
	q export --tcp 127.0.0.1 --allow-host $host qcow0
unset MOCK_CONFIGFS
rmdir root/sys/kernel/config
expect "export: no configfs" refuses 'the NVMe target of the kernel is not loaded; ' \
	q export --tcp 127.0.0.1 --allow-host $host qcow0
rm -f modprobes
expect "unexport: no target" refuses 'is not exported' q unexport qcow0
expect "unexport: --all, no target" accepts q unexport --all
expect "export: list, no target" is '[]' "$(q export -lJ | jq -c .qcowexports)"
expect "unexport: no module is loaded" is "" "$(cat modprobes 2>/dev/null)"
fake_root
rm -r bin/modprobe
