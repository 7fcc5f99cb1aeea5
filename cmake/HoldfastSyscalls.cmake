# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# holdfast_syscalls(TARGET): makes the tables of system call names (x86_64 and i386) from the kernel's headers, for TARGET to include.
function(holdfast_syscalls target)
  foreach(bits 64 32)
    set(table ${CMAKE_CURRENT_BINARY_DIR}/syscalls_${bits}.inc)
    add_custom_command(OUTPUT ${table}
      COMMAND sh -c "echo '#include <asm/unistd_${bits}.h>' | '${CMAKE_C_COMPILER}' -E -dM -x c - \
| sed -n 's/^#define __NR_\\([a-z0-9_]*\\) \\([0-9]*\\)\$/{\\2, \"\\1\"},/p' | sort -t '{' -k 2 -n > '${table}'"
      VERBATIM COMMENT "System call names, ${bits} bits")
    target_sources(${target} PRIVATE ${table})
  endforeach()
  target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
endfunction()
