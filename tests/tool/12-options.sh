# SPDX-License-Identifier: GPL-2.0
# The tables of options and columns, and the manual and the completion, which have to
# tell the same. shellcheck shell=bash

man=$here/../../userspace/man/qcowctl.8

# option_words COMMAND: its options as the table has them, a spelling in each line
option_words()
{
	"$Q" --completion "$1" | grep -E '^-' | tr ' ' '\n' | grep -E '^-' | sed 's/=$//' |
		grep -vx -e --help -e -h | sort
}

# man_section MANUAL COMMAND: its section
man_section()
{
	awk -v want=".Ss $2" '/^\.S[hs] / { on = $0 == want } on' "$1"
}

# man_described MANUAL COMMAND: the options that the section describes
man_described()
{
	man_section "$1" "$2" | sed -n 's/^\.It Fl //p' | man_spellings
}

# man_synopsis MANUAL COMMAND: those that the synopsis has
man_synopsis()
{
	awk -v command="$2" '/^\.S[hs] / { on = $2 == "SYNOPSIS" }
		!on { next }
		/^\.Nm/ { mine = 0 }
		/^\.Cm/ { for (i = 2; i <= NF; i++)
				if ($i == command && (i == 2 || $(i - 1) == "|")) mine = 1 }
		mine && /(^\.| )Fl / { sub(/^.*\.(Op )?Fl /, ""); print }
		mine && /^\.Fl / { print }' "$1" | sed 's/^\.Fl //' | man_spellings
}

# Of lines behind "Fl": "Jnb", "f Ar format", "r , Fl -repair Ar what", "-lazy | Fl -force"
man_spellings()
{
	sed 's/ [|,] Fl /\n/g; s/ Fl /\n/g' | sed 's/ .*//' |
		sed -E '/^-/!s/(.)/\1\n/g' | grep . | sed 's/^/-/' | sort -u
}

# disagreements MANUAL: each option that the table has and the manual has not, and the
# reverse. In the synopsis one spelling of an option will do.
disagreements()
{
	local command words

	for command in $("$Q" --completion); do
		words=$(option_words "$command")
		diff <(echo "$words") <(man_described "$1" "$command") |
			sed -n "s/^</$command: not described:/p; s/^>/$command: unknown:/p"
		comm -13 <(echo "$words") <(man_synopsis "$1" "$command") |
			sed "s/^/$command: unknown in the synopsis: /"
		"$Q" --completion "$command" | grep '^-' | grep -v '^--help' |
		while read -ra words; do
			printf '%s\n' "${words[@]}" | grep '^-' | sed 's/=$//' |
				grep -qxFf - <(man_synopsis "$1" "$command") ||
				echo "$command: not in the synopsis: ${words[0]}"
		done
	done
	diff <("$Q" --completion list | sed -n 's/^--output= -O= //p' | tr ' ' '\n') \
		<(man_section "$1" list | sed -n 's/^\.It \([A-Z][A-Z].*\)/\1/p') |
		sed -n 's/^</column not described:/p; s/^>/unknown column:/p'
}

expect "options: as the manual has them" is "" "$(disagreements "$man")"
expect "options: each command has some" is "$("$Q" --completion | wc -l)" \
	"$(for command in $("$Q" --completion); do option_words "$command" | grep -c . ; done | grep -vc '^0$')"

# None of that would be seen if nothing were: mistakes in a copy of the manual are found.
# mistaken NAME EXPECTED SED_COMMAND
mistaken()
{
	sed "$3" "$man" >mistaken.8
	expect "options: $1" is "$2" "$(disagreements mistaken.8)"
}
mistaken "one not described" "attach: not described: --salvage" '/^\.It Fl -salvage/d'
mistaken "one without its letter" "attach: not described: -f" \
	'0,/^\.It Fl f , Fl -format/s//.It Fl -format/'
mistaken "one that there is not" "attach: unknown: --salvages" \
	'/^\.It Fl -salvage$/s/.*/&\n.It Fl -salvages/'
mistaken "one not in the synopsis" "attach: not in the synopsis: --offset=" '0,/^\.Op Fl -offset /{//d}'
mistaken "a letter not in the synopsis" "list: not in the synopsis: --bytes" 's/^\.Op Fl Jnb/.Op Fl Jn/'
mistaken "one too many in the synopsis" "list: unknown in the synopsis: -x" 's/^\.Op Fl Jnb/.Op Fl Jnbx/'
mistaken "a column not described" "column not described: LOG-SEC" '/^\.It LOG-SEC/d'
mistaken "a column that there is not" "unknown column: COLOUR" 's/^\.It LOG-SEC/&\n.It COLOUR/'

# documented FILE...: commands and options in documents that there are not
documented()
{
	python3 "$here/documented.py" "$Q" "$@" 2>&1
}
expect "options: as documents name them" is "" \
	"$(documented "$here"/../../Documentation/*.rst "$here"/../../*.md)"
cat >mistaken.rst <<- 'END'
	``attach --tempo``, ``detach --lazy``, ``qcowctl atach x``::

	    # qcowctl list -Z
	    # qcowctl stat -i 5 --jason
END
expect "options: mistakes in a document" is "$(cat <<- 'END'
	mistaken.rst: attach has no option --tempo
	mistaken.rst: list has no option -Z
	mistaken.rst: stat has no option --jason
	mistaken.rst: there is no command atach
END
)" "$(documented mistaken.rst)"

# The usage and the completion come from the same tables.
for command in $("$Q" --completion); do
	expect "usage: $command" is "$(option_words "$command")" \
		"$("$Q" help "$command" | sed -nE 's/^ (-.,)? *--.*/&/p' |
		grep -oE '^ (-.,)? *--[a-z-]+' | tr -d ' ' | tr ',' '\n' | grep -vx -e --help -e -h | sort)"
	expect "completion: options of $command" is "$("$Q" --completion "$command" |
		sed -nE 's/^(--[a-z-]*)=( -.=)? (json)$/\1=\3/p; t; s/^(--[a-z-]*).*/\1/p')" \
		"$(offered "$command" --)"
done
expect "completion: an option's letter" is 'leaks all' "$(offered check -r "" | paste -sd ' ')"
expect "completion: the same letter without a value" is '' "$(offered attach -r x)"
expect "completion: columns" is 'MAJ:MIN' "$(offered list -O MA)"
expect "completion: operations" is 'remove' "$(offered bitmap re)"
expect "completion: commands to help with" is 'stat snapshot stream' "$(offered help s | paste -sd ' ')"
expect "completion: no such command" is '' "$(offered nonsense --)"
# shellcheck disable=SC2016
offered attach 'x[$(touch pwned)]' -- >/dev/null
expect "completion: nothing of a word before is run" is "" "$(ls pwned 2>/dev/null)"
run qcowctl --completion nonsense
expect "completion: the tool, of no such command" is "1 0" "$code $(wc -c <out)"
