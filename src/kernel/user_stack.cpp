// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "kernel/user_stack.hpp"

#include <cxxabi.h>
#include <elf.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <set>

namespace hf {
namespace {

constexpr std::size_t kFilesRemembered = 1024;
constexpr off_t kFileBytesMax = 256 << 20;
constexpr std::int32_t kStatusBuildId = 1;  // BPF_STACK_BUILD_ID_VALID
constexpr std::int32_t kStatusAddress = 2;  // BPF_STACK_BUILD_ID_IP

std::string hex(const unsigned char* bytes, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; i++) text += fmt::format("{:02x}", bytes[i]);
  return text;
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

/// An ELF file, read as far as it is asked about, and never mapped: a mapping would end the daemon by SIGBUS where the file is cut short, or its memory fails,
/// while it is looked at. Only files of root's that nobody else may write are parsed.
class ElfFile {
 public:
  static std::optional<ElfFile> read(const std::string& path) {
    ElfFile file;
    file.fd_ = Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat status {};
    if (!file.fd_ || ::fstat(file.fd_.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size > kFileBytesMax) return std::nullopt;
    if (status.st_uid != 0 || (status.st_mode & (S_IWGRP | S_IWOTH))) return std::nullopt;
    elf_version(EV_CURRENT);
    file.elf_.reset(elf_begin(file.fd_.get(), ELF_C_READ, nullptr));
    if (!file.elf_ || elf_kind(file.elf_.get()) != ELF_K_ELF) return std::nullopt;
    return file;
  }

  std::string build_id() const {
    for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf_.get(), section));) {
      GElf_Shdr header;
      if (!gelf_getshdr(section, &header) || header.sh_type != SHT_NOTE) continue;
      Elf_Data* data = elf_getdata(section, nullptr);
      GElf_Nhdr note;
      std::size_t name = 0, value = 0;
      for (std::size_t at = 0; data && (at = gelf_getnote(data, at, &note, &name, &value)) > 0;) {
        const auto* bytes = static_cast<const unsigned char*>(data->d_buf);
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(bytes + name, "GNU", 4) == 0) return hex(bytes + value, note.n_descsz);
      }
    }
    return {};
  }

  /// @return "function+0x12"; "" where no symbol covers it
  std::string function_at(std::uint64_t offset) const {
    const auto address = address_of(offset);
    std::string best;
    std::uint64_t best_start = 0;
    for (Elf_Scn* section = nullptr; address && (section = elf_nextscn(elf_.get(), section));) {
      GElf_Shdr header;
      if (!gelf_getshdr(section, &header) || (header.sh_type != SHT_SYMTAB && header.sh_type != SHT_DYNSYM) || header.sh_entsize == 0) continue;
      Elf_Data* data = elf_getdata(section, nullptr);
      GElf_Sym symbol;
      for (int i = 0; data && gelf_getsym(data, i, &symbol); i++) {
        if (GELF_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx == SHN_UNDEF) continue;
        if (*address < symbol.st_value || *address >= symbol.st_value + std::max<std::uint64_t>(symbol.st_size, 1) || symbol.st_value < best_start) continue;
        const char* name = elf_strptr(elf_.get(), header.sh_link, symbol.st_name);
        if (!name || !*name || (symbol.st_value == best_start && !best.empty())) continue;
        best_start = symbol.st_value;
        best = name;
      }
    }
    return best.empty() ? best : fmt::format("{}+{:#x}", demangled(best.c_str()), *address - best_start);
  }

 private:
  struct End {
    void operator()(Elf* elf) const { elf_end(elf); }
  };

  std::optional<std::uint64_t> address_of(std::uint64_t offset) const {
    std::size_t count = 0;
    if (elf_getphdrnum(elf_.get(), &count) != 0) return std::nullopt;
    for (std::size_t i = 0; i < count; i++) {
      GElf_Phdr header;
      if (!gelf_getphdr(elf_.get(), static_cast<int>(i), &header) || header.p_type != PT_LOAD) continue;
      if (offset >= header.p_offset && offset - header.p_offset < header.p_filesz) return header.p_vaddr + (offset - header.p_offset);
    }
    return std::nullopt;
  }

  Fd fd_;
  std::unique_ptr<Elf, End> elf_;  ///< ends before its descriptor
};

}  // namespace

void UserStacks::learn_file(const std::string& path, const std::string& open_as) {
  const auto shows = [&](const Mount& mount) { return mount.point == "/" || (path.starts_with(mount.point) && path[mount.point.size()] == '/'); };
  const Mount* best = nullptr;
  for (const auto& mount : mounts_.mounts())
    if (shows(mount) && (!best || mount.point.size() >= best->point.size())) best = &mount;
  if (!best || is_remote(best->type)) return;
  struct stat status {};
  if (::stat(open_as.c_str(), &status) != 0) return;
  const Seen now{status.st_dev, status.st_ino, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
  if (!seen_.insert(now).second) return;
  const auto file = ElfFile::read(open_as);
  auto id = file ? file->build_id() : std::string();
  if (id.empty()) return;
  if (seen_.size() >= kFilesRemembered) {
    files_.clear();
    seen_ = {now};
  }
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
    if (!mapping || !mapping->executable || !mapping->path.starts_with('/') || !seen.insert(mapping->path).second) continue;
    // By the process's own root: a container has its own libraries at the same paths.
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
    if (frame.status == kStatusAddress) lines.push_back(fmt::format("{:#x}", frame.address));
    if (frame.status != kStatusBuildId) continue;
    const auto id = hex(frame.build_id, sizeof frame.build_id);
    const auto known = files_.find(id);
    const auto file = known == files_.end() ? std::nullopt : ElfFile::read(known->second);
    const auto name = file && file->build_id() == id ? file->function_at(frame.address) : std::string();
    lines.push_back(
        fmt::format("{} ({})", name.empty() ? fmt::format("{:#x}", frame.address) : name, known == files_.end() ? "build id " + id : known->second));
  }
  return lines;
}

}  // namespace hf
