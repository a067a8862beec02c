# A folder as a disk, beside fsck.fat, mtools, 7z, sfdisk and blkid. shellcheck shell=bash


build_vvfat()
{
	local user="$QCOW_TOP/userspace"

	V=$PWD/vvfat-program
	${CC:-cc} -O1 -g -std=gnu11 -Wall -Wextra -D_FILE_OFFSET_BITS=64 -I"$user/src" \
		-I"$QCOW_TOP/include/uapi" -I"$QCOW_TOP/drivers/block" \
		-I"$QCOW_TOP/drivers/block/qcow" -o "$V" "$here/vvfat.c" "$user/obj/qcow.a"
}

# shows FOLDER [OPTION...]: the disk is made, and fsck.fat finds nothing wrong with it.
shows()
{
	rm -f disk.img disk.img.fs
	run "$V" "$1" disk.img "${@:2}"
	[ "$code" = 0 ] || fail "exit code $code: $(cat out err)" || return 1
	cp out facts && cp err notes
	fsck.fat -n disk.img.fs > fsck.log 2>&1 || fail "$(cat fsck.log)"
}

# refuses_folder PATTERN FOLDER [OPTION...]
refuses_folder()
{
	run "$V" "$2" disk.img "${@:3}"
	refused "$1"
}

# same_by_mtools FOLDER: all files have their names, bytes and times.
same_by_mtools()
{
	rm -rf copied && mkdir copied || return 1
	mcopy -s -n -p -m -i disk.img.fs ::/* copied/ > mcopy.log 2>&1 || fail "$(cat mcopy.log)" ||
		return 1
	diff -r "$1" copied > diff.log || fail "$(head -n 5 diff.log)" || return 1
	diff <(times "$1") <(times copied) || fail "other times"
}

# same_by_7z FOLDER: 7z finds the same names and bytes. It takes summer time for winter time.
same_by_7z()
{
	rm -rf copied && 7z x -y -ocopied disk.img.fs > 7z.log || fail "$(tail -n 3 7z.log)" ||
		return 1
	diff -r "$1" copied > diff.log || fail "$(head -n 5 diff.log)"
}

# times FOLDER: its files with their times, which count every other second on FAT
times()
{
	(cd "$1" && find -L . -type f -printf '%P %Ts\n' |
		awk '{ t = $NF; sub(/ [0-9]*$/, ""); print $0, t - t % 2 }' | sort)
}

# short_name LONG_NAME SHORT: mdir shows both.
short_name()
{
	mdir -i disk.img.fs :: > mdir.log && has "^$2 .* $1\$" mdir.log
}

expect "vvfat: the program" build_vvfat
export TZ=Europe/Berlin MTOOLS_SKIP_CHECK=1

# Small files, of sizes around those of sectors and clusters, and all sorts of names.
mkdir -p tree/sub/deep "tree/With Space" tree/EMPTY
for size in 1 511 512 513 1024 16384 16385 100000; do
	head -c $size /dev/urandom > tree/sub/$size.bin
done
: > tree/sub/deep/nothing
for name in UPPER.TXT lower.txt Mixed.Txt .hidden a.b.c "semi;colon.t" longer-than-eight.text \
	longer-than-nine.text "ünïcödé €.tx" "$(printf 'l%.0s' {1..250}).doc" no-ending; do
	echo "$name" > "tree/$name"
done
touch -d '2001-02-03 04:05:06' tree/UPPER.TXT
touch -d '2024-07-05 12:34:57' tree/lower.txt
ln tree/sub/100000.bin tree/hard-link
ln -s sub/513.bin tree/link
ln -s ../sub "tree/With Space/folder"
ln -s "$PWD/tree/sub/deep" tree/absolute
chmod 444 tree/no-ending
expect "vvfat: FAT16" shows tree
expect "vvfat: no notes" is "" "$(cat notes)"
expect "vvfat: FAT16: mtools" same_by_mtools tree
expect "vvfat: FAT16: 7z" same_by_7z tree
expect "vvfat: read-only" is "  A    R" "$(mattrib -i disk.img.fs ::no-ending | cut -c 1-8)"
mattrib -i disk.img.fs ::lower.txt ::no-ending > /dev/null
expect "vvfat: short name" short_name longer-than-eight.text "LONGER~1 TEX"
expect "vvfat: second short name" short_name longer-than-nine.text "LONGER~2 TEX"
expect "vvfat: short name of two parts" short_name a.b.c "AB~1     C  "
sfdisk -d disk.img > sfdisk.log 2>&1
expect "vvfat: partition" has "start= *2048, size= *1046528, type=e$" sfdisk.log
expect "vvfat: one more file for a hard link is not needed" \
	is "$(find tree -type f -size +511c ! -name 511.bin ! -name hard-link | wc -l)" \
	"$(awk '$1 == "files" { print $2 - 1 }' facts)"
cp --sparse=always disk.img first.img
expect "vvfat: FAT32" shows tree fat_bits=32 label=backup2024 serial=1234abcd
expect "vvfat: FAT32: mtools" same_by_mtools tree
expect "vvfat: FAT32: 7z" same_by_7z tree
expect "vvfat: label and UUID" is "LABEL=BACKUP2024 UUID=1234-ABCD" \
	"$(blkid -p -o export disk.img.fs | grep '^LABEL=\|^UUID=' | sort | paste -sd ' ')"
sfdisk -d disk.img > sfdisk.log 2>&1
expect "vvfat: identifier of the disk" has "^label-id: 0x1234abcd$" sfdisk.log
mv tree moved && mkdir tree && (cd moved && tar -cf - --sort=name .) | tar -xf - -C tree
rm tree/absolute && ln -s "$PWD/tree/sub/deep" tree/absolute
touch -r moved tree
expect "vvfat: again" shows tree
expect "vvfat: the same tree is the same disk" same_content first.img disk.img
expect "vvfat: most files copied" shows tree files_max=3
expect "vvfat: most files copied: the same disk" same_content first.img disk.img
expect "vvfat: too much to copy" refuses_folder "more than 2 files, and the smaller ones with" tree \
	files_max=3 copy_max=20000

# A character outside of the first 65,536 is only known to 7z.
mkdir far && echo 1 > far/😀.txt
expect "vvfat: surrogates" shows far
expect "vvfat: surrogates: 7z" same_by_7z far

# Names that FAT has not, and files that no disk can show
mkdir odd && ln -s .. odd/up && ln -s /etc/passwd odd/out && mkfifo odd/pipe && mkdir odd/sub
ln -s nothing odd/dangling && ln -s circle odd/circle && ln -s .. odd/sub/loop
echo 1 > odd/Name.txt && echo 2 > odd/nAME.txt && echo 3 > 'odd/what?.txt' && echo 4 > odd/end.
echo 5 > odd/$'\xff' && echo 6 > odd/Ä && echo 7 > odd/ä && echo 8 > odd/LONGER~1
echo 9 > odd/longer-than-8 && echo > odd/secret && chmod 600 odd/secret
: > disk.img && : > disk.img.fs && chmod 666 disk.img disk.img.fs && chmod 711 "$T"
run setpriv --reuid=65534 --regid=65534 --clear-groups "$V" odd disk.img
cp err notes
expect "vvfat: odd files" is 0 "$code"
expect "vvfat: odd files: fsck.fat" fsck.fat -n disk.img.fs
while IFS='|' read -r name said; do
	expect "vvfat: note on $name" has "^qcowctl: odd/$name: $said" notes
done << 'END'
up|is left out, as it is a link that leads out
out|is left out, as it is a link that leads out
pipe|is left out, as it is a device, a pipe or a socket
dangling|is left out, as it is a link to nothing
circle|is left out, as it is a link in a circle
sub/loop|is left out, as it is a link to a folder that it is in
secret|is left out, as it is not readable
nAME.txt|is shown as "nAME~2.txt", as FAT does not tell it
what\?.txt|is shown as "what_.txt", as FAT has no such name
end\.|is shown as "end_", as FAT has no such name
ä|is shown as ".*~2", as FAT does not tell it
END
expect "vvfat: bytes of the second of two names" is 2 "$(mtype -i disk.img.fs '::nAME~2.txt')"
expect "vvfat: a number that is a name already" short_name longer-than-8 "LONGER~2    "

# drawn_folder SEED FILES [BIG]: a folder of folder.py, beside fsck.fat and mtools
drawn_folder()
{
	rm -rf drawn && "$here/folder.py" drawn "$@" && shows drawn && is "" "$(cat notes)" &&
		same_by_mtools drawn
}

# Folders that are drawn: one that stays as it is, others that do not, and one with a disk of more
# than the 504 MiB of QEMU
expect "vvfat: a drawn folder" drawn_folder 1 400
for ((i = 0; i < count / 60; i++)); do
	expect "vvfat: a drawn folder ($seed-$i)" drawn_folder "$seed-$i" 300
done
expect "vvfat: a drawn folder of 520 MiB" drawn_folder 2 200 545259520
expect "vvfat: a drawn folder of 520 MiB: FAT32" has "^bits 32$" facts
expect "vvfat: a drawn folder of 520 MiB: its end" is end "$(tail -c 3 copied/big)"
rm -rf drawn copied

# More files than the root directory of FAT16 has room for, and than a table can have
mkdir many && (cd many && for ((i = 0; i < 4150; i++)); do
	printf '%600d' $i > "file number $i.text"
done)
expect "vvfat: 4,150 files" shows many
expect "vvfat: 4,150 files: FAT32" has "^bits 32$" facts
expect "vvfat: 4,150 files: files of the table" has "^files 4096$" facts
expect "vvfat: 4,150 files: mtools" same_by_mtools many
expect "vvfat: no room in FAT16" refuses_folder "take FAT32" many fat_bits=16
rm -rf many copied

# Files and disks of more than QEMU's 504 MiB, and than FAT has. fsck.fat takes 4 GiB for 0.
mkdir big && truncate -s 4294963200 big/4g && truncate -s 64M big/64m
printf end | dd of=big/64m bs=1 seek=67108861 conv=notrunc status=none
expect "vvfat: 4 GiB" shows big
expect "vvfat: 4 GiB: a disk with room" has "^size 5[0-9]{9}$" facts
expect "vvfat: a file behind 4 GiB" is end "$(7z x -so disk.img.fs 64m 2> 7z.log | tail -c 3)"
truncate -s 4294967295 big/4g
run "$V" big disk.img
7z l disk.img.fs > 7z.log
expect "vvfat: 4 GiB - 1" has " 4294967295 .* 4g$" 7z.log
truncate -s 4294967296 big/4g
expect "vvfat: a file that is too large" refuses_folder "big/4g: has 4 GiB or more, which no" big
rm -rf big disk.img disk.img.fs

mkdir full && (cd full && for ((i = 0; i < 3130; i++)); do
	printf -v name '%0250d' $i
	: > "$name"
done)
expect "vvfat: a directory that is too large" refuses_folder "full: has more files than a dir" full
rm -rf full
# Many names that FAT does not tell from each other, also if a number leaves out their difference
case_names()
{
	local prefix=$1 i bit name

	for ((i = 0; i < $2; i++)); do
		name=$prefix
		for ((bit = 0; bit < 14; bit++)); do
			((i >> bit & 1)) && name+=a || name+=A
		done
		echo "$name"
	done
}

mkdir alike && (cd alike && case_names name- 300 | xargs touch &&
	case_names "$(printf '%0241d' 0)" 40 | xargs touch)
expect "vvfat: names that differ by case only" shows alike
7z l -ba disk.img.fs > 7z.log
expect "vvfat: all of them are there" is 340 "$(grep -c -- 'name-\|0000' 7z.log)"
expect "vvfat: they have different names" is 340 "$(awk '{ print tolower($NF) }' 7z.log | sort -u | wc -l)"
rm -rf alike && mkdir alike && (cd alike && case_names x 12000 | xargs touch)
# limited COMMAND...: with 8 seconds of processor time
limited()
{
	(ulimit -t 8 && exec "$@")
}
run limited "$V" alike disk.img
expect "vvfat: 12,000 of them take no time" is 0 "$code"
(cd alike && seq 1 53600 | xargs touch)
expect "vvfat: too many files have no names" refuses_folder "alike: has more files than a dir" alike
rm -rf alike

# Links that lead from folder to folder
mkdir links && for ((i = 0; i < 140; i++)); do
	mkdir links/$i && ln -s "$PWD/links/$((i + 1))" links/$i/next
done
run "$V" links disk.img
expect "vvfat: a folder in too many others" is 0 "$code"
expect "vvfat: a note on it" has "^qcowctl: links/129: is left out, as it is a folder in too" err
rm -rf links

# Sectors of 140,000 files are too many for memory: they go to a folder for temporary files.
mkdir -p tiny/0 && (cd tiny/0 && seq 1 400 | while read -r i; do echo > $i; done)
for ((i = 1; i < 350; i++)); do
	ln -s 0 tiny/$i
done
expect "vvfat: many small files are not kept in memory" refuses "nowhere|cannot be kept: No such" \
	env TMPDIR=nowhere "$V" tiny disk.img
rm -rf tiny
expect "vvfat: no folder" refuses_folder "No such file or directory" nowhere
expect "vvfat: a label that is too long" refuses_folder "more than 11 characters" far label=abcdefghijkl

# The same by the tool
qcowctl=$QCOW_TOP/userspace/qcowctl
expect "vvfat: tool: info" accepts "$qcowctl" info -f vvfat far
expect "vvfat: tool: size" has "^virtual size: 512 MiB" out
expect "vvfat: tool: map" accepts "$qcowctl" map -f vvfat tree
expect "vvfat: tool: files of the map" has "tree/sub/100000.bin$|tree/hard-link$" out
expect "vvfat: tool: a file" refuses "is no folder, and vvfat shows" "$qcowctl" map -f vvfat first.img
unset TZ MTOOLS_SKIP_CHECK
