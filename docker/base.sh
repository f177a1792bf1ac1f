#!/bin/sh
# Make a base image with Python 3.11 from Debian's packages, where images cannot be pulled. Needs root,
# debootstrap and buildah. The image's name is the first argument, or what the Dockerfile asks for.
set -eu
image=${1:-localhost/python:3.11-slim-bookworm}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$root"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*

container=$(buildah from scratch)
buildah copy --quiet "$container" "$root" /
buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
buildah commit --quiet --rm "$container" "$image"
echo "Made $image"
