# COW of User-Mode Linux, beside uml_mkcow and uml_moo. shellcheck shell=bash


cow()
{
	"$here/cow.py" "$@"
}

# same_as_moo IMAGE: uml_moo merges the same changes into the parent.
same_as_moo()
{
	rm -f judge.raw && disk_of cow "$1" ours.raw base.raw &&
		uml_moo "$1" judge.raw > moo.log 2>&1 && same_content judge.raw ours.raw
}

# names_parent IMAGE: by its path and by its name alone, with its size and time
names_parent()
{
	foreign_says cow "$1" $'^backing\t'"$PWD/base.raw\$" && has $'^backing\tbase.raw$' out &&
		has $'^parent\t1\traw\t'"$(stat -c $'%s\t%Y' base.raw)" out
}

# field IMAGE OFFSET BYTES VALUE
field()
{
	cow field bad.cow "$@"
}

"$here/bochs.py" disk base.raw $((128 * 4096)) 1
touch -d '2024-07-05 12:34:57' base.raw
uml_mkcow three.cow base.raw > mkcow.log
expect "cow: of uml_mkcow" same_as_moo three.cow
expect "cow: of uml_mkcow: probed" foreign_says probe three.cow "^format.cow$"
expect "cow: of uml_mkcow: parent" names_parent three.cow
cow fill three.cow 2
expect "cow: version 3 (sectors crafted)" same_as_moo three.cow
for kind in 1le 2 3wide; do
	cow make $kind $kind.cow base.raw 3
	expect "cow: version $kind (crafted)" same_as_moo $kind.cow
	expect "cow: version $kind (crafted): parent" names_parent $kind.cow
	expect "cow: version $kind (crafted): probed" foreign_says probe $kind.cow "^format.cow$"
done

# uml_moo does not read the other kinds. The same seed draws the same sectors.
disk_of cow 2.cow merged.raw base.raw
for kind in 1be qemu qemu386; do
	cow make $kind $kind.cow base.raw 3
	disk_of cow $kind.cow ours.raw base.raw
	expect "cow: $kind (crafted)" same_content merged.raw ours.raw
done
expect "cow: version 1be (crafted): parent" names_parent 1be.cow
expect "cow: qemu (crafted): parent of any format" foreign_says cow qemu.cow \
	$'^parent\t1\tprobe\t0\t0\t'
cow field alone.cow qemu.cow 8 1 0
expect "cow: qemu without a parent (crafted)" foreign_says cow alone.cow $'^parent\t0'

field three.cow 4 4 4
expect "cow: another version" foreign_refuses cow bad.cow "COW of version 4"
field three.cow 20 4 513
expect "cow: odd sectors" foreign_refuses cow bad.cow "sectors of 513 bytes"
field three.cow 24 4 0
expect "cow: no alignment" foreign_refuses cow bad.cow "an alignment of 0 bytes"
field three.cow 28 4 7
expect "cow: another kind of bitmap" foreign_refuses cow bad.cow "bitmap of kind 7"
field three.cow 12 8 0
expect "cow: no disk" foreign_refuses cow bad.cow "a disk of 0 bytes"
field three.cow 12 8 0x100000000000
expect "cow: disk larger than its bitmap" foreign_refuses cow bad.cow "restore it from a copy"
field 2.cow 8 1 0
expect "cow: no parent" foreign_refuses cow bad.cow "does not name its backing file"
head -c 9000 three.cow > bad.cow
expect "cow: truncated" foreign_refuses cow bad.cow "so it is truncated"
printf 'OOOM' > bad.cow
expect "cow: short" foreign_refuses cow bad.cow "so it is truncated"

# uml_moo reads past the end of files and of its memory, so it judges no damaged ones.
expect "cow: $count damaged ones" survives_damage cow --judge none three.cow 1le.cow 2.cow \
	3wide.cow qemu.cow
