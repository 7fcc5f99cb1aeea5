# shellcheck shell=bash
# Debian's kernels for the lab: found, downloaded and unpacked below the cache, never installed. Sourced by lab/run.
#
# One kernel is one folder, complete from the moment it has its name:
#   vmlinuz  config  release  packages  lib/modules/RELEASE/

: "${here:?the folder of the lab}"

# shellcheck disable=SC2034 # for the script that sources this one
kernel_names=(6.1 6.12 7)
cache=${HOLDFAST_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/holdfast}

# The suites of Debian that hold a kernel; -security is added where the machine itself has such a source. "kasan" is built by lab/build-kasan.
kernel_suite() {
  case $1 in
    6.1) echo bookworm ;;
    6.12) echo trixie ;;
    7) echo trixie-backports ;;
    kasan) echo - ;;
    *) return 1 ;;
  esac
}

kernel_dir() { echo "$cache/kernels/$1"; }

# What initramfs and guest need of every kernel; unpacked when fetched, so that the guest does not spend time on it.
kernel_modules=(
  virtio_pci 9pnet_virtio 9p overlay                 # to reach the root
  nfit nd_pmem xfs ext4 loop                         # storage
  ib_uverbs rdma_ucm rdma_rxe veth                   # RDMA
)

# apt_private DIR: an apt that has its own sources, lists and status below DIR, and the machine's proxies and keys.
apt_options=()
apt_private() {
  mkdir -p "$1"/{lists,cache,state}
  : >"$1/status"
  apt_options=(
    -o "Dir::Etc::sourcelist=$1/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
    -o "Dir::State=$1/state" -o "Dir::State::lists=$1/lists" -o "Dir::State::status=$1/status"
    -o "Dir::Cache=$1/cache" -o APT::Sandbox::User=root -o APT::Architecture=amd64 -o APT::Architectures::=amd64
    -o Acquire::Languages=none -o Acquire::Retries=2 -o APT::Update::Error-Mode=any -q
  )
}

# debian_mirrors DIR: "LABEL URI" of each of the machine's own sources that is Debian's, whichever format they are written in.
debian_mirrors() {
  local format="\$(ORIGIN) \$(LABEL) \$(REPO_URI)" lines
  lines=$(apt-get indextargets --format "$format" 'Created-By: Packages')
  if [ -z "$lines" ]; then # never updated: read what the sources say of themselves, into a place of our own
    mkdir -p "$1/own-lists/partial"
    apt-get -q -o "Dir::State::lists=$1/own-lists" -o APT::Sandbox::User=root -o APT::Update::Error-Mode=any update >"$1/log" 2>&1 || {
      tail -n 5 "$1/log" >&2
      return 1
    }
    lines=$(apt-get -o "Dir::State::lists=$1/own-lists" indextargets --format "$format" 'Created-By: Packages')
  fi
  awk '$1 == "Debian" && !seen[$2]++ {print $2, $3}' <<<"$lines"
}

# fetch_begin WHAT DIR: the head of what fetches DIR, in a subshell: ends it where DIR is there, else leaves the place for it in $new.
fetch_begin() {
  local parent
  parent=$(dirname "$2")
  [ ! -e "$2" ] || exit 0
  command -v apt-get dpkg >/dev/null ||
    lab_die "$1 is not in $cache and only a Debian machine can fetch it. Next: copy the folder ${2#"$cache"/} from one"
  mkdir -p "$parent"
  exec {lock}>"$cache/lock"
  flock -n "$lock" || { say "waiting for another fetch to end"; flock "$lock"; }
  [ ! -e "$2" ] || exit 0
  rm -rf "$parent"/.new-* # left by an interrupted fetch; the lock says that nobody is at it
  new=$(mktemp -d "$parent/.new-XXXXXX")
  trap 'rm -rf "$new"' EXIT
  trap 'exit 130' INT TERM
}

# suite_update SUITE: apt_options read the lists of that suite, below $new.
suite_update() {
  local suite=$1 mirrors keys options
  mirrors=$(debian_mirrors "$new") || mirrors=''
  [ -n "$mirrors" ] ||
    lab_die "no source of Debian's packages works on this machine. Next: check the network, /etc/apt/sources.list and sources.list.d with apt-get update"
  apt_private "$new"
  keys=/usr/share/keyrings/debian-archive-keyring.gpg
  options=arch=amd64
  [ ! -e "$keys" ] || options+=" signed-by=$keys"
  while read -r label uri; do
    case $label in
      Debian) echo "deb [$options] $uri $suite main" ;;
      Debian-Security) case $suite in *-*) ;; *) echo "deb [$options] $uri $suite-security main" ;; esac ;;
    esac
  done <<<"$mirrors" >"$new/sources.list"
  apt-get "${apt_options[@]}" update >"$new/log" 2>&1 || {
    tail -n 5 "$new/log" >&2
    lab_die "the package lists of $suite could not be read. Next: check the network; the machine's mirror must have $suite"
  }
}

# fetch_kernel NAME: leaves kernel_dir NAME complete, or says why not.
fetch_kernel() (
  name=$1 dir=$(kernel_dir "$1") suite=$(kernel_suite "$1")
  [ "$name" != kasan ] || [ -e "$dir" ] || lab_die "this kernel has to be built first. Next: lab/build-kasan"
  fetch_begin "Linux $name" "$dir"
  say "looking for Linux $name in Debian's suite $suite (package lists of about 10 MiB)"
  suite_update "$suite"

  # The metapackage leads to what holds the kernel: one package, or from 7.x on -base, -binary and -modules.
  mapfile -t packages < <(apt-cache "${apt_options[@]}" depends --recurse --no-recommends --no-suggests --no-conflicts \
    --no-breaks --no-replaces --no-enhances linux-image-amd64 | grep -E '^linux-(image|base|binary|modules)-[0-9].*-amd64$')
  [ ${#packages[@]} -gt 0 ] || lab_die "no linux-image-amd64 in $suite"
  bytes=$(apt-cache "${apt_options[@]}" show --no-all-versions "${packages[@]}" | awk '/^Size:/{sum += $2} END{print sum}')
  say "downloading Linux $name: ${packages[*]}, $((bytes >> 20)) MiB"
  mkdir "$new/debs" "$new/root" "$new/kernel"
  (cd "$new/debs" && apt-get "${apt_options[@]}" download "${packages[@]}") >"$new/log" 2>&1 || {
    tail -n 5 "$new/log" >&2
    lab_die "the download of Linux $name failed. Next: check the network and run the same again"
  }

  say "unpacking Linux $name"
  for deb in "$new"/debs/*.deb; do
    dpkg-deb -x "$deb" "$new/root"
    # shellcheck disable=SC2016 # dpkg's own fields
    dpkg-deb -W --showformat='${Package} ${Version}\n' "$deb"
  done >"$new/kernel/packages"
  for modules in "$new"/root/lib/modules/* "$new"/root/usr/lib/modules/*; do [ ! -d "$modules" ] || break; done
  release=$(basename "$modules")
  mkdir -p "$new/kernel/lib/modules"
  for file in vmlinuz config; do # beside the modules from 7.x on
    if [ -e "$modules/$file" ]; then mv "$modules/$file" "$new/kernel/"; else mv "$new/root/boot/$file-$release" "$new/kernel/$file"; fi
  done
  mv "$modules" "$new/kernel/lib/modules/"
  echo "$release" >"$new/kernel/release"
  depmod -b "$new/kernel" "$release"
  for module in "${kernel_modules[@]}"; do
    modprobe -d "$new/kernel" -S "$release" --show-depends "$module"
  done | awk '$1 == "insmod" && /\.xz *$/ && !seen[$2]++ {print $2}' | xargs -r xz -d
  depmod -b "$new/kernel" "$release"
  mv -T "$new/kernel" "$dir"
)

# run_foreign DIR: the programs in DIR that want a newer C library than this machine's get one, that of their own suite.
run_foreign() {
  local program loader=$1/usr/lib64/ld-linux-x86-64.so.2
  [ -e "$loader" ] || loader=$1/lib64/ld-linux-x86-64.so.2
  find "$1"/usr/lib/linux-kbuild-* -type f -perm -u=x | while read -r program; do
    head -c 4 "$program" | grep -q ELF || continue
    LC_ALL=C ldd "$program" 2>&1 | grep -q 'not found' || continue
    mv "$program" "$program.real"
    printf '#!/bin/sh\nexec %q --library-path %q %q "$@"\n' "$loader" "$1/usr/lib/x86_64-linux-gnu:/lib/x86_64-linux-gnu" "$program.real" >"$program"
    chmod 755 "$program"
  done
}

headers_dir() { echo "$cache/headers/$1"; }

# fetch_headers NAME: leaves headers_dir NAME complete: what modules for that kernel are built with. Its folder "build" is for make -C.
fetch_headers() (
  name=$1 dir=$(headers_dir "$1") suite=$(kernel_suite "$1") kernel=$(kernel_dir "$1")
  fetch_kernel "$name"
  release=$(<"$kernel/release")
  if [ -e "$dir" ] && [ "$(<"$dir/release")" != "$release" ]; then rm -rf "$dir"; fi
  fetch_begin "what modules for Linux $name are built with" "$dir"
  suite_update "$suite"
  mapfile -t packages < <(apt-cache "${apt_options[@]}" depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
    --no-enhances "linux-headers-$release" 2>/dev/null | grep -E '^(linux-headers-[0-9]|linux-kbuild-[0-9]|libc6$)')
  [ ${#packages[@]} -gt 0 ] || lab_die "no linux-headers-$release in $suite any more. Next: remove $kernel, so that a newer one is fetched"
  say "downloading the headers of Linux $name: ${packages[*]}"
  mkdir "$new/debs" "$new/root"
  (cd "$new/debs" && apt-get "${apt_options[@]}" download "${packages[@]}") >"$new/log" 2>&1 || {
    tail -n 5 "$new/log" >&2
    lab_die "the download of the headers of Linux $name failed. Next: check the network and run the same again"
  }
  # A suite of backports has no C library, which the programs among the headers may want: see run_foreign.
  case " ${packages[*]} " in
    *" libc6 "*) ;;
    *)
      suite_update "${suite%-backports}"
      (cd "$new/debs" && apt-get "${apt_options[@]}" download libc6) >"$new/log" 2>&1 || {
        tail -n 5 "$new/log" >&2
        lab_die "the C library of ${suite%-backports} could not be downloaded. Next: check the network and run the same again"
      } ;;
  esac
  for deb in "$new"/debs/*.deb; do dpkg-deb -x "$deb" "$new/root"; done
  # Debian's own Makefile there goes by absolute paths.
  sed -i "s,/usr/src/,$dir/usr/src/," "$new/root/usr/src/linux-headers-$release/Makefile"
  ln -s "usr/src/linux-headers-$release" "$new/root/build"
  echo "$release" >"$new/root/release"
  mv -T "$new/root" "$dir"
  run_foreign "$dir"
)

# initramfs DIR: prints the file to boot the kernel of DIR with; made anew when the init or busybox changed.
initramfs() (
  dir=$1 init=$here/guest/init busybox=$(command -v busybox)
  key=$(cat "$init" "$busybox" | sha256sum | cut -c 1-12)
  image=$dir/initramfs-$key
  if [ ! -e "$image" ]; then
    tree=$(mktemp -d "$dir/.initramfs-XXXXXX")
    trap 'rm -rf "$tree"' EXIT
    mkdir -p "$tree"/root/{bin,dev,proc,sys,modules}
    cp "$busybox" "$tree/root/bin/busybox"
    for applet in sh mount mkdir insmod switch_root; do ln -s busybox "$tree/root/bin/$applet"; done
    cp "$init" "$tree/root/init"
    chmod 755 "$tree/root/init"
    release=$(<"$dir/release")
    for module in virtio_pci 9pnet_virtio 9p overlay; do
      modprobe -d "$dir" -S "$release" --show-depends "$module"
    done | awk '$1 == "insmod" && !seen[$2]++ {print $2}' | while read -r file; do
      cp "$file" "$tree/root/modules/"
      basename "$file"
    done >"$tree/root/modules/order"
    (cd "$tree/root" && find . | LC_ALL=C sort | cpio -o -H newc --quiet --owner=+0:+0) | gzip -1 >"$tree/image"
    mv "$tree/image" "$image"
  fi
  echo "$image"
)
