# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Part cases: what is tried by name. See cases/lib.sh.

# Prints file and name of each.
cases_list() {
	local file

	for file in "$write_here"/cases/[0-9]*.sh; do
		# Others take long.
		[ -z "$QCOW_QUICK" ] || [[ ${file##*/} == [1-4]* ]] || continue
		sed -n "s/^case_\([a-z0-9_]*\)() {\$/\1/p" "$file" | tr _ - |
			sed "s/^/${file##*/} /"
	done | awk -v nth="${share%/*}" -v of="${share#*/}" 'NR % of == nth % of'
}

# Prints the name of the folder with their images. It is there for as long as neither
# the cases change, nor what makes their images, nor how many those are.
cases_id() {
	{ cat "$write_here"/cases/*.sh "$write_here"/{case.sh,craft.py,gpt.py}
	  qemu-img --version
	  echo "$QCOW_QUICK ${QCOW_LONG:-}"; } | sha256sum | cut -c1-16
}

# case_images ID FILE NAME: in a subshell: the images of a case, made once, in the
# current folder.
case_images() {
	local images made

	image_folder "cases-$1"
	made=$images/$3
	if [ ! -f "$made/done" ]; then
		rm -rf "$made"
		mkdir -p "$made/tree"
		(cd "$made/tree" && bash "$write_here/case.sh" make "$2" "$3") || return
		touch "$made/done"
	fi
	cp -a --sparse=always --reflink=auto "$made/tree/." .
}

cases_make() {
	local file name id

	id=$(cases_id)
	while read -r file name; do
		wanted "$name" || continue
		plan "$name"
		mkdir -p "$work/tree/cases/$name"
		if (cd "$work/tree/cases/$name" && case_images "$id" "$file" "$name") \
			> "$work/log" 2>&1; then
			echo "$file $name" >> "$work/cases.plan"
		else
			bad "$name" "it could not be made: $(tail -n 3 "$work/log")"
		fi
	done < <(cases_list)
	touch "$work/cases.plan"
}

# A case is good if the guest and the host say so.
cases_judge() {
	local file name

	touch "$work/cases.results" "$work/cases.verdicts"
	while read -r file name; do
		grep -qx "ok $name" "$work/cases.results" || continue
		if (cd "$work/tree/cases/$name" &&
		    bash "$write_here/case.sh" after "$file" "$name") > "$work/log" 2>&1; then
			echo "ok $name"
		else
			echo "not ok $name: afterwards: $(tail -n 4 "$work/log" | tr '\n' ' ')"
		fi >> "$work/cases.verdicts"
	done < "$work/cases.plan"
	judge_twice "$work/cases.results" "$work/cases.verdicts"
}
