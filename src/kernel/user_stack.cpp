// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "kernel/user_stack.hpp"

#include <cxxabi.h>
#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <gelf.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <set>

namespace hf {
namespace {

constexpr std::size_t kFilesRemembered = 1024;
constexpr std::int32_t kStatusBuildId = 1;  // BPF_STACK_BUILD_ID_VALID
constexpr std::int32_t kStatusAddress = 2;  // BPF_STACK_BUILD_ID_IP

struct ElfEnd {
  void operator()(Elf* elf) const { elf_end(elf); }
};
struct DwflEnd {
  void operator()(Dwfl* dwfl) const { dwfl_end(dwfl); }
};
using DwflPtr = std::unique_ptr<Dwfl, DwflEnd>;

std::string hex(const unsigned char* bytes, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; i++) text += fmt::format("{:02x}", bytes[i]);
  return text;
}

std::string build_id_of(int fd) {
  elf_version(EV_CURRENT);
  const std::unique_ptr<Elf, ElfEnd> elf(elf_begin(fd, ELF_C_READ_MMAP, nullptr));
  const void* bits = nullptr;
  const auto size = elf ? dwelf_elf_gnu_build_id(elf.get(), &bits) : -1;
  return size > 0 ? hex(static_cast<const unsigned char*>(bits), static_cast<std::size_t>(size)) : std::string();
}

/// A file whose server is away would hold the daemon up.
bool is_remote(std::string_view type) {
  constexpr std::array<std::string_view, 9> kRemote = {"nfs", "nfs4", "cifs", "smb3", "ceph", "afs", "9p", "glusterfs", "lustre"};
  return std::ranges::find(kRemote, type) != kRemote.end() || type.starts_with("fuse");
}

std::string demangled(const char* name) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> plain(abi::__cxa_demangle(name, nullptr, nullptr, &status), &std::free);
  return status == 0 && plain ? plain.get() : name;
}

/// The function at an offset of an ELF file.
std::string function_at(const std::string& path, std::uint64_t offset) {
  static const Dwfl_Callbacks kCallbacks = {.find_elf = dwfl_build_id_find_elf,
                                            .find_debuginfo = dwfl_standard_find_debuginfo,
                                            .section_address = dwfl_offline_section_address,
                                            .debuginfo_path = nullptr};
  const DwflPtr dwfl(dwfl_begin(&kCallbacks));
  if (!dwfl) return {};
  dwfl_report_begin(dwfl.get());
  Dwfl_Module* module = dwfl_report_offline(dwfl.get(), path.c_str(), path.c_str(), -1);
  dwfl_report_end(dwfl.get(), nullptr, nullptr);
  GElf_Addr bias = 0;
  Elf* elf = module ? dwfl_module_getelf(module, &bias) : nullptr;
  std::size_t headers = 0;
  if (!elf || elf_getphdrnum(elf, &headers) != 0) return {};
  for (std::size_t i = 0; i < headers; i++) {
    GElf_Phdr header;
    if (!gelf_getphdr(elf, static_cast<int>(i), &header) || header.p_type != PT_LOAD) continue;
    if (offset < header.p_offset || offset >= header.p_offset + header.p_filesz) continue;
    GElf_Off within = 0;
    GElf_Sym symbol;
    const char* name = dwfl_module_addrinfo(module, bias + header.p_vaddr + (offset - header.p_offset), &within, &symbol, nullptr, nullptr, nullptr);
    return name ? fmt::format("{}+{:#x}", demangled(name), within) : std::string();
  }
  return {};
}

}  // namespace

void UserStacks::learn_file(const std::string& path, const std::string& open_as) {
  const auto of_path = [&](const Mount& mount) { return mount.point == "/" || (path.starts_with(mount.point) && path[mount.point.size()] == '/'); };
  const Mount* best = nullptr;
  for (const auto& mount : mounts_.mounts())
    if (of_path(mount) && (!best || mount.point.size() >= best->point.size())) best = &mount;
  if (!best || is_remote(best->type)) return;
  const Fd fd(::open(open_as.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return;
  auto id = build_id_of(fd.get());
  if (id.empty()) return;
  if (files_.size() >= kFilesRemembered) files_.clear();
  files_.insert_or_assign(std::move(id), path);
}

void UserStacks::learn_process(pid_t pid) {
  const auto maps = processes_.text(pid, "maps");
  if (!maps) return;
  std::set<std::string> seen;
  std::string_view rest = *maps;
  while (!rest.empty()) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const auto mapping = parse_mapping(line);
    // By the process's own root: a container has its own libraries at the same paths.
    if (mapping && mapping->path.starts_with('/') && seen.insert(mapping->path).second)
      learn_file(mapping->path, fmt::format("{}/{}/root{}", processes_.root(), pid, mapping->path));
  }
}

std::vector<std::string> UserStacks::describe(std::span<const hf_user_frame> frames, pid_t pid, bool alive, const std::string& executable) {
  std::vector<std::string> lines;
  // The C library is the same for most, and known even when a short-lived process is gone.
  if (files_.empty()) learn_process(::getpid());
  if (!executable.empty()) learn_file(executable, executable);
  if (alive) learn_process(pid);
  for (const auto& frame : frames) {
    if (frame.status == kStatusAddress) {
      lines.push_back(fmt::format("{:#x}", frame.address));
    } else if (frame.status == kStatusBuildId) {
      const auto id = hex(frame.build_id, sizeof frame.build_id);
      const auto file = files_.find(id);
      const auto name = file == files_.end() ? std::string() : function_at(file->second, frame.address);
      const auto where = file == files_.end() ? "build id " + id : file->second;
      lines.push_back(fmt::format("{} ({})", name.empty() ? fmt::format("{:#x}", frame.address) : name, where));
    }
  }
  return lines;
}

}  // namespace hf
