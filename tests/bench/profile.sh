#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# profile.sh [-k KERNEL] [-n LINES] WORKLOAD,... [TARGET...]: the functions in which the
# instructions of an I/O are executed. Workloads are those that run.sh measures on the image
# "flat": random-4k-depth-1 and others of its groups read and write. Targets are file and
# qcow unless named.
#
# It prints a table for each workload, with a line for each function and the instructions
# per I/O of each target; the functions in which the last target executes most beyond the
# first one come first. All code of processes is one line, "user".
set -euo pipefail
here=$(realpath "$(dirname "$0")")
. "$here/../lib/common.sh"

usage="usage: profile.sh [-k KERNEL] [-n LINES] WORKLOAD,... [TARGET...]"
kernel=6.1 lines=60
while getopts k:n: option; do
	case $option in
	k)	kernel=$OPTARG ;;
	n)	lines=$OPTARG ;;
	*)	die "$usage" ;;
	esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || die "$usage"
workloads=$1
shift
targets=("$@")
[ $# -gt 0 ] || targets=(file qcow)

# A disk with the image "flat" alone, so that the guest boots sooner
make_disk() {
	local all name

	all=$("$here/images.sh")
	mkdir "$work/files"
	for name in flat.raw flat.qcow2; do
		debugfs -R "dump /$name $work/files/$name" "$all" 2> /dev/null
	done
	truncate -s 96M "$work/disk"
	mke2fs -q -t ext4 -b 4096 -O ^resize_inode -m 0 -d "$work/files" "$work/disk"
}

prepare() {
	local folder

	"$here/../setup/kernel.sh" "$kernel"
	folder=$("$here/../lib/build.sh" "$kernel" 2> "$work/build.log") ||
		die "the module does not build:" "$(tail -n 20 "$work/build.log")"
	make -s -C "$QCOW_TOP/userspace" qcowctl
	make -s -C "$QCOW_TOP/tests/write/guest" BUILD="$work"
	make_disk
	"$here/initramfs.sh" "$kernel" "$work/disk" "$work/image" "$folder/qcow.ko" \
		"$work/qcowwrite"
	gcc-12 -O2 -Wall -Wextra -shared -fPIC -o "$work/profile.so" "$here/profile.c"
}

# run TARGET: leaves blocks, symbols and names of workloads of a guest in $work/TARGET.*.
run() {
	"$here/../vm/run.sh" -k "$kernel" -m 1G -t 3600 --icount -i "$work/image" \
		-p "$work/profile.so,out=$work/$1.blocks" \
		-b "nokaslr norandmaps target=$1 work=read,write only=$workloads" \
		> "$work/$1.out" || {
		grep -v '^symbols ' "$work/$1.out" >&2
		die "no profile of $1"
	}
	sed -n 's/^symbols //p' "$work/$1.out" | base64 -d | gunzip | sort > "$work/$1.symbols"
	sed -n 's/^ios //p' "$work/$1.out" > "$work/$1.ios"
}

# profile TARGET NUMBER IOS FILE: of the workload with that number, lines "FUNCTION
# INSTRUCTIONS". Its last two jobs lie between its marks 3 and 4, and 5 and 6; a block
# lies in the last symbol before it.
profile() {
	awk -v first=$((($2 - 1) * 6)) '
		$1 == "mark" { part++; next }
		part == first + 4 { print $1, -$2 }
		part == first + 6 { print $1, $2 }' "$work/$1.blocks" | sort -k1,1 |
		awk -v ios="$3" -v symbols="$work/$1.symbols" '
		function next_symbol(line, field) {
			after = "g"
			if ((getline line < symbols) <= 0) return
			split(line, field, " ")
			after = field[1] ""
			after_name = field[2]
		}
		BEGIN { next_symbol() }
		{
			while (after <= $1 "") { name = after_name; next_symbol() }
			sum[$1 "" < "8" ? "user" : name] += $2
		}
		END {
			for (n in sum)
				if (sum[n] / ios >= 0.5 || sum[n] / ios <= -0.5)
					printf "%s %.0f\n", n, sum[n] / ios
		}' > "$4"
}

# print_profile FILE...: of each target
print_profile() {
	awk '
		FNR == 1 { target[++targets] = FILENAME; sub(".*/", "", target[targets]) }
		{ cost[$1, targets] = $2; total[targets] += $2; seen[$1] }
		function line(name, costs, out, t) {
			for (t = 1; t <= targets; t++) {
				n[t] = name == "all" ? total[t] : cost[name, t]
				out = out sprintf("%13d", n[t])
			}
			return sprintf("%8d", n[targets] - n[1]) out "  " name
		}
		END {
			printf "%8s", "excess"
			for (t = 1; t <= targets; t++) printf "%13s", target[t]
			print "  function"
			print line("all")
			fflush()
			for (name in seen) print line(name) | "sort -k1,1nr"
		}' "$@"
}

work=$(mktemp -d "$QCOW_CACHE/bench/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
prepare
for target in "${targets[@]}"; do
	run "$target" &
done
for target in "${targets[@]}"; do
	wait -n || die "no profile"
done
number=0
while read -r workload ios; do
	number=$((number + 1))
	files=()
	for target in "${targets[@]}"; do
		mkdir -p "$work/$workload"
		files+=("$work/$workload/$target")
		profile "$target" $number "$ios" "$work/$workload/$target"
	done
	echo "$workload, instructions per I/O, Linux $kernel"
	print_profile "${files[@]}" | awk -v lines="$lines" 'NR <= lines'
	echo
done < "$work/${targets[0]}.ios"
