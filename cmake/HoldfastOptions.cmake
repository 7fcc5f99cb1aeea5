# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Warnings and sanitizers for every target: link to holdfast_options.
option(HOLDFAST_TESTS "Build the tests" ON)
set(HOLDFAST_SANITIZE "" CACHE STRING "address, thread or empty")

add_library(holdfast_options INTERFACE)
target_compile_options(holdfast_options INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wformat=2
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Wno-missing-field-initializers> $<$<CONFIG:Debug>:-Werror>)
target_include_directories(holdfast_options INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/abi ${PROJECT_SOURCE_DIR}/src)
if(HOLDFAST_SANITIZE)
  add_compile_options(-fsanitize=${HOLDFAST_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${HOLDFAST_SANITIZE})
endif()
