#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# dmg_judge.sh IMAGE OUT: writes the disk of a dmg with one block table, as 7-Zip reads it.
set -o pipefail
exec 7z e -tdmg -so -bd "$1" > "$2"
