#!/bin/sh
# System libraries that Qt and the build of llama-cpp-python need on Debian and Ubuntu.
# Installed when root; otherwise named in one line, and the caller goes on.
set -eu
packages="g++ libegl1 libgl1 libxkbcommon0 libxkbcommon-x11-0 libdbus-1-3 libfontconfig1 libglib2.0-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 fonts-dejavu-core $*"
command -v dpkg-query >/dev/null 2>&1 || { echo "Not Debian or Ubuntu: install the libraries that Qt 6 needs yourself."; exit 0; }
missing=""
for package in $packages; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ]; then
    echo "Installing system libraries:$missing"
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of names
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "System libraries are missing; have somebody run: sudo apt-get install -y$missing"
fi
