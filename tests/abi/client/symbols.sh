#!/bin/sh
# The shared library exports what its map says, at the version that the map says, and nothing else; the public header declares just that.
# symbols.sh LIBRARY.so MAP HEADER SONAME [NEEDED]: needs nothing but the C and C++ libraries and those that the expression NEEDED matches
set -eu
library=$1 map=$2 header=$3 expected=$4 more=${5:-none}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# "hf_acquire HOLDFAST_1.0" for each function of each stanza.
awk '/^HOLDFAST_/ {stanza = $1} /^[ \t]*hf_[a-z_]*;/ {gsub(/[ \t;]/, ""); print $0, stanza}' "$map" | sort >"$work/map"
nm -D --defined-only "$library" | awk '$2 == "T" {sub(/@@/, " ", $3); print $3}' | sort >"$work/library"
# HF_API also stands in its own #define.
tr '\n' ' ' <"$header" | grep -o 'HF_API [^;]*;' | grep -v visibility | sed 's/(.*//; s/.*[ *]//' | sort >"$work/header"
cut -d' ' -f1 "$work/map" | sort >"$work/names"

[ -s "$work/map" ] || { echo "no functions in $map" >&2; exit 1; }
status=0
diff -u "$work/map" "$work/library" >&2 || { echo "$library exports something else than $map says" >&2; status=1; }
diff -u "$work/names" "$work/header" >&2 || { echo "$header declares something else than $map says" >&2; status=1; }
others=$(nm -D --defined-only "$library" | awk '$2 != "T" && $3 !~ /^HOLDFAST_/ {print $3}')
[ -z "$others" ] || { echo "$library also exports: $others" >&2; status=1; }
soname=$(objdump -p "$library" | awk '/SONAME/ {print $2}')
[ "$soname" = "$expected" ] || { echo "soname is $soname" >&2; status=1; }
# A sanitizer brings libraries of its own.
needed=$(objdump -p "$library" | awk '/NEEDED/ {print $2}' | grep -vE '^(libc|libm|libgcc_s|libstdc\+\+|ld-linux-x86-64|libasan|libubsan|libtsan)\.so' | grep -vE "^($more)\.so" || true)
[ -z "$needed" ] || { echo "$library needs: $needed" >&2; status=1; }
exit $status
