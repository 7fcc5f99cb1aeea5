// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "kernel/user_stack.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <gtest/gtest.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace hf {
namespace {

/// The frame that the kernel would take of an address in the C library.
hf_user_frame frame_in_libc(const void* function, std::uint64_t into) {
  struct Look {
    std::uint64_t address;
    hf_user_frame frame;
  } look{reinterpret_cast<std::uint64_t>(function) + into, {}};
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* data) {
        auto& to = *static_cast<Look*>(data);
        hf_user_frame frame{.status = 1};
        bool mine = false;
        for (int i = 0; i < info->dlpi_phnum; i++) {
          const auto& header = info->dlpi_phdr[i];
          const auto start = info->dlpi_addr + header.p_vaddr;
          if (header.p_type == PT_LOAD && to.address >= start && to.address < start + header.p_memsz) {
            mine = true;
            frame.address = to.address - start + header.p_offset;
          }
          if (header.p_type != PT_NOTE) continue;
          for (const char *at = reinterpret_cast<const char*>(start), *end = at + header.p_memsz; at < end;) {
            const auto* note = reinterpret_cast<const ElfW(Nhdr)*>(at);
            const auto name = (note->n_namesz + 3) & ~3u, size = (note->n_descsz + 3) & ~3u;
            if (note->n_type == NT_GNU_BUILD_ID && note->n_descsz == sizeof frame.build_id)
              std::memcpy(frame.build_id, at + sizeof *note + name, note->n_descsz);
            at += sizeof *note + name + size;
          }
        }
        if (mine) to.frame = frame;
        return mine ? 1 : 0;
      },
      &look);
  return look.frame;
}

TEST(UserStack, NamesAFunctionOfALibraryEvenWhenTheProcessIsGone) {
  const auto frame = frame_in_libc(reinterpret_cast<const void*>(&std::fopen), 4);
  ASSERT_NE(frame.address, 0u);
  UserStacks stacks;
  const auto lines = stacks.describe({&frame, 1}, 1, false, "");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find("fopen"), std::string::npos) << lines[0];
  EXPECT_NE(lines[0].find("+0x4 (/"), std::string::npos) << lines[0];
  EXPECT_NE(lines[0].find("libc"), std::string::npos) << lines[0];
}

TEST(UserStack, WhatIsNotKnownKeepsItsBuildIdOrItsAddress) {
  const hf_user_frame frames[] = {{.status = 1, .build_id = {0xab, 0xcd}, .address = 0x1234}, {.status = 2, .build_id = {}, .address = 0x7f00}, {.status = 0}};
  UserStacks stacks;
  EXPECT_EQ(stacks.describe(frames, ::getpid(), true, ""), (std::vector<std::string>{"0x1234 (build id abcd000000000000000000000000000000000000)", "0x7f00"}));
}

TEST(UserStack, AFileThatOthersMayWriteIsNotParsed) {
  char path[] = "/tmp/holdfast-elf-XXXXXX";
  const Fd copy(::mkstemp(path));
  ASSERT_TRUE(copy);
  const auto text = read_text("/proc/self/exe", 64 << 20);
  ASSERT_TRUE(text);
  ASSERT_EQ(::write(copy.get(), text->data(), text->size()), static_cast<ssize_t>(text->size()));
  ASSERT_EQ(::fchmod(copy.get(), 0777), 0);
  // The same build id as this program's, in a file of anyone's: the name must not come from there.
  const auto own = frame_in_libc(reinterpret_cast<const void*>(&frame_in_libc), 1);
  UserStacks stacks;
  const auto lines = stacks.describe({&own, 1}, 1, false, path);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].find(path), std::string::npos) << lines[0];
  ::unlink(path);
}

}  // namespace
}  // namespace hf
