#!/bin/sh
# Build the image named by the first argument: by docker where its engine answers, or else by buildah.
#
# BASE         another base image with Python 3.11 (docker/base.sh makes one from Debian's packages)
# BUILD_FLAGS  further flags, such as a volume with certificates or `--env` settings for pip behind a proxy:
#              the Dockerfile names no network
set -eu
cd "$(dirname "$0")/.."
image=${1:?usage: docker/build.sh IMAGE}

if [ ! -f bundle/manifest.json ]; then
  echo "There is no model in bundle/. Run: make bundle" >&2
  exit 2
fi
if [ -n "${BASE:-}" ]; then set -- --build-arg "BASE=$BASE"; else set --; fi

# shellcheck disable=SC2086  # BUILD_FLAGS holds several flags
if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
  exec docker build "$@" ${BUILD_FLAGS:-} --tag "$image" .
elif command -v buildah >/dev/null; then
  # The health check is no part of the default format.
  exec buildah bud --format docker "$@" ${BUILD_FLAGS:-} --tag "$image" .
fi
echo "Building an image needs docker with a running engine, or buildah (apt-get install buildah)." >&2
exit 2
