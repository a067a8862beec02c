# The child of a parser, with parsers that do not keep to the rules. shellcheck shell=bash

user=$QCOW_TOP/userspace
# shellcheck disable=SC2046 # the words of the libraries
${CC:-cc} -O1 -g -std=gnu11 -Wall -Wextra -D_FILE_OFFSET_BITS=64 -I"$user/src" \
	-I"$QCOW_TOP/include/uapi" -I"$QCOW_TOP/drivers/block" -I"$QCOW_TOP/drivers/block/qcow" \
	-o sandbox "$here/sandbox.c" "$user/obj/qcow.a" -Wl,--as-needed \
	$(pkg-config --libs json-c libseccomp zlib liblzma libmd expat) -lbz2 ||
	failure "sandbox: the program is built"
head -c 64K /dev/urandom >image
cp image copy

# caught PARSER PATTERN [write]: the parser is refused, with one such line. With the last word,
# the image is open for writing.
caught()
{
	run timeout 60 ./sandbox "$1" image "${@:3}"
	[ "$code" = 1 ] || fail "exit code $code: $(cat out err)" || return 1
	is 1 "$(wc -l <err)" && has "qcowctl: image: .*$2" err
}

# works PARSER: there is a table of one entry.
works()
{
	run timeout 60 ./sandbox "$1" image
	is "0 1 entries" "$code $(cat out)" && is "" "$(cat err)"
}

expect "sandbox: a parser that keeps to the rules" works well
forbidden="tried what it is not allowed"
for parser in file fork socket kill code; do
	expect "sandbox: a parser that does: $parser" caught $parser "$forbidden"
done
expect "sandbox: memory" caught memory "has tables of .* bytes, which is too much"
expect "sandbox: a loop" caught loop "had not ended after 1 seconds of work"
expect "sandbox: the check of a small image has as much time" is "120 seconds" \
	"$(./sandbox check-limit 1000)"
expect "sandbox: the check of a large image has more" is "4216 seconds" \
	"$(./sandbox check-limit $((4 << 30)))"
expect "sandbox: a crash" caught null "its parser failed .Segmentation fault."
expect "sandbox: a signal to itself" caught raise "$forbidden"
expect "sandbox: an early end" caught end "ended early"
expect "sandbox: writes to the image, and into the table's header" works write
expect "sandbox: an image that is open for writing" caught write "has changed meanwhile; do it again" write
expect "sandbox: the image is the same" cmp image copy
expect "sandbox: a table that is filled up" works fill
expect "sandbox: decompressed data has a limit" caught scratch "more than may be kept; .* --expand-max"
expect "sandbox: no room for decompressed data" caught full "no room .*; .* TMPDIR"
expect "sandbox: a table has a limit" caught pieces "too many pieces.*; convert it with qemu-img"
expect "sandbox: a format that QEMU does not read" caught other_way "too many pieces for a table; use tar$"
# Root that may not raise limits of other users, as in many containers, leaves the first one.
raised=$((0x$(sed -n 's/^CapEff:\t//p' /proc/self/status) >> 24 & 1))
[ "$(id -u)" != 0 ] || [ $raised = 1 ] && seconds=2 || seconds=1
expect "sandbox: a loop with decompressed data" caught scratch_loop "had not ended after $seconds seconds of work"
for parser in unknown key short facts huge confined; do
	expect "sandbox: a message: $parser" caught $parser "sent something that makes no sense"
done
expect "sandbox: a text with escape codes" caught text 'has \\x1b\[31m red text'
expect "sandbox: no entries" caught early "made a table that is not valid"
expect "sandbox: data past the end of its file" caught past "not valid .past the end of a file."
expect "sandbox: a hole without a parent" caught hole "not valid .a hole in a table without holes."
expect "sandbox: no such file" caught number "not valid .no such file."
