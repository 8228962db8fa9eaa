#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes a release: a folder with the program and the libraries that it needs beside it, and an archive of it.
#
#   package.sh SOURCE BUILD INTO     makes INTO/tidemill-VERSION-linux-MACHINE and the same as .tar.zst (or .tar.gz)
#
# bin/tidemill finds lib/ by its run path ($ORIGIN/../lib), so that nothing has to be installed or set. The C library
# is the machine's own: it has to be as new as what was built against, which START.txt names. Build on the oldest
# system that the release is for. The same build gives the same archive, byte for byte.

set -euo pipefail
export LC_ALL=C
source=$1 build=$2 into=$3

# Parts of the C library, and what it belongs to.
of_the_system='^(linux-vdso|ld-linux.*|lib(c|m|mvec|dl|rt|pthread|resolv|util|nsl|anl|BrokenLocale))\.so'

fail() {
  printf 'mill: %s\n' "$@" >&2
  exit 5
}

# NAME PATH of each library that a program loads, its libraries' own included.
libraries() {
  ldd "$1" | awk '$2 == "=>" { print $1, $3 }' | sort
}

# The newest version of the C library that any of the files asks for.
needed_libc() {
  objdump -T "$@" 2>/dev/null | grep -oE 'GLIBC_2\.[0-9]+' | sort -uV | tail -n 1 | sed 's/GLIBC_//'
}

copy_libraries() {
  local name path package version
  printf '%-22s %-18s %s\n' file package version
  while read -r name path; do
    if [[ $name =~ $of_the_system ]]; then continue; fi
    [[ -f $path ]] || fail "the library $name, which the program needs, is not to be found" 'build on a system that has it'
    install -m 644 "$(readlink -f "$path")" "$to/lib/$name"
    package=$(owner "$path")
    version=
    if [[ -n $package ]]; then
      version=$(dpkg-query -W -f '${Version}' "$package")
      install -m 644 "/usr/share/doc/${package%:*}/copyright" "$to/licences/${package%:*}"
    fi
    printf '%-22s %-18s %s\n' "$name" "${package%:*}" "$version"
  done < <(libraries "$to/bin/tidemill")
}

# Terms that copyright files only name, by their place in Debian.
copy_terms() {
  local path
  while read -r path; do
    if [[ -f $path ]]; then install -D -m 644 "$(readlink -f "$path")" "$to/licences/common/${path##*/}"; fi
  done < <(grep -rhoE '/usr/share/common-licenses/[A-Za-z][A-Za-z0-9.-]*[A-Za-z0-9]' "$to/licences" | sort -u)
}

# The package that a library is from; nothing where there is no dpkg, or the file is of none.
owner() {
  local file
  file=$(readlink -f "$1")
  { dpkg-query -S "$file" "${file#/usr}" 2>/dev/null || true; } | sed -n 's/^\([^,]*\): .*/\1/p' | head -n 1
}

start_text() {
  cat <<END
Tidemill $version for Linux on $machine

Needs the C library glibc $libc or newer (\`ldd --version\` tells: Debian 12 has 2.36, Ubuntu 24.04 has 2.39, Debian 13
has 2.41), and nothing else: no root, no package. The folder may lie anywhere and be moved.

  bin/tidemill doctor                        what this machine has and lacks
  bin/tidemill init text my-model            a first graph that runs
  ln -s \$PWD/bin/tidemill ~/.local/bin/      to call it by its name
  man -M share/man tidemill                  the manual pages
  eval "\$(bin/tidemill completion bash)"     completion (zsh, fish)

docs/ are the pages to read, graphs/ and examples/ graphs to start from. The main job takes documents of your own:
bin/tidemill run graphs/quickstart.lua --set corpus=FOLDER

lib/ has the libraries that the program needs, as their packages have them (LIBRARIES.txt); licences/ has the terms of
each (licences/common those that they refer to). Their sources are those of the packages: apt-get source PACKAGE=VERSION.
END
}

copy_pages() {
  local part
  for part in README.md LICENSE docs graphs examples; do
    if [[ -e $source/$part ]]; then
      (cd "$source" && find "$part" -type f ! -path '*/.tidemill/*' ! -path '*/dist/*' ! -path '*/__pycache__/*' \
        -exec install -D -m 644 {} "$to/{}" \;)
    fi
  done
  for part in "$build"/lua/editor/man/*.1; do install -D -m 644 "$part" "$to/share/man/man1/${part##*/}"; done
  install -D -m 644 "$source/lua/editor/completion/tidemill.bash" "$to/share/bash-completion/completions/tidemill"
  install -D -m 644 "$source/lua/editor/completion/tidemill.zsh" "$to/share/zsh/site-functions/_tidemill"
  install -D -m 644 "$source/lua/editor/completion/tidemill.fish" "$to/share/fish/vendor_completions.d/tidemill.fish"
}

# The time of the last commit: another one for every release, the same for the same release.
release_time() {
  git -C "$source" log -1 --format=%ct 2>/dev/null || echo 1767225600
}

# Sorted, of nobody, at one time.
archive() {
  local tar=(tar --create --directory "$into" --sort=name --format=gnu --owner=0 --group=0 --numeric-owner
    --mode=u=rwX,go=rX "--mtime=@$(release_time)" "$name")
  rm -f "$into/$name".tar.*
  if command -v zstd >/dev/null; then
    "${tar[@]}" | zstd -q -9 -o "$into/$name.tar.zst"
    echo "$into/$name.tar.zst"
  else
    "${tar[@]}" | gzip -9n >"$into/$name.tar.gz"
    echo "$into/$name.tar.gz"
  fi
}

command -v objdump >/dev/null || fail 'objdump is missing' 'to install it: apt-get install binutils'
version=$("$build/tidemill" --version | awk '{ print $2 }')
machine=$(uname -m)
name=tidemill-$version-linux-$machine
to=$into/$name
if [[ -e $to && ! -f $to/LIBRARIES.txt ]]; then fail "$to is there, and is no release" 'name another folder: mill package DIR'; fi
rm -rf "$to"
mkdir -p "$to/lib" "$to/licences"
install -D -m 755 "$build/tidemill" "$to/bin/tidemill"
copy_libraries >"$to/LIBRARIES.txt"
copy_terms
libc=$(needed_libc "$to"/bin/* "$to"/lib/*)
copy_pages
start_text >"$to/START.txt"
made=$(archive)
printf '%s: %s\n' "$to" "$(du -sh --apparent-size "$to" | cut -f 1)"
printf '%s: %s\n' "$made" "$(du -h --apparent-size "$made" | cut -f 1)"
printf 'needs glibc %s or newer\n' "$libc"
