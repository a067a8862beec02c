# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Devices of the driver below devices of the driver.

case_nested_filesystem() {
	mkdir outer inner
	attach "$IMAGES/extra/outer.qcow2"
	outer=$dev
	mount -o ro "$outer" outer
	attach outer/inner.qcow2
	same_content "$IMAGES/extra/inner.raw" "$dev"
	mount -o ro "$dev" inner
	(cd inner && sha256sum --quiet -c sums)
	umount inner
	detach "$dev"
	attach --direct-io off outer/inner.qcow2
	same_content "$IMAGES/extra/inner.raw" "$dev"
	detach "$dev"
	umount outer
	detach "$outer"
}

case_nested_all() {
	mkdir outer
	attach "$IMAGES/extra/outer.qcow2"
	mount -o ro "$dev" outer
	attach outer/inner.qcow2
	hold_back=0
	qcowctl detach --all || hold_back=$?
	is 1 $hold_back
	is 1 "$(qcowctl list -n | wc -l)"
	umount outer
	qcowctl detach --all
}

# An image on a device of the driver, and raw on top of that
case_nested_device() {
	attach -f raw "$IMAGES/extra/plain.qcow2"
	below=$dev
	attach "$below"
	same_content "$IMAGES/extra/plain.raw" "$dev"
	middle=$dev
	attach -f raw "$middle"
	same_content "$IMAGES/extra/plain.raw" "$dev"
	detach "$dev"
	exits 1 "$below used by $middle" qcowctl detach "$below"
	detach "$middle"
	detach "$below"
}

# Deeper than any user builds it
case_nested_deep() {
	attach -f raw "$IMAGES/extra/plain.raw"
	devices=("$dev")
	for _ in $(seq 12); do
		attach -f raw "$dev"
		devices=("$dev" "${devices[@]}")
	done
	same_content "$IMAGES/extra/plain.raw" "$dev"
	qcowtest read "$dev" 0 65536 direct
	for dev in "${devices[@]}"; do
		detach "$dev"
	done
}
