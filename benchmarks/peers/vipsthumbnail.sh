#!/bin/sh
# vipsthumbnail (libvips-tools), WORKERS processes at a time, up to 16 files per process, once per
# flavor. It names what it writes after the source: the names the cache needs cannot be asked of it.
set -eu
tree=$1 thumbnails=$2 workers=$3
flavors=$(echo "$4" | tr , ' ')
files=$(find "$tree" -type f | wc -l)
each=$((files / (2 * workers) + 1))
[ "$each" -le 16 ] || each=16
for flavor in $flavors; do mkdir -p -m 700 "$thumbnails/$flavor"; done
export thumbnails flavors VIPS_CONCURRENCY=1
find "$tree" -type f -print0 | xargs -0 -n "$each" -P "$workers" sh -c '
  for flavor in $flavors; do
    case $flavor in normal) px=128 ;; large) px=256 ;; x-large) px=512 ;; *) px=1024 ;; esac
    vipsthumbnail --size "${px}x$px>" -o "$thumbnails/$flavor/%s.png[strip]" "$@"
  done
' sh
