# SPDX-License-Identifier: GPL-2.0
# The completion of zsh and fish, from the folders where "make install" puts it. That of bash
# is tried in other parts. shellcheck shell=bash

make -s -C "$here/../../userspace" install DESTDIR="$T/installed" || exit 1
zsh_folder=/usr/share/zsh/vendor-completions
fish_folder=$(pkg-config --variable completionsdir fish)

expect "shells: zsh looks into that folder" has "$zsh_folder" <(zsh -fc 'print -l $fpath')
expect "shells: fish looks into that folder" is "/usr/share/fish/vendor_completions.d" "$fish_folder"
expect "shells: their files are there" test -s "installed$zsh_folder/_qcowctl" -a \
	-s "installed$fish_folder/qcowctl.fish" -a \
	-s installed/usr/share/bash-completion/completions/qcowctl

# by_zsh FOLDER: reads lines; each is printed behind "= " and the words that zsh offers in it
by_zsh()
{
	PATH=$T/bin:$PATH limited zsh -f "$here/offered.zsh" "$1" 2>/dev/null
}

# by_fish FILE: the same of fish
by_fish()
{
	mkdir -p home
	# shellcheck disable=SC2016
	HOME=$T/home PATH=$T/bin:$PATH limited fish --no-config -c 'source $argv[1]
		while read -l line
			complete -C "$line" | string replace -r "\t.*" ""
			echo "= $line"
		end' "$1" 2>/dev/null
}

# words_of N: of such output the words in the Nth line, sorted
words_of()
{
	awk -v n="$1" '/^= / { if (++line == n) exit; next } line == n - 1' | sort
}

# options_of COMMAND: those of the table, as they are offered
options_of()
{
	"$Q" --completion "$1" | sed -nE 's/^(--[a-z-]*)=( -.=)? (json)$/\1=\3/p; t; s/^(--[a-z-]*).*/\1/p' | sort
}

fake_root
image snapshots.qcow2
# shellcheck disable=SC2016
for name in 'plain' 'two words' '$(touch pwned)' '`touch pwned`' '$IFS' '~' "it's" 'a:b' 'c\d' '*'; do
	qemu-img snapshot -c "$name" snapshots.qcow2
done
mkdir -p 'some folder'

mapfile -t commands < <("$Q" --completion)
{
	printf 'qcowctl %s --\n' "${commands[@]}"
	cat <<- 'END'
		qcowctl at
		qcowctl help sn
		qcowctl check --repair=
		qcowctl check -r l
		qcowctl create -o clus
		qcowctl attach -r snapsh
		qcowctl attach --key-file=snapsh
		qcowctl attach --backing so
		qcowctl detach q
		qcowctl snapshot 
		qcowctl snapshot create /dev/q
		qcowctl snapshot delete --key-file=x snapshots.qcow2 
		qcowctl snapshot delete --key-file x -v snapshots.qcow2 t
		qcowctl snapshot create snapshots.qcow2 
		qcowctl nonsense 
	END
} >lines
by_zsh "installed$zsh_folder" <lines >zsh.out
by_fish "installed$fish_folder/qcowctl.fish" <lines >fish.out

# offers SHELL N NAME EXPECTED: the words, sorted, on one line
offers()
{
	expect "$1: $3" is "$4" "$(words_of "$2" <"$1.out" | paste -sd ' ')"
}

for shell in zsh fish; do
	expect "$shell: has answered each line" is "$(wc -l <lines)" "$(grep -c '^= ' $shell.out)"
	n=0
	for command in "${commands[@]}"; do
		offers $shell $((++n)) "options of $command" "$(options_of "$command" | paste -sd ' ')"
	done
	offers $shell $((++n)) "a command" "attach"
	offers $shell $((++n)) "a command to help with" "snapshot"
	[ $shell = zsh ] && option='' || option=--repair=
	offers $shell $((++n)) "values behind =" "${option}all ${option}leaks"
	offers $shell $((++n)) "a value" "leaks"
	offers $shell $((++n)) "a value that goes on" "cluster_size="
	offers $shell $((++n)) "a file" "snapshots.qcow2"
	[ $shell = zsh ] && option='' || option=--key-file=
	offers $shell $((++n)) "a file behind =" "${option}snapshots.qcow2"
	# zsh offers a word as it is put into the line, fish as it is.
	[ $shell = zsh ] && folder='some\ folder' || folder='some folder/'
	offers $shell $((++n)) "a folder" "$folder"
	offers $shell $((++n)) "a device's short name" "qcow0"
	offers $shell $((++n)) "operations" "apply create delete list"
	offers $shell $((++n)) "a device" "/dev/qcow0"
	# shellcheck disable=SC2016
	[ $shell = fish ] && names='$(touch pwned) $IFS * `touch pwned` a:b c\d it'"'"'s plain two words ~' ||
		names='\$IFS \$\(touch\ pwned\) \* \`touch\ pwned\` \~ a:b c\\d it\'"'"'s plain two\ words'
	n=$((n + 1))
	expect "$shell: snapshots" is "$(tr ' ' '\n' <<<"$names" | sort)" \
		"$(words_of $n <$shell.out | tr ' ' '\n' | sort)"
	[ $shell = zsh ] && folder='two\ words' || folder='two words'
	offers $shell $((++n)) "a snapshot of several words" "$folder"
	offers $shell $((++n)) "no names for a new snapshot" ""
	offers $shell $((++n)) "no such command" ""
done
expect "zsh: a word is put into the line" has '= qcowctl attach -r snapshots.qcow2 ' zsh.out
expect "zsh: a name is quoted" has '= qcowctl snapshot delete --key-file x -v snapshots.qcow2 two\\ words ' zsh.out
expect "shells: nothing of it is run" is "" "$(ls pwned 2>/dev/null)"

# None of that comes from the shells themselves.
mkdir -p nothing
expect "shells: without the file zsh offers nothing" is "= qcowctl at" "$(by_zsh nothing <<<'qcowctl at')"
expect "shells: without the file fish offers no command" is "" \
	"$(by_fish /dev/null <<<'qcowctl at' | grep -x attach)"
