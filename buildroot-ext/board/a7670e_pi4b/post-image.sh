#!/bin/sh
# Puts the card's image together. BINARIES_DIR and BUILD_DIR are Buildroot's.
set -eu

# The most that the card's image may have, in bytes.
most=40000000

config="$(dirname "$0")/genimage.cfg"

# genimage copies its root folder; the root file system is packed already.
empty="$(mktemp -d)"
trap 'rm -rf "$empty"' EXIT
rm -rf "$BUILD_DIR/genimage.tmp"
genimage \
	--rootpath "$empty" \
	--tmppath "$BUILD_DIR/genimage.tmp" \
	--inputpath "$BINARIES_DIR" \
	--outputpath "$BINARIES_DIR" \
	--config "$config"

size="$(wc -c < "$BINARIES_DIR/sdcard.img")"
if [ "$size" -gt "$most" ]; then
	echo "$0: sdcard.img has $size bytes, at most $most are allowed" >&2
	exit 1
fi
