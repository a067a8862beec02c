# SPDX-License-Identifier: GPL-2.0
# Stages of the shutdown: calls that hang keep no time from those that do not.
# shellcheck shell=bash disable=SC2154

source=$here/../../userspace/src
${CC:-cc} -O1 -I"$source" -I"$here"/../../{include/uapi,drivers/block,drivers/block/qcow} \
	-o stages "$here/stages.c" "$source"/boot/limited.c "$source"/lib/{clock,memory,report,text}.c || exit 1
run limited ./stages
expect "stages: the calls of one wait together" is "hanging and healthy: 1, one limit
hanging still, and refused: 0, at once
nothing: 0" "$(cat out)"
expect "stages: those that hang are named, once" is \
	"$(printf 'stages: call %d: takes long; going on without it\n' 0 1 2 3 4 5)" "$(sort err)"
