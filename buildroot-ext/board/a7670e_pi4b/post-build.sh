#!/bin/sh
# Runs before the root file system is packed; $1 is the target folder.
set -eu

# An account without a password must not be one that anybody may use: keys come
# with the card's unit.toml.
if ! grep -q '^root:\*:' "$1/etc/shadow"; then
	echo "$0: root can log in without a key: BR2_TARGET_ENABLE_ROOT_LOGIN must be off" >&2
	exit 1
fi

# Where the boot partition is mounted for a moment at each start.
mkdir -p "$1/boot/firmware"
