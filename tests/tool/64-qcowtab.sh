# SPDX-License-Identifier: GPL-2.0
# /etc/qcowtab: the units that qcow-generator makes of good lines, and its messages about
# mistakes; the units of attached devices. shellcheck shell=bash

G=$(dirname "$Q")/qcow-generator
[ -x "$G" ] || make -s -C "$here/../../userspace" || exit 1

# generate LINE...: run the generator on a qcowtab of these lines; units are in units/.
generate()
{
	printf '%s\n' "$@" >tab
	rm -rf units
	mkdir units
	run env QCOWTAB="$T/tab" timeout 60 ${WRAP:-} "$G" units
}

# unit NAME: the unit's lines of settings
unit()
{
	grep '=' "units/$1"
}

# --- Good lines ---

generate '# NAME IMAGE KEY OPTIONS' '' "  web	/srv/vm/web.qcow2" \
	'key /dev/vg/disk /etc/keys/k ro,offset=1M,,_netdev,noauto,timeout=5min,x-systemd.device-timeout=10s,x-other=1' \
	'data-1.x /srv/my\040images/a%b$c\134\047.qcow2 none nofail,defaults,snapshot=a\054b=c,x-systemd.requires-mounts-for=/srv/base' \
	'#web /none' 'c@d - -' 'beneath /x - backing=/srv/base,backing=none,format=raw,no-partitions,timeout=0'
expect "qcowtab: one mistake of all" is "1 qcow-generator: $T/tab:7: -: is not an absolute path" "$code $(cat err)"
expect "qcowtab: the files" is "./dev-qcow-beneath.device.d/40-qcow.conf
./dev-qcow-beneath.device.requires/qcow@beneath.service
./dev-qcow-data\\x2d1.x.device.d/40-qcow.conf
./dev-qcow-data\\x2d1.x.device.requires/qcow@data\\x2d1.x.service
./dev-qcow-key.device.d/40-qcow.conf
./dev-qcow-key.device.requires/qcow@key.service
./dev-qcow-web.device.d/40-qcow.conf
./dev-qcow-web.device.requires/qcow@web.service
./dev-vg-disk.device.d/50-device-timeout.conf
./local-fs.target.wants/qcow@beneath.service
./local-fs.target.wants/qcow@data\\x2d1.x.service
./local-fs.target.wants/qcow@web.service
./qcow@beneath.service
./qcow@data\\x2d1.x.service
./qcow@key.service
./qcow@web.service" "$(cd units && find . ! -type d | sort)"
expect "qcowtab: links lead to units" is "" "$(find units -xtype l)"
expect "qcowtab: a unit" is 'Description=Disk image %I
Documentation=man:qcowtab(5) man:qcow-generator(8) man:qcowctl(8)
SourcePath='"$T"'/tab
DefaultDependencies=no
IgnoreOnIsolate=true
Wants=modprobe@qcow.service blockdev@dev-qcow-web.target
After=modprobe@qcow.service systemd-udevd-kernel.socket systemd-remount-fs.service
Before=blockdev@dev-qcow-web.target umount.target
Conflicts=umount.target
Before=local-fs.target
RequiresMountsFor="/srv/vm/web.qcow2"
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=infinity
ExecStart=/usr/sbin/qcowctl attach "--name=web" "--ask-password" -- "/srv/vm/web.qcow2"
ExecStop=/usr/sbin/qcowctl detach --lazy --if-attached "/dev/qcow/web"' "$(unit qcow@web.service)"
expect "qcowtab: key file and options" is \
	'ExecStart=/usr/sbin/qcowctl attach "--name=key" "--read-only" "--offset=1M" "--key-file=/etc/keys/k" -- "/dev/vg/disk"' \
	"$(unit qcow@key.service | grep ExecStart)"
expect "qcowtab: network, block device, timeout" is 'Wants=network-online.target
After=remote-fs-pre.target network-online.target
Before=remote-fs.target
BindsTo=dev-vg-disk.device
After=dev-vg-disk.device
RequiresMountsFor="/dev/vg/disk"
RequiresMountsFor="/etc/keys/k"
TimeoutStartSec=5min' "$(unit qcow@key.service | sed -n '/^Wants=net/,/^Req.*keys/p; /^Time/p')"
expect "qcowtab: the block device's timeout" is JobRunningTimeoutSec=10s \
	"$(unit dev-vg-disk.device.d/50-device-timeout.conf)"
expect "qcowtab: the device waits for the service" is JobTimeoutSec=infinity \
	"$(unit dev-qcow-web.device.d/40-qcow.conf)"
# shellcheck disable=SC2016
expect "qcowtab: strange characters" is 'RequiresMountsFor="/srv/my images/a%%b$c\'"'"'.qcow2"
RequiresMountsFor="/srv/base"
ExecStart=/usr/sbin/qcowctl attach "--name=data-1.x" "--snapshot=a,b=c" "--ask-password" -- "/srv/my images/a%%b$$c\\'"'"'.qcow2"' \
	"$(unit 'qcow@data\x2d1.x.service' | grep -e ExecStart -e Requires)"
expect "qcowtab: nofail: the boot does not wait" is "" \
	"$(unit 'qcow@data\x2d1.x.service' | grep 'Before=.*fs.target')"
expect "qcowtab: the last value counts, as on the command line" is '"--backing=/srv/base" "--backing=none"' \
	"$(unit qcow@beneath.service | grep -o '"--backing.*none"')"
expect "qcowtab: no timeout" has TimeoutStartSec=infinity units/qcow@beneath.service

# verify_units: systemd itself looks at the units, with a program in them that is there.
verify_units()
{
	rm -rf verified
	mkdir verified
	for file in units/*.service; do
		sed "s|/usr/sbin/qcowctl|$Q|" "$file" >"verified/${file##*/}"
	done
	run limited env SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no verified/*.service
}

verify_units
expect "qcowtab: systemd takes the units" is "0 " "$code $(cat err)"
sed -i 's/^Before=blockdev.*/Before=nothing/' verified/qcow@web.service
run limited env SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no verified/qcow@web.service
expect "qcowtab: and would have found a mistake" has 'qcow@web.service:' err

names=(a 'a:b' a-b 'a@b' a.b 'a=b#+' _ A9 "$(printf '%*s' 50 '' | tr ' ' -)z")
names[8]=z${names[8]}
for name in "${names[@]}"; do
	generate "$name /x"
	expect "qcowtab: name $name" is "0 $(systemd-escape --template=qcow@.service -- "$name")" \
		"$code $(cd units && echo *.service)"
	expect "qcowtab: device of $name" is "$(systemd-escape --path --suffix=device "/dev/qcow/$name").requires" \
		"$(cd units && echo *.requires | sed 's/ local-fs.*//')"
done

generate "$(printf 'n%.0s' {1..127}) /x"
expect "qcowtab: the longest name" is "0 " "$code $(cat err)"
rm tab
run env QCOWTAB="$T/tab" "$G" units
expect "qcowtab: there is none" is "0 " "$code $(cat out err)"
mkdir tab
run env QCOWTAB="$T/tab" "$G" units
expect "qcowtab: a folder" is "1 qcow-generator: $T/tab: cannot be read: Is a directory" "$code $(cat err)"
rmdir tab

generate 'short /srv/a /etc/keys/k temporary'
expect "qcowtab: a key file: the service has a limit" has TimeoutStartSec=90s units/qcow@short.service
expect "qcowtab: temporary: the overlay's folder" has 'RequiresMountsFor="/var/tmp"' units/qcow@short.service

# --- Exports ---

host=nqn.2014-08.org.nvmexpress:uuid:11111111-2222-4333-8444-555555555555
generate "we-b /srv/a - export=192.0.2.1:4420,allow-host=$host,nofail,allow-host=nqn.2014-08.org:b\\054c,nqn=nqn.2026-01.org.example:web"
expect "qcowtab: export: the unit" is "Description=Export of disk image %I
Documentation=man:qcowtab(5) man:qcow-generator(8) man:qcowctl(8)
SourcePath=$T/tab
IgnoreOnIsolate=true
BindsTo=qcow@we\\x2db.service
Wants=network-online.target modprobe@nvmet.service sys-kernel-config.mount
After=qcow@we\\x2db.service network-online.target modprobe@nvmet.service sys-kernel-config.mount
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/qcowctl export \"--tcp=192.0.2.1:4420\" \"--allow-host=$host\" \"--allow-host=nqn.2014-08.org:b,c\" \"--nqn=nqn.2026-01.org.example:web\" \"/dev/qcow/we-b\"
ExecStop=/usr/sbin/qcowctl unexport --if-exported \"/dev/qcow/we-b\"" "$(unit 'qcow-export@we\x2db.service')"
expect "qcowtab: export: it starts with the attach" is '../qcow-export@we\x2db.service' \
	"$(readlink 'units/qcow@we\x2db.service.wants/qcow-export@we\x2db.service')"
expect "qcowtab: export: attach knows nothing of it" is 'qcowctl attach "--name=we-b" "--ask-password" -- "/srv/a"' \
	"$(unit 'qcow@we\x2db.service' | sed -n 's|^ExecStart=/usr/sbin/||p')"
verify_units
expect "qcowtab: export: systemd takes the units" is "0 " "$code $(cat err)"
generate "six /srv/a - export=[2001:db8::1]:4420,allow-host=$host"
expect "qcowtab: export: IPv6" has ' "--tcp=\[2001:db8::1\]:4420" ' units/qcow-export@six.service

# --- Mistakes: each is named by line and word, and the line behind it counts ---

# mistake NAME LINE MESSAGE: behind "tab:2: "
mistake()
{
	generate '' "$2" 'good /good'
	expect "qcowtab: $1" is "1 qcow-generator: $T/tab:2: $3" "$code $(cat err)"
	expect "qcowtab: $1: the others" is qcow@good.service "$(cd units && echo *.service)"
}

wrong_name='is no name of a device: letters, digits and #+-.:=@_, not - or . first and not -partN last'
mistake "no image" lonely 'lonely: has no image behind it; a line is NAME IMAGE KEY OPTIONS'
mistake "slash in a name" 'a/b /x' "a/b: $wrong_name"
mistake "name of a partition" 'a-part12 /x' "a-part12: $wrong_name"
mistake "dash in front" '-a /x' "-a: $wrong_name"
mistake "dots" '.. /x' "..: $wrong_name"
mistake "name too long" "$(printf 'n%.0s' {1..128}) /x" "$(printf 'n%.0s' {1..128}): $wrong_name"
mistake "name too long for a unit" "a$(printf '%.0s-' {1..80})a /x" "a$(printf '%.0s-' {1..80})a: is too long for the name of a unit"
mistake "control characters" $'a\e[1m /x' "a\\x1b[1m: $wrong_name"
mistake "relative path" 'a x' 'x: is not an absolute path'
mistake "root's parent" 'a /x/../y' '/x/../y: has "." or ".." in it; write the path without'
mistake "dots last" 'a /x/..' '/x/..: has "." or ".." in it; write the path without'
mistake "newline" 'a /x\012y' '/x\012y: has characters that a unit of systemd cannot have in a path'
mistake "quotes" 'a /x"\047' '/x"\047: has characters that a unit of systemd cannot have in a path'
mistake "no UTF-8" 'a /x\377' '/x\377: has characters that a unit of systemd cannot have in a path'
mistake "relative key" 'a /x key' 'key: is not an absolute path'
mistake "five words" 'a /my image none ro' 'ro: is one word too many; blanks in a path are written \040'
mistake "unknown option" 'a /x - ro,sync' 'sync: is no option; see qcowtab(5)'
mistake "an option that is a field" 'a /x - name=b' 'name=b: is no option; see qcowtab(5)'
mistake "passphrases are asked for anyway" 'a /x - ask-password' 'ask-password: is no option; see qcowtab(5)'
mistake "nobody reads along" 'a /x - progress=json' 'progress=json: is no option; see qcowtab(5)'
mistake "value of a flag" 'a /x - nofail=yes' 'nofail=yes: takes no value'
mistake "value of attach's flag" 'a /x - untrusted=no' 'untrusted=no: takes no value'
mistake "no value" 'a /x - offset' 'offset: needs a value'
mistake "empty value" 'a /x - format=' 'format=: needs a value'
mistake "no path" 'a /x - x-systemd.requires-mounts-for' 'x-systemd.requires-mounts-for: needs a value'
mistake "relative folder" 'a /x - backing=base' 'backing=base: is not an absolute path'
mistake "time" 'a /x - timeout=soon' 'timeout=soon: takes a time, such as 30 or 5min'
mistake "time that is a setting" 'a /x - timeout=1\012X' 'timeout=1\012X: takes a time, such as 30 or 5min'
mistake "offset" 'a /x - ro,offset=77' '--offset: bad value "77"; give bytes, a multiple of 512, such as 1M'
mistake "format" 'a /x - format=vmx' "--format: bad value \"vmx\"; $("$Q" attach -f vmx x 2>&1 | sed 's/.*; //')"
an_address='takes an IP address of this host, and perhaps a port, such as 192.0.2.1:4420 or [2001:db8::1]:4420'
an_nqn='takes an NQN, such as nqn.2014-08.org.nvmexpress:uuid:... in /etc/nvme/hostnqn'
mistake "export to nowhere" "a /x - export,allow-host=$host" "export: $an_address"
mistake "export's address" "a /x - export=host:4420,allow-host=$host" "export=host:4420: $an_address"
mistake "export's host" 'a /x - export=::1,allow-host=b' "allow-host=b: $an_nqn"
mistake "export's name" "a /x - export=::1,allow-host=$host,nqn" "nqn: $an_nqn"
mistake "export to nobody" 'a /x - export=::1' 'export=::1: has export= without allow-host=, the hosts that may connect'
not_read_only="has export= of a disk that is read-only, as snapshots are; add temporary, and leave out ro"
for options in ro read-only snapshot=monday; do
	mistake "export of $options" "a /x - $options,export=::1,allow-host=$host" "$options,export=::1,allow-host=$host: $not_read_only"
done
mistake "two exports" "a /x - export=::1,allow-host=$host,export=::2" "export=::2: is there already; an export has one address"
mistake "two names of an export" "a /x - export=::1,allow-host=$host,nqn=nqn.2026-01.org:a,nqn=nqn.2026-01.org:b" \
	"nqn=nqn.2026-01.org:b: is there already; an export has one name"
generate "a /x - export=::1,allow-host=$host,nqn=nqn.2026-01.org:a
b /y - export=::1,allow-host=$host,nqn=nqn.2026-01.org:a"
expect "qcowtab: one name of two exports" is "qcow-generator: $T/tab:2: nqn.2026-01.org:a: is the name of the export of line 1 already" "$(cat err)"
generate "a /x - snapshot=monday,temporary,export=::1,allow-host=$host"
expect "qcowtab: export of a snapshot that is temporary" is "0 " "$code $(cat err)"
mistake "hosts without an export" "a /x - allow-host=$host" "allow-host=$host: has allow-host= or nqn= without export=, the address"
generate 'a /x' '' 'b /y' 'a /z'
expect "qcowtab: the same name" is "1 qcow-generator: $T/tab:4: a: is the name of the device of line 1 already" "$code $(cat err)"
expect "qcowtab: the same name: the first counts" has '"/x"$' units/qcow@a.service
printf 'a /x\0y\nb /y' >tab
run env QCOWTAB="$T/tab" "$G" units
expect "qcowtab: NUL" is "1 qcow-generator: $T/tab:1: /x\\x01y: has" "$code $(sed 's/ has .*/ has/' err)"
expect "qcowtab: the last line without a newline" test -e units/qcow@b.service
expect "qcowtab: no folder" exits 1 '^Usage: ' "$G"
generate 'a /x'
run env QCOWTAB="$T/tab" "$G" missing
expect "qcowtab: the folder is not there" is "1 qcow-generator: $T/tab:1: missing" "$code $(sed 's|missing/.*|missing|' err)"

# Each option of attach is one of qcowtab, but for those that are fields of the line.
for option in $(qcowctl --completion attach | sed 's/^--//; s/ .*//' | grep -vx -e help -e name= -e ask-password -e progress=); do
	case $option in
	*size*=|offset=|expand-max=) value=64K ;;
	*=)	value=$(qcowctl --completion attach | sed -n "s/^--$option[^ ]*\( -[^ ]*\)* \([^ ]*\).*/\2/p") ;;
	*)	value= ;;
	esac
	[ "$option" != sector-size= ] || value=4096
	[[ $value != '<'* && ( -n $value || $option != *= ) ]] || value=/value
	generate "a /x - $option$value"
	expect "qcowtab: option $option$value" has " \"--$option$value\" " units/qcow@a.service
done

# --- Units of attached devices ---

fake_root
image top.qcow2
image base.qcow2
rm -rf units
mkdir units
run with_driver "$G" --device units qcow0
expect "device unit: made" is "0 qcow-device@qcow0:1000.service" "$code $(cat err)$(ls units)"
expect "device unit: a disk" is "Description=Order of the shutdown of /dev/qcow0
Documentation=man:qcow-generator(8)
DefaultDependencies=no
IgnoreOnIsolate=true
BindsTo=dev-qcow0.device
After=dev-qcow0.device
Wants=blockdev@dev-qcow0.target
Before=blockdev@dev-qcow0.target umount.target
Conflicts=umount.target
After=blk-availability.service
RequiresMountsFor=\"$T/top.qcow2\"
RequiresMountsFor=\"$T/base.qcow2\"
Type=oneshot
RemainAfterExit=yes
ExecStop=-/usr/bin/timeout -k 5 30 /usr/sbin/qcowctl unexport --if-exported /dev/disk/by-diskseq/1000
ExecStop=/usr/sbin/qcowctl detach --lazy --if-attached /dev/disk/by-diskseq/1000
ExecStopPost=-/bin/rm -f \"units/qcow-device@qcow0:1000.service\"" "$(unit qcow-device@qcow0:1000.service)"
echo web-1 >root/sys/block/qcow0/qcow/alias
run with_driver "$G" --device units qcow0
expect "device unit: behind that of qcowtab" has '^After=qcow@web\\x2d1.service$' units/qcow-device@qcow0:1000.service
run with_driver "$G" --device units qcow0p1
expect "device unit: a partition" is "0 Wants=blockdev@dev-qcow0p1.target
Before=blockdev@dev-qcow0p1.target umount.target
After=qcow-device@qcow0:1000.service" "$code $(unit qcow-device@qcow0p1:1000.service | grep -e blockdev -e After=qcow)"
sed "s|/usr/sbin/qcowctl|$Q|" -i units/*.service
rm -rf verified
mkdir verified
for file in units/*.service; do
	sed 's|qcow-device@\(.*\):1000.service|qcow-device@\1-1000.service|' "$file" >"verified/$(basename "$file" | tr : -)"
done
run limited env SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no verified/*.service
expect "device unit: systemd takes it" is "0 " "$code $(cat err)"
for name in qcow1 qcow0x vda qcow0p qcow '../qcow0'; do
	run with_driver "$G" --device units "$name"
	expect "device unit: $name" is "1 qcow-generator: $name: no such device" "$code $(cat err)"
done

# --- The options of attach and detach that the units use ---

image plain.qcow2
run with_driver qcowctl attach --name web.1 --no-partitions plain.qcow2
expect "attach: name" is "0 /dev/qcow0 alias=web.1 flags=0x8" \
	"$code $(cat out) $(grep -o 'alias=.*' root/log) $(grep -o 'flags=[^ ]*' root/log)"
expect "attach: name: refused" refuses '^qcowctl: --name: bad value "a/b"; give letters' \
	with_driver qcowctl attach --name a/b plain.qcow2
expect "detach: not there" accepts with_driver qcowctl detach --if-attached /dev/qcow/nothing qcow7
expect "detach: not there: nothing done" is "" "$(cat root/log 2>/dev/null)"
expect "detach: there" accepts with_driver qcowctl detach --if-attached qcow0
expect "detach: there: done" has '^detach flags=0 index=0' root/log
export MOCK_DETACH_ERRNO=19
expect "detach: gone meanwhile" accepts with_driver qcowctl detach --if-attached qcow0
unset MOCK_DETACH_ERRNO

# A program in the place of systemd-ask-password says how it is called, and answers.
printf secret >key
luks_image luks.qcow2 key
mkdir -p bin
cat >bin/systemd-ask-password <<'END'
#!/bin/sh
printf '%s|' "$@" >>asked
[ ! -s answers ] || { head -n 1 answers; sed -i 1d answers; exit 0; }
exit 1
END
chmod +x bin/systemd-ask-password
# asked NAME EXPECTED ANSWER...
asked()
{
	local name=$1 expected=$2

	shift 2
	[ $# -eq 0 ] || printf '%s\n' "$@" >answers
	[ $# -gt 0 ] || : >answers
	rm -f asked
	run with_driver env "PATH=$T/bin:$PATH" setsid -w timeout 60 ${WRAP:-} "$Q" attach --ask-password luks.qcow2 </dev/null
	expect "ask-password: $name" is "$expected" "$code $(cat out err | paste -sd '|')"
}
asked "right" "0 /dev/qcow0" secret
expect "ask-password: the question" is \
	"--icon=drive-harddisk|--timeout=0|--id=qcow:luks.qcow2|--|Passphrase for luks.qcow2:|" "$(cat asked)"
asked "wrong once" "0 /dev/qcow0|qcowctl: luks.qcow2: wrong passphrase" wrong secret
asked "none" "1 qcowctl: luks.qcow2: no passphrase was given"
asked "wrong" "1 $(printf 'qcowctl: luks.qcow2: wrong passphrase|%.0s' 1 2)qcowctl: luks.qcow2: wrong passphrase" a b c secret
rm bin/systemd-ask-password
run with_driver env PATH="$T/bin" "$(command -v setsid)" -w "$Q" attach --ask-password luks.qcow2 </dev/null
expect "ask-password: no such program" refused "luks.qcow2: its passphrase cannot be asked for: systemd-ask-password: No such file or directory; give it with --key-file"
