#!/bin/sh
# vipsthumbnail (libvips-tools), WORKERS processes at a time, 16 files per process, both flavors.
# It names what it writes after the source: the names the cache needs cannot be asked of it.
set -eu
tree=$1 thumbnails=$2 workers=$3
mkdir -p -m 700 "$thumbnails/large" "$thumbnails/normal"
export thumbnails VIPS_CONCURRENCY=1
find "$tree" -type f -print0 | xargs -0 -n 16 -P "$workers" sh -c '
  vipsthumbnail --size 256x256\> -o "$thumbnails/large/%s.png[strip]" "$@"
  vipsthumbnail --size 128x128\> -o "$thumbnails/normal/%s.png[strip]" "$@"
' sh
