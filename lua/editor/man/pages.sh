#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writes the manual pages: pages.sh PROGRAM FOLDER COMMAND...
set -e
program=$1 folder=$2
shift 2
"$program" man >"$folder/tidemill.1"
for command; do
  "$program" man "$command" >"$folder/tidemill-$command.1"
done
