// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "qualify/neighbours.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

#include "qualify/system_files.hpp"

namespace hf::qualify {

namespace {

constexpr std::array kHazards{
    HazardousProgram{"xfs_fsr", Hazard::defragment, "exchanges the blocks of files"},
    HazardousProgram{"e4defrag", Hazard::defragment, "moves the blocks of files"},
    HazardousProgram{"shake", Hazard::defragment, "rewrites files"},
    HazardousProgram{"btrfs-defrag", Hazard::defragment, "rewrites files"},
    HazardousProgram{"xfs_scrub", Hazard::scrub, "repairs files where they are in use"},
    HazardousProgram{"xfs_scrub_all", Hazard::scrub, "repairs files where they are in use"},
    HazardousProgram{"xfs_scrub_all.cron", Hazard::scrub, "repairs files where they are in use"},
    HazardousProgram{"e2scrub", Hazard::scrub, "takes a snapshot and checks it"},
    HazardousProgram{"e2scrub_all", Hazard::scrub, "takes snapshots and checks them"},
    HazardousProgram{"e2scrub_all_cron", Hazard::scrub, "takes snapshots and checks them"},
    HazardousProgram{"fstrim", Hazard::trim, "discards free blocks, and through a loop device those of its file"},
    HazardousProgram{"blkdiscard", Hazard::trim, "discards the blocks of a device"},
    HazardousProgram{"duperemove", Hazard::dedupe, "shares blocks between files"},
    HazardousProgram{"jdupes", Hazard::dedupe, "can share blocks between files"},
    HazardousProgram{"rmlint", Hazard::dedupe, "can share blocks between files"},
    HazardousProgram{"fclones", Hazard::dedupe, "can share blocks between files"},
    HazardousProgram{"dduper", Hazard::dedupe, "shares blocks between files"},
    HazardousProgram{"bees", Hazard::dedupe, "shares blocks between files"},
    HazardousProgram{"beesd", Hazard::dedupe, "shares blocks between files"},
    HazardousProgram{"rdfind", Hazard::dedupe, "replaces files by links"},
    HazardousProgram{"hardlink", Hazard::dedupe, "replaces files by links, or shares their blocks"},
    HazardousProgram{"snapper", Hazard::backup, "takes snapshots and rolls back to them"},
    HazardousProgram{"timeshift", Hazard::backup, "restores files"},
    HazardousProgram{"rsnapshot", Hazard::backup, "copies files, by reflink where it can"},
    HazardousProgram{"rsync", Hazard::backup, "replaces or truncates the files that it writes"},
    HazardousProgram{"borg", Hazard::backup, "reads all files; restores them"},
    HazardousProgram{"restic", Hazard::backup, "reads all files; restores them"},
    HazardousProgram{"xfsdump", Hazard::backup, "reads all files"},
    HazardousProgram{"xfsrestore", Hazard::backup, "replaces files"},
    HazardousProgram{"bacula-fd", Hazard::backup, "reads all files; restores them"},
    HazardousProgram{"bareos-fd", Hazard::backup, "reads all files; restores them"},
    HazardousProgram{"lvcreate", Hazard::backup, "takes snapshots below the filesystem"},
};

/// Programs that run others: what they run is among their words.
constexpr std::array<std::string_view, 12> kRunners{"sh", "bash", "dash", "env", "nice", "ionice", "timeout", "flock", "sudo", "chrt", "systemd-cat", "nohup"};

std::string_view base_name(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string_view unquoted(std::string_view word) {
  while (!word.empty() && std::string_view("\"'`;|&()").find(word.front()) != std::string_view::npos) word.remove_prefix(1);
  while (!word.empty() && std::string_view("\"'`;|&()").find(word.back()) != std::string_view::npos) word.remove_suffix(1);
  return word;
}

/// Does the command reach into the mount? One that names folders reaches those; one that names none may reach all.
bool reaches(const std::vector<std::string>& words, std::size_t program, std::string_view mount) {
  bool named = false;
  for (std::size_t i = program + 1; i < words.size(); i++) {
    auto word = unquoted(words[i]);
    if (word.starts_with("--")) {
      const auto equals = word.find('=');
      if (equals == std::string_view::npos) continue;
      word.remove_prefix(equals + 1);
    }
    if (!word.starts_with("/") || word.starts_with("/dev/null") || word.starts_with("/var/log/") || word.starts_with("/etc/")) continue;
    named = true;
    if (related(word, mount)) return true;
  }
  return !named;
}

/// Adds what a command line would do to the mount.
void judge_command(std::string_view command, std::string_view mount, const std::string& where, const std::string& unit, std::vector<Neighbour>& found) {
  // A drop of systemd's prefixes: "-/usr/bin/x", "!!", "+".
  while (!command.empty() && std::string_view("-+!@:").find(command.front()) != std::string_view::npos) command.remove_prefix(1);
  const auto words = words_of(command);
  bool runner = false;
  for (std::size_t i = 0; i < words.size(); i++) {
    const auto word = unquoted(words[i]);
    const auto program = base_name(word);
    const auto* hazard = find_hazard(program);
    // The program itself, or one that a shell or the like runs: not just any argument that has the name.
    if (hazard && (i == 0 || runner)) {
      if (reaches(words, i, mount)) found.push_back({hazard->hazard, std::string(program), where, unit, std::string(command)});
      return;
    }
    if (i == 0 && std::find(kRunners.begin(), kRunners.end(), program) != kRunners.end()) runner = true;
    if (i == 0 && !runner) return;
  }
}

// --- systemd

constexpr std::array<const char*, 5> kUnitFolders{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
                                                  "/lib/systemd/system"};

struct Unit {
  std::vector<std::string> lines;  ///< of its file and its drop-ins
  bool masked = false;
};

std::vector<std::string> values(const Unit& unit, std::string_view key) {
  std::vector<std::string> list;
  for (const auto& line : unit.lines) {
    if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != '=') continue;
    const auto value = trimmed(std::string_view(line).substr(key.size() + 1));
    // An empty assignment takes back what was before.
    if (value.empty())
      list.clear();
    else
      list.emplace_back(value);
  }
  return list;
}

Unit read_unit(const std::string& name, const std::string& root) {
  Unit unit;
  for (const char* folder : kUnitFolders) {
    const auto path = root + folder + "/" + name;
    if (link_target(path) == "/dev/null") {
      unit.masked = true;
      return unit;
    }
    if (const auto text = text_of_file(path)) {
      unit.masked = text->empty();
      unit.lines = logical_lines(*text);
      break;
    }
  }
  for (const char* folder : kUnitFolders)
    for (const auto& file : files_in(root + folder + "/" + name + ".d", ".conf")) {
      const auto lines = logical_lines(text_of_file(file).value_or(""));
      unit.lines.insert(unit.lines.end(), lines.begin(), lines.end());
    }
  const auto conditions = values(unit, "ConditionPathExists");
  unit.masked = unit.masked || std::find(conditions.begin(), conditions.end(), "!/") != conditions.end();
  return unit;
}

/// Units that something wants to be started at boot.
std::set<std::string> enabled_units(const std::string& root) {
  std::set<std::string> names;
  for (const char* folder : kUnitFolders)
    for (const auto& wants : folders_in(root + folder)) {
      if (!wants.ends_with(".wants") && !wants.ends_with(".requires") && !wants.ends_with(".upholds")) continue;
      for (const auto& entry : names_in(wants)) names.insert(entry);
    }
  return names;
}

std::string with_suffix(const std::string& unit, const std::string& suffix) { return unit.substr(0, unit.rfind('.')) + suffix; }

/// "x@.timer" for the instance "x@mnt-hf.timer"
std::string template_of(const std::string& unit) {
  const auto at = unit.find('@'), dot = unit.rfind('.');
  return at == std::string::npos || dot < at ? unit : unit.substr(0, at + 1) + unit.substr(dot);
}

Unit read_unit_or_template(const std::string& name, const std::string& root) {
  auto unit = read_unit(name, root);
  return unit.lines.empty() && !unit.masked ? read_unit(template_of(name), root) : unit;
}

void read_units(const std::string& mount, const std::string& root, std::vector<Neighbour>& found) {
  for (const auto& name : enabled_units(root)) {
    const bool by_itself = name.ends_with(".timer") || name.ends_with(".path");
    if (!by_itself && !name.ends_with(".service")) continue;
    const Unit unit = read_unit_or_template(name, root);
    if (unit.masked) continue;
    Unit service = unit;
    if (by_itself) {
      const auto named = values(unit, "Unit");
      service = read_unit_or_template(named.empty() ? with_suffix(name, ".service") : named.back(), root);
      if (service.masked) continue;
    }
    for (const char* key : {"ExecStart", "ExecStartPre", "ExecStartPost"})
      for (const auto& command : values(service, key)) judge_command(command, mount, name, name, found);
  }
}

// --- cron

/// The line's command, past the fields before it; "@daily" stands for the five of a time.
std::string_view cron_command(std::string_view line, std::size_t fields) {
  if (line.starts_with('@') && fields >= 5) fields -= 4;
  for (; fields && !line.empty(); fields--) {
    line.remove_prefix(std::min(line.find_first_of(" \t"), line.size()));
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  }
  return line;
}

/// Fields before the command: the time; in the system's own tables a user; in anacron's period, delay and name.
constexpr std::size_t kUserTable = 5, kSystemTable = 6, kAnacronTable = 3;

bool is_assignment(std::string_view line) {
  const auto end = line.find_first_of(" \t=");
  return end != std::string_view::npos && line[line.find_first_not_of(" \t", end)] == '=';
}

void read_cron_table(const std::string& path, const std::string& root, std::size_t fields, const std::string& mount, std::vector<Neighbour>& found) {
  std::size_t number = 0;
  for (const auto& line : plain_lines(text_of_file(path).value_or(""))) {
    number++;
    const auto text = trimmed(line);
    if (text.empty() || text.starts_with('#') || is_assignment(text)) continue;
    // What stands before && or ; is another command: "test -x /x && /x".
    std::string_view rest = cron_command(text, fields);
    const auto where = path.substr(root.size()) + ":" + std::to_string(number);
    for (const auto& part : split_commands(rest)) judge_command(part, mount, where, "", found);
  }
}

void read_cron(const std::string& mount, const std::string& root, std::vector<Neighbour>& found) {
  read_cron_table(root + "/etc/crontab", root, kSystemTable, mount, found);
  read_cron_table(root + "/etc/anacrontab", root, kAnacronTable, mount, found);
  for (const auto& file : files_in(root + "/etc/cron.d", "")) read_cron_table(file, root, kSystemTable, mount, found);
  for (const char* folder : {"/var/spool/cron/crontabs", "/var/spool/cron"})
    for (const auto& file : files_in(root + folder, "")) read_cron_table(file, root, kUserTable, mount, found);
  for (const char* folder : {"/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly"})
    for (const auto& file : files_in(root + folder, "")) {
      std::size_t number = 0;
      for (const auto& line : plain_lines(text_of_file(file).value_or(""))) {
        number++;
        const auto text = trimmed(line);
        if (text.empty() || text.starts_with('#')) continue;
        const auto where = file.substr(root.size()) + ":" + std::to_string(number);
        for (const auto& part : split_commands(text)) judge_command(part, mount, where, "", found);
      }
    }
}

// --- log rotation

void read_logrotate_file(const std::string& path, const std::string& root, const std::string& mount, bool by_default, std::vector<CopyTruncate>& found) {
  std::vector<std::string> patterns;
  bool inside = false, copies = by_default;
  std::size_t number = 0, began = 0;
  for (const auto& line : plain_lines(text_of_file(path).value_or(""))) {
    number++;
    auto text = std::string(trimmed(std::string_view(line).substr(0, line.find('#'))));
    if (!inside) {
      const auto brace = text.find('{');
      for (const auto& word : words_of(std::string_view(text).substr(0, brace)))
        if (unquoted(word).starts_with("/")) patterns.emplace_back(unquoted(word));
      if (brace == std::string::npos) continue;
      inside = true;
      began = number;
      copies = by_default;
      text.erase(0, brace + 1);
    }
    for (const auto& word : words_of(text)) {
      if (word == "copytruncate") copies = true;
      if (word == "nocopytruncate") copies = false;
    }
    if (text.find('}') == std::string::npos) continue;
    for (const auto& pattern : patterns)
      if (copies && related(pattern, mount)) found.push_back({path.substr(root.size()) + ":" + std::to_string(began), pattern});
    patterns.clear();
    inside = false;
  }
}

void read_logrotate(const std::string& mount, const std::string& root, std::vector<CopyTruncate>& found) {
  bool by_default = false;
  bool inside = false;
  for (const auto& line : plain_lines(text_of_file(root + "/etc/logrotate.conf").value_or(""))) {
    const auto text = trimmed(line);
    inside = (inside || text.find('{') != std::string_view::npos) && text.find('}') == std::string_view::npos;
    if (!inside && text == "copytruncate") by_default = true;
  }
  read_logrotate_file(root + "/etc/logrotate.conf", root, mount, by_default, found);
  for (const auto& file : files_in(root + "/etc/logrotate.d", "")) read_logrotate_file(file, root, mount, by_default, found);
}

// --- tmpfiles.d

/// Types that remove or truncate: by age, at boot, or when they are asked to.
bool breaks(std::string_view type, std::string_view age) {
  switch (type.empty() ? ' ' : type.front()) {
    case 'r':
    case 'R':
    case 'D':
    case 'F':
      return true;
    case 'w':
    case 'f':
      return type.find('+') != std::string_view::npos;
    case 'd':
    case 'e':
    case 'v':
    case 'q':
    case 'Q':
    case 'x':
      return type.front() != 'x' && !age.empty() && age != "-";
    default:
      return false;
  }
}

void read_tmpfiles(const std::string& mount, const std::string& root, std::vector<TmpfilesRule>& found) {
  std::set<std::string> seen;  // a file of /etc replaces one of the same name below
  for (const char* folder : {"/etc/tmpfiles.d", "/run/tmpfiles.d", "/usr/local/lib/tmpfiles.d", "/usr/lib/tmpfiles.d"})
    for (const auto& file : files_in(root + folder, ".conf")) {
      if (!seen.insert(std::string(base_name(file))).second) continue;
      std::size_t number = 0;
      for (const auto& line : plain_lines(text_of_file(file).value_or(""))) {
        number++;
        const auto words = words_of(line);
        if (words.size() < 2 || words[0].starts_with('#')) continue;
        const auto path = unquoted(words[1]);
        const auto age = words.size() > 5 ? std::string_view(words[5]) : std::string_view();
        // What lies in the mount; a rule for a folder above it stops at another filesystem.
        const bool within = path == mount || (path.starts_with(mount) && path.size() > mount.size() && path[mount.size()] == '/');
        if (within && breaks(words[0], age)) found.push_back({file.substr(root.size()) + ":" + std::to_string(number), words[0], std::string(path)});
      }
    }
}

// --- exports

void read_exports_file(const std::string& path, const std::string& root, const std::string& mount, std::vector<Export>& found) {
  std::size_t number = 0;
  for (const auto& line : plain_lines(text_of_file(path).value_or(""))) {
    number++;
    const auto words = words_of(std::string_view(line).substr(0, line.find('#')));
    if (words.empty() || !unquoted(words[0]).starts_with("/")) continue;
    Export one{path.substr(root.size()) + ":" + std::to_string(number), std::string(unquoted(words[0])), {}};
    if (!related(one.path, mount)) continue;
    for (std::size_t i = 1; i < words.size(); i++) one.options += (i > 1 ? " " : "") + words[i];
    one.pnfs = one.options.find("pnfs") != std::string::npos && one.options.find("no_pnfs") == std::string::npos;
    found.push_back(std::move(one));
  }
}

void read_exports(const std::string& mount, const std::string& root, std::vector<Export>& found) {
  read_exports_file(root + "/etc/exports", root, mount, found);
  for (const auto& file : files_in(root + "/etc/exports.d", ".exports")) read_exports_file(file, root, mount, found);
  if (found.empty()) read_exports_file(root + "/var/lib/nfs/etab", root, mount, found);
  std::size_t number = 0;
  for (const auto& line : plain_lines(text_of_file(root + "/etc/samba/smb.conf").value_or(""))) {
    number++;
    const auto text = trimmed(line);
    const auto equals = text.find('=');
    if (equals == std::string_view::npos || trimmed(text.substr(0, equals)) != "path") continue;
    const auto path = trimmed(text.substr(equals + 1));
    if (path.starts_with("/") && related(path, mount)) found.push_back({"/etc/samba/smb.conf:" + std::to_string(number), std::string(path), {}, true});
  }
}

}  // namespace

std::string_view name(Hazard hazard) {
  switch (hazard) {
    case Hazard::defragment:
      return "defragmentation";
    case Hazard::scrub:
      return "scrub";
    case Hazard::trim:
      return "trim";
    case Hazard::dedupe:
      return "dedupe";
    case Hazard::backup:
      return "backup";
  }
  return "?";
}

const HazardousProgram* find_hazard(std::string_view program) {
  const auto found = std::find_if(kHazards.begin(), kHazards.end(), [&](const HazardousProgram& one) { return one.program == program; });
  return found == kHazards.end() ? nullptr : &*found;
}

bool related(std::string_view path, std::string_view mount) {
  path = path.substr(0, path.find_first_of("*?[{"));
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  const auto within = [](std::string_view inner, std::string_view outer) {
    return outer == "/" || (inner.starts_with(outer) && (inner.size() == outer.size() || inner[outer.size()] == '/'));
  };
  return within(path, mount) || within(mount, path);
}

std::map<std::string, std::string> Neighbours::lines() const {
  std::map<std::string, std::string> all;
  for (const auto& one : programs) all[one.where + " " + one.program] = one.command;
  for (const auto& one : copytruncates) all[one.where + " copytruncate"] = one.pattern;
  for (const auto& one : rules) all[one.where + " tmpfiles"] = one.type + " " + one.path;
  for (const auto& one : exports) all[one.where + " export"] = one.path + (one.options.empty() ? "" : " " + one.options);
  return all;
}

Neighbours read_neighbours(const std::string& mount, const std::string& root) {
  Neighbours found;
  read_units(mount, root, found.programs);
  read_cron(mount, root, found.programs);
  read_logrotate(mount, root, found.copytruncates);
  read_tmpfiles(mount, root, found.rules);
  read_exports(mount, root, found.exports);
  return found;
}

std::vector<std::string> neighbour_folders(const std::string& root) {
  std::vector<std::string> folders;
  for (const char* folder : kUnitFolders) {
    folders.push_back(root + folder);
    for (const auto& inner : folders_in(root + folder))
      if (inner.ends_with(".wants") || inner.ends_with(".requires") || inner.ends_with(".timer.d") || inner.ends_with(".service.d")) folders.push_back(inner);
  }
  for (const char* folder :
       {"/etc", "/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly", "/var/spool/cron/crontabs", "/var/spool/cron",
        "/etc/logrotate.d", "/etc/tmpfiles.d", "/run/tmpfiles.d", "/usr/lib/tmpfiles.d", "/etc/exports.d", "/etc/samba"})
    folders.push_back(root + folder);
  return folders;
}

}  // namespace hf::qualify
