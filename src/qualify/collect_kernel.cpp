// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <sys/utsname.h>

#include "qualify/collect.hpp"
#include "qualify/sources.hpp"
#include "qualify/system_files.hpp"

namespace hf::qualify {

KernelFacts collect_kernel(const std::string& root) {
  KernelFacts facts;
  facts.support = probe_kernel_support();
  struct utsname name {};
  if (::uname(&name) == 0) facts.version = name.version;
  if (const auto enabled = line_of_file(root + "/proc/sys/kernel/ftrace_enabled"); !enabled.empty()) facts.ftrace_enabled = enabled != "0";
  for (const auto& word : words_of(line_of_file(root + "/proc/cmdline")))
    if (word == "bdev_allow_write_mounted=0") facts.bdev_write_mounted = false;
  if (const auto kernel = KernelView::read(root)) {
    for (const auto& source : break_sources()) facts.sources.push_back({&source, presence(source, *kernel) == Presence::here});
    for (const auto& found : check_kernel(*kernel))
      if (found.wrong) facts.wrong_functions.push_back(found.what);
  } else {
    facts.wrong_functions.push_back(kernel.error().message);
  }
  return facts;
}

}  // namespace hf::qualify
