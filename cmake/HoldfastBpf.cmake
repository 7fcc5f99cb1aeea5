# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# holdfast_bpf(TARGET SOURCE): compiles SOURCE for the BPF machine and makes SOURCE's skeleton header; link to TARGET to get its directory.
find_program(HOLDFAST_CLANG NAMES clang-14 clang REQUIRED)
find_program(HOLDFAST_LLVM_STRIP NAMES llvm-strip-14 llvm-strip REQUIRED)
find_program(HOLDFAST_BPFTOOL NAMES bpftool PATHS /usr/sbin /sbin REQUIRED)

function(holdfast_bpf target source)
  get_filename_component(name ${source} NAME_WE)
  set(dir ${CMAKE_CURRENT_BINARY_DIR})
  set(object ${dir}/${name}.bpf.o)
  set(skeleton ${dir}/${name}.skel.h)
  add_custom_command(OUTPUT ${object}
    COMMAND ${HOLDFAST_CLANG} -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -O2 -g -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Werror
            -I ${PROJECT_SOURCE_DIR}/abi -I ${PROJECT_SOURCE_DIR}/kmod -I ${CMAKE_CURRENT_SOURCE_DIR} -MD -MF ${object}.d -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
    COMMAND ${HOLDFAST_LLVM_STRIP} -g ${object}
    DEPFILE ${object}.d DEPENDS ${source} VERBATIM COMMENT "BPF ${source}")
  add_custom_command(OUTPUT ${skeleton}
    COMMAND sh -c "'${HOLDFAST_BPFTOOL}' gen skeleton '${object}' name hf_${name} > '${skeleton}'"
    DEPENDS ${object} VERBATIM COMMENT "Skeleton ${name}")
  add_custom_target(${target}_generated DEPENDS ${skeleton})
  add_library(${target} INTERFACE)
  add_dependencies(${target} ${target}_generated)
  target_include_directories(${target} SYSTEM INTERFACE ${dir})
endfunction()
