# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Arguments and images that nobody gives by mistake.

case_abuse_ioctl() {
	qcowtest abuse "$IMAGES/extra/plain.qcow2" "$IMAGES/refuse"
}

case_abuse_mutants() {
	qcowtest mutate "${QCOW_SEED:-1}" "${QCOW_MUTANTS:-1000}" "$IMAGES"/extra/mutant?
}
