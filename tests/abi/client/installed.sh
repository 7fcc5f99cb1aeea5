#!/bin/sh
# Programs build and run against the installed library, by pkg-config and by CMake, shared and static; the headers compile without the source tree.
# libholdfast-verbs comes on top, afterwards: libholdfast must do without it.
# installed.sh INSTALL_SCRIPT EXAMPLES CC CXX CMAKE VERBS_INSTALL_SCRIPT
set -eu
install_script=$1 examples=$2 cc=$3 cxx=$4 cmake=$5 verbs_script=$6
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$cmake" -DCMAKE_INSTALL_PREFIX="$work/usr" -P "$install_script" >"$work/log" || { cat "$work/log" >&2; exit 1; }
pc=$(find "$work/usr" -name libholdfast.pc)
# The file names the prefix that was configured.
sed -i "s|^prefix=.*|prefix=$work/usr|; s|^libdir=.*|libdir=$(dirname "$(dirname "$pc")")|; s|^includedir=.*|includedir=$work/usr/include|" "$pc"
PKG_CONFIG_PATH=$(dirname "$pc")
LD_LIBRARY_PATH=$(dirname "$(dirname "$pc")")
export PKG_CONFIG_PATH LD_LIBRARY_PATH

# shellcheck disable=SC2046 # flags are words
"$cc" -Wall -Wextra -Werror "$examples/hold.c" -o "$work/c" $(pkg-config --cflags --libs libholdfast)
# shellcheck disable=SC2046
"$cxx" -std=c++20 -Wall -Wextra -Werror "$examples/hold.cpp" -o "$work/cpp" $(pkg-config --cflags --libs libholdfast)
# shellcheck disable=SC2046
"$cc" "$examples/hold.c" -o "$work/static" $(pkg-config --cflags libholdfast) "$LD_LIBRARY_PATH/libholdfast.a" -lstdc++ -lpthread

mkdir "$work/user"
cat >"$work/user/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.20)
project(user LANGUAGES C CXX)
find_package(holdfast REQUIRED)
add_executable(user $examples/hold.c)
target_link_libraries(user PRIVATE holdfast::holdfast)
add_executable(user_static $examples/hold.c)
target_link_libraries(user_static PRIVATE holdfast::holdfast_static)
END
if ! {
  "$cmake" -S "$work/user" -B "$work/user/build" -DCMAKE_PREFIX_PATH="$work/usr" -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx" >"$work/log" 2>&1 &&
    "$cmake" --build "$work/user/build" >>"$work/log" 2>&1
}; then cat "$work/log" >&2; exit 1; fi

# Each runs, up to the daemon that is not there: HOLDFAST_SOCKET names nothing.
touch "$work/file"
for program in "$work/c" "$work/cpp" "$work/static" "$work/user/build/user" "$work/user/build/user_static"; do
  status=0
  HOLDFAST_SOCKET=$work/none "$program" "$work/file" >"$work/log" 2>&1 || status=$?
  if [ "$status" != 1 ] || ! grep -q 'No such file' "$work/log"; then
    echo "$program: status $status" >&2; cat "$work/log" >&2; exit 1
  fi
done

"$cmake" -DCMAKE_INSTALL_PREFIX="$work/usr" -P "$verbs_script" >"$work/log" || { cat "$work/log" >&2; exit 1; }
pc=$(find "$work/usr" -name libholdfast-verbs.pc)
sed -i "s|^prefix=.*|prefix=$work/usr|; s|^libdir=.*|libdir=$LD_LIBRARY_PATH|; s|^includedir=.*|includedir=$work/usr/include|" "$pc"
for language in c cpp; do
  compiler=$cc
  [ $language = c ] || compiler="$cxx -std=c++20"
  # shellcheck disable=SC2046,SC2086
  $compiler -Wall -Wextra -Werror -I "$examples/common" "$examples/01-register/register.$language" -o "$work/register_$language" \
    $(pkg-config --cflags --libs libholdfast-verbs librdmacm)
  status=0
  "$work/register_$language" >"$work/log" 2>&1 || status=$?
  [ $status = 2 ] || { echo "register.$language: status $status" >&2; cat "$work/log" >&2; exit 1; }
done
mkdir "$work/verbs_user"
cat >"$work/verbs_user/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.20)
project(user LANGUAGES C CXX)
find_package(holdfast-verbs REQUIRED)
add_executable(user $examples/01-register/register.c)
target_include_directories(user PRIVATE $examples/common)
target_link_libraries(user PRIVATE holdfast::holdfast_verbs rdmacm)
END
if ! {
  "$cmake" -S "$work/verbs_user" -B "$work/verbs_user/build" -DCMAKE_PREFIX_PATH="$work/usr" -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx" >"$work/log" 2>&1 &&
    "$cmake" --build "$work/verbs_user/build" >>"$work/log" 2>&1
}; then cat "$work/log" >&2; exit 1; fi
