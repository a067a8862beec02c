# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Part cases: cases that have names. See cases/lib.sh.

# Prints file and name of each. Kernels do not share the cases of a kind of fault that each
# of them had in its own way.
cases_list() {
	local file

	for file in "$write_here"/cases/[0-9]*.sh; do
		# Others take long.
		[ -z "$QCOW_QUICK" ] || [[ ${file##*/} == [1-4]* ]] || continue
		sed -n "s/^case_\([a-z0-9_]*\)() {\$/\1/p" "$file" | tr _ - |
			sed "s/^/${file##*/} /"
	done | awk -v nth="${share%/*}" -v of="${share#*/}" '$2 ~ /^mixed-/ || NR % of == nth % of'
}

# case_id FILE: prints an id of all that makes the images of the cases in FILE: also of
# other files of cases that it names.
case_id() {
	local name files=("$write_here"/{cases/lib.sh,case.sh,craft.py,gpt.py} "$write_here/cases/$1")

	while read -r name; do
		[ ! -f "$write_here/cases/$name" ] || files+=("$write_here/cases/$name")
	done < <(grep -oE '[0-9]+-[a-z0-9-]+[.]sh' "$write_here/cases/$1" | sort -u)
	{ cat "${files[@]}"
	  echo "$qemu_version $QCOW_QUICK ${QCOW_LONG:-}"; } | sha256sum | cut -c1-16
}

# case_images FILE NAME ID: in a subshell: the images of a case, made once, in the
# current folder.
case_images() {
	local images id=$3

	image_folder "case-$2${QCOW_QUICK:+-quick}${QCOW_LONG:+-long}"
	if ! grep -qsx "$id" "$images/id"; then
		rm -rf "$images/id" "$images/tree"
		mkdir "$images/tree"
		(cd "$images/tree" && bash "$write_here/case.sh" make "$1" "$2") || return
		echo "$id" > "$images/id"
	fi
	cp -a --sparse=always --reflink=auto "$images/tree/." .
}

cases_make() {
	local file name qemu_version
	local -A ids=()

	qemu_version=$(qemu-img --version)
	while read -r file name; do
		wanted "$name" || continue
		plan "$name"
		mkdir -p "$work/tree/cases/$name"
		[ "${ids[$file]:-}" ] || ids[$file]=$(case_id "$file")
		if (cd "$work/tree/cases/$name" && case_images "$file" "$name" "${ids[$file]}") \
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
