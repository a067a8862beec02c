#!/usr/bin/zsh -f
# SPDX-License-Identifier: GPL-2.0
#
# offered.zsh FOLDER: reads lines that begin with "qcowctl ". For each, prints the words that
# zsh offers after a TAB at its end, and in a last line "= LINE" the line as it is then.
# FOLDER has the completion.
zmodload zsh/zpty
out=$(mktemp)
trap 'zpty -d z 2>/dev/null; rm -f $out' EXIT

zpty z env -i HOME=/nonexistent TERM=dumb LC_ALL=C.UTF-8 PATH=$PATH zsh -f -i
# ready COMMAND: runs it, and waits for its end. What the terminal echoes is not "@1@".
ready() {
	local answer
	zpty -w z "$1; echo @\$((1))@"
	zpty -r -m z answer '*@1@*' || exit 1
}
ready 'PROMPT= RPROMPT= PROMPT_EOL_MARK=; unset zle_bracketed_paste'
ready "fpath=(${(q)1} \$fpath); autoload -Uz compinit; compinit -D -u"
ready "out=${(q)out}; setopt no_always_last_prompt no_list_beep; LISTMAX=0"
# Every word that is offered goes through compadd; -O, -A and -D only ask which fit.
ready 'compadd() {
	local -a hits
	if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
		builtin compadd -A hits "$@"
		print -rl -- $hits >> $out
	fi
	builtin compadd "$@"
}'
ready 'told() { print -r -- "= $BUFFER" >> $out; BUFFER=; zle accept-line }; zle -N told; bindkey "^X" told'

while IFS= read -r line; do
	: > $out
	zpty -w -n z "$line"$'\t\x18'
	ready ':'
	# A file may be offered as each of two kinds.
	awk 'length && !seen[$0]++' $out
done
