#!/usr/bin/env bash
# Runs a command with software Vulkan (Mesa's lavapipe), for tests of devices on a machine without a GPU.
#
#   scripts/software-vulkan.sh COMMAND …     run the command with it
#   scripts/software-vulkan.sh               print the variables to set, for eval
#
# The packages come from Debian with apt's ordinary client and are extracted into a folder: nothing is installed, no
# root is needed, nothing of the system changes. Needs apt-get, dpkg-deb and Debian's archive keyring; x86-64, glibc
# 2.36 or newer (Debian 12, Ubuntu 23.04).
#   FAIRLEAD_SOFTWARE_VULKAN   the folder; default ~/.cache/fairlead/software-vulkan. Compiled shaders stay there, too.
#   DEBIAN_MIRROR              default the mirror of the system's own apt
set -euo pipefail
folder=${FAIRLEAD_SOFTWARE_VULKAN:-${XDG_CACHE_HOME:-$HOME/.cache}/fairlead/software-vulkan}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
libraries=$folder/root/usr/lib/x86_64-linux-gnu
driver=$folder/lavapipe.json

# Which package has a library that Mesa needs and the system may lack.
declare -A package_of=(
  [libvulkan.so.1]=libvulkan1 [libLLVM-15.so.1]=libllvm15 [libLLVM.so.19.1]=libllvm19 [libz3.so.4]=libz3-4
  [libwayland-client.so.0]=libwayland-client0 [libX11.so.6]=libx11-6 [libX11-xcb.so.1]=libx11-xcb1
  [libXau.so.6]=libxau6 [libXdmcp.so.6]=libxdmcp6 [libxcb.so.1]=libxcb1 [libxcb-dri3.so.0]=libxcb-dri3-0
  [libxcb-present.so.0]=libxcb-present0 [libxcb-randr.so.0]=libxcb-randr0 [libxcb-shm.so.0]=libxcb-shm0
  [libxcb-sync.so.1]=libxcb-sync1 [libxcb-xfixes.so.0]=libxcb-xfixes0 [libxshmfence.so.1]=libxshmfence1
  [libedit.so.2]=libedit2 [libtinfo.so.6]=libtinfo6 [libxml2.so.2]=libxml2 [libicuuc.so.72]=libicu72
  [libelf.so.1]=libelf1 [libbsd.so.0]=libbsd0 [libmd.so.0]=libmd0
)

fail () { echo "software-vulkan: $*" >&2; exit 1; }

# Lists of its own, so that the system's need not have backports: a Mesa that Dawn accepts comes from there.
write_lists () {
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror suite
  mirror=${DEBIAN_MIRROR:-$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
    grep -E '^(URIs:|deb )' | grep -oE '(https?|file)://[^ ]+/debian/?' | sed -n 1p || true)}
  [ -n "$mirror" ] || fail "apt's sources name no Debian mirror: set DEBIAN_MIRROR"
  mkdir -p "$folder"/apt/{lists/partial,archives/partial,debs,empty,log} "$folder/root"
  touch "$folder/apt/status"
  for suite in bookworm bookworm-backports; do
    echo "deb [signed-by=$keyring arch=amd64] ${mirror%/} $suite main"
  done > "$folder/apt/sources.list"
}

apt () {
  local apt=$folder/apt
  apt-get -qq -o APT::Architecture=amd64 -o Acquire::Languages=none \
    -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false \
    -o Dir::State="$apt" -o Dir::State::lists="$apt/lists" -o Dir::State::status="$apt/status" \
    -o Dir::Cache="$apt" -o Dir::Cache::archives="$apt/archives" -o Dir::Log="$apt/log" \
    -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts="$apt/empty" \
    -o Dir::Etc::preferencesparts="$apt/empty" -o APT::Sandbox::User="$(id -un)" \
    -o APT::Update::Post-Invoke::= -o APT::Update::Post-Invoke-Success::= "$@" >&2
}

extract () {
  (cd "$folder/apt/debs" && apt download "$@")
  local deb
  for deb in "$folder"/apt/debs/*.deb; do
    dpkg-deb -x "$deb" "$folder/root"
    rm "$deb"
  done
  # A few libraries lie in /lib.
  [ ! -d "$folder/root/lib/x86_64-linux-gnu" ] || cp -a "$folder"/root/lib/x86_64-linux-gnu/. "$libraries/"
}

missing_libraries () {
  LD_LIBRARY_PATH=$libraries ldd "$libraries/libvulkan_lvp.so" | awk '/not found/{print $1}' | sort -u
}

fetch () {
  command -v apt-get dpkg-deb > /dev/null || fail 'needs apt-get and dpkg-deb: a Debian or Ubuntu system'
  write_lists
  apt update
  extract {mesa-vulkan-drivers,libdrm2,libdrm-amdgpu1}/bookworm-backports
  /sbin/ldconfig -p 2> /dev/null | grep -q 'libvulkan\.so\.1' || extract libvulkan1
  local name packages
  # A library that was missing may need others.
  for _ in 1 2 3 4; do
    packages=()
    for name in $(missing_libraries); do
      [ -n "${package_of[$name]:-}" ] || fail "no package is known for $name"
      packages+=("${package_of[$name]}")
    done
    [ ${#packages[@]} -gt 0 ] || break
    extract "${packages[@]}"
  done
  # Drivers of real devices are not to be found by the tests.
  find "$libraries" -name 'libvulkan_*.so' ! -name libvulkan_lvp.so -delete
  rm -rf "$folder/apt" "$folder/root/usr/share"
  mkdir -p "$folder/run"
  chmod 700 "$folder/run"
  printf '{"ICD":{"api_version":"1.4.305","library_path":"%s"},"file_format_version":"1.0.0"}\n' \
    "$libraries/libvulkan_lvp.so" > "$driver"
}

[ -f "$driver" ] || fetch
variables=(
  "VK_ICD_FILENAMES=$driver"
  "LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
  "XDG_RUNTIME_DIR=$folder/run"
  "MESA_SHADER_CACHE_DIR=$folder/shaders"
)
[ $# -eq 0 ] || exec env "${variables[@]}" "$@"
printf 'export %s\n' "${variables[@]}"
