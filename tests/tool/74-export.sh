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
e "an image that is not attached" "plain.qcow2: no such image or device" --tcp 127.0.0.1 --allow-host $host plain.qcow2
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
	expect "export: at $1: the command for others" has "^nvme connect -t tcp -a $3 -s $4 -n nqn\." out
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
hosts/$host/dhchap_key=
hosts/nqn.2014-08.org:b/
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
[ "$(again)" != "$nqn" ]
expect "export: name: another offset" is 0 $?
echo 0 >root/sys/block/qcow0/qcow/offset
echo monday >root/sys/block/qcow0/qcow/snapshot
[ "$(again)" != "$nqn" ]
expect "export: name: a snapshot" is 0 $?
rm root/sys/block/qcow0/qcow/snapshot
echo fedcba9876543210fedcba9876543210 >root/etc/machine-id
[ "$(again)" != "$nqn" ]
expect "export: name: another host" is 0 $?
rm root/etc/machine-id
expect "export: name: no machine ID" is "$(again)" "$(again)"

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
expect "unexport: made by others" refuses "is exported as nqn.2014-08.org:theirs by another program" q unexport qcow0
expect "export: made by others" refuses "is exported already, as nqn.2014-08.org:theirs" \
	q export --tcp 127.0.0.1 --allow-host $host qcow0
expect "unexport: --all leaves it" accepts q unexport --all
expect "export: list: made by others" is false "$(q export -lJ | jq '.qcowexports[].managed')"
echo /dev/sda >$nvmet/subsystems/nqn.2014-08.org:theirs/namespaces/1/device_path
expect "export: a name of others" refuses 'nqn.2014-08.org:theirs: there is an export of that name' \
	q export --tcp 127.0.0.1 --allow-host $host --nqn nqn.2014-08.org:theirs qcow0
expect "export: nothing of others was changed" is "$before" "$(tree)"
echo '31 22 240:1 / /mnt rw - ext4 /dev/qcow0p1 rw' >>root/proc/self/mountinfo
expect "export: mounted" refuses '/dev/qcow0: is in use on this host: /dev/qcow0p1 mounted on /mnt; end that, or add --force' \
	q export --tcp 127.0.0.1 --allow-host $host qcow0
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
