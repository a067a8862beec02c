#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# dmg_judge.sh IMAGE OUT: writes the disk of a dmg with one block table, as 7-Zip reads it.
# It fails if 7-Zip finds no table, as it looks only for those that a map of resources names.
7z e -tdmg -so -bd "$1" > "$2" && [ -s "$2" ]
