// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "qualify/surroundings.hpp"

#include <algorithm>

#include "qualify/system_files.hpp"

namespace hf::qualify {

namespace {

void read_swaps(Surroundings& facts, const std::string& point, const std::string& root) {
  const auto lines = plain_lines(text_of_file(root + "/proc/swaps").value_or(""));
  for (std::size_t i = 1; i < lines.size(); i++) {
    const auto words = words_of(lines[i]);
    if (words.size() < 2) continue;
    facts.swap_on = true;
    if (words[1] == "file" && lies_in(unescaped(words[0]), point)) facts.swap_files.push_back(unescaped(words[0]));
  }
}

void read_loops(Surroundings& facts, const std::string& point, const std::string& root) {
  for (const auto& folder : folders_in(root + "/sys/block")) {
    const auto device = folder.substr(folder.rfind('/') + 1);
    const auto file = device.starts_with("loop") ? line_of_file(folder + "/loop/backing_file") : std::string();
    if (!file.empty() && lies_in(file, point)) facts.loops.emplace_back("/dev/" + device, file);
  }
}

void read_targets(Surroundings& facts, const std::string& point, const std::string& root) {
  const auto config = root + "/sys/kernel/config";
  for (const auto& hba : folders_in(config + "/target/core"))
    for (const auto& store : folders_in(hba))
      if (const auto path = line_of_file(store + "/udev_path"); !path.empty() && lies_in(path, point)) facts.targets.push_back(path + " (SCSI)");
  for (const auto& subsystem : folders_in(config + "/nvmet/subsystems"))
    for (const auto& space : folders_in(subsystem + "/namespaces"))
      if (const auto path = line_of_file(space + "/device_path"); !path.empty() && lies_in(path, point)) facts.targets.push_back(path + " (NVMe)");
}

void read_stacked(Surroundings& facts, const std::string& point, const std::vector<Mount>& mounts) {
  for (const auto& mount : mounts) {
    if (mount.type == "ecryptfs" && lies_in(mount.source, point)) facts.stacked.push_back(mount.point);
    if (mount.type != "overlay") continue;
    bool above = false;
    for (const char* name : {"lowerdir", "lowerdir+", "upperdir", "workdir"}) {
      // Several folders with colons between; with lowerdir+ the option comes again for each.
      std::string_view options = mount.options;
      const std::string key = std::string(name) + "=";
      for (auto at = options.find(key); at != std::string_view::npos; at = options.find(key, at + 1)) {
        auto list = options.substr(at + key.size());
        list = list.substr(0, list.find(','));
        while (!list.empty()) {
          const auto colon = std::min(list.find(':'), list.size());
          above = above || (list.starts_with('/') && lies_in(list.substr(0, colon), point));
          list.remove_prefix(std::min(colon + 1, list.size()));
        }
      }
    }
    if (above) facts.overlays.push_back(mount.point);
  }
}

}  // namespace

bool lies_in(std::string_view path, std::string_view point) {
  return point == "/" || (path.starts_with(point) && (path.size() == point.size() || path[point.size()] == '/'));
}

std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); i++) {
    const auto digit = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      out += static_cast<char>((text[i + 1] - '0') << 6 | (text[i + 2] - '0') << 3 | (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

Surroundings read_surroundings(const std::string& point, const std::vector<Mount>& mounts, const std::string& root) {
  Surroundings found;
  read_swaps(found, point, root);
  read_loops(found, point, root);
  read_targets(found, point, root);
  read_stacked(found, point, mounts);
  return found;
}

std::map<std::string, std::string> Surroundings::lines() const {
  std::map<std::string, std::string> all;
  for (const auto& file : swap_files) all["swap file " + file] = "in use";
  for (const auto& [device, file] : loops) all["loop device " + device] = file;
  for (const auto& where : overlays) all["overlayfs above " + where] = "mounted";
  for (const auto& where : stacked) all["ecryptfs above " + where] = "mounted";
  for (const auto& store : targets) all["target " + store] = "configured";
  return all;
}

}  // namespace hf::qualify
