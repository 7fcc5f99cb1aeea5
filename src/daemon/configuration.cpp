// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/configuration.hpp"

#include <array>
#include <charconv>
#include <limits>
#include <set>
#include <sstream>
#include <stdexcept>

// toml++ 3.3 takes what it can't read for a mistake of its own ("[[[[") and asserts that it does not come; without NDEBUG that ends the program, with it the
// compiler relies on it. Here it is an error like any other.
#define TOML_EXCEPTIONS 1
#define TOML_HEADER_ONLY 1
static void toml_gave_up() { throw std::invalid_argument("this is not TOML, and it can't be said where it goes wrong"); }
#define TOML_ASSERT(expression) ((expression) ? void() : toml_gave_up())
#pragma push_macro("NDEBUG")
#undef NDEBUG
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

#include "lease/seals.hpp"

namespace hf {
namespace {

constexpr std::size_t kListMax = 1024;  // entries of one list, rules, holds: bounds what the gate and each new mount have to look at

std::string joined(std::initializer_list<std::string_view> words) {
  std::string text;
  for (const auto word : words) text.append(text.empty() ? "" : ", ").append(word);
  return text;
}

/// The word that a mistyped one may stand for; "" where none is near.
std::string near(std::string_view word, std::initializer_list<std::string_view> known) {
  for (const auto candidate : known) {
    if (word.size() + 1 < candidate.size() || candidate.size() + 1 < word.size()) continue;
    std::size_t differences = 0, i = 0, j = 0;
    while (i < word.size() && j < candidate.size()) {
      if (word[i] == candidate[j]) {
        i++, j++;
      } else {
        differences++;
        if (word.size() >= candidate.size()) i++;
        if (word.size() <= candidate.size()) j++;
      }
    }
    if (differences + (word.size() - i) + (candidate.size() - j) <= 2) return std::string(candidate);
  }
  return {};
}

std::string printable_key(std::string_view key) {
  std::string text;
  for (const char c : key) text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return text;
}

/// Reads the tables of one file into the configuration; says of each mistake where it stands.
class Reader {
 public:
  Reader(Configuration& configuration, const Names& names, std::string file) : out_(configuration), names_(names), file_(std::move(file)) {}

  void read(const toml::table& root) {
    known(root, {"default", "mount", "hold", "recall", "limits"}, "holdfast.toml");
    if (const auto* table = sub_table(root, "default")) read_default(*table);
    if (const auto* table = sub_table(root, "recall")) read_recall(*table);
    if (const auto* table = sub_table(root, "limits")) read_limits(*table);
    each_table(root, "mount", [this](const toml::table& table) { read_mount(table); });
    each_table(root, "hold", [this](const toml::table& table) { read_hold(table); });
  }

  void error(const toml::source_region& at, std::string message, std::string hint = {}) {
    out_.errors.push_back({file_, at.begin.line, at.begin.column, std::move(message), std::move(hint)});
  }

 private:
  void warning(const toml::node& at, std::string message, std::string hint = {}) {
    out_.warnings.push_back({file_, at.source().begin.line, at.source().begin.column, std::move(message), std::move(hint)});
  }

  void known(const toml::table& table, std::initializer_list<std::string_view> keys, std::string_view where) {
    for (const auto& [key, node] : table) {
      if (std::find(keys.begin(), keys.end(), key.str()) != keys.end()) continue;
      const auto meant = near(key.str(), keys);
      error(key.source(), fmt::format("{} has no key \"{}\"", where, printable_key(key.str())),
            meant.empty() ? "There are: " + joined(keys) + "." : "Did you mean \"" + meant + "\"?");
    }
  }

  template <class T>
  const toml::value<T>* value(const toml::table& table, std::string_view key, std::string_view what) {
    const auto* node = table.get(key);
    if (!node) return nullptr;
    const auto* found = node->as<T>();
    if (!found) error(node->source(), fmt::format("{} must be {}", key, what));
    return found;
  }
  const toml::value<std::string>* text(const toml::table& table, std::string_view key) { return value<std::string>(table, key, "text in quotes"); }
  const toml::value<bool>* flag(const toml::table& table, std::string_view key) { return value<bool>(table, key, "true or false"); }

  const toml::table* sub_table(const toml::table& table, std::string_view key) {
    const auto* node = table.get(key);
    if (!node) return nullptr;
    if (!node->is_table()) error(node->source(), fmt::format("{} must be a table", key), fmt::format("[{}]", key));
    return node->as_table();
  }

  template <class Body>
  void each_table(const toml::table& root, std::string_view key, Body&& body) {
    const auto* node = root.get(key);
    if (!node) return;
    const auto* array = node->as_array();
    if (!array) return error(node->source(), fmt::format("there can be several of {}, so it is written with two brackets", key), fmt::format("[[{}]]", key));
    for (const auto& entry : *array) {
      if (const auto* table = entry.as_table())
        body(*table);
      else
        error(entry.source(), fmt::format("{} must be a table", key), fmt::format("[[{}]]", key));
    }
  }

  /// One text, or a list of them, each with its place.
  std::vector<const toml::value<std::string>*> texts(const toml::table& table, std::string_view key) {
    std::vector<const toml::value<std::string>*> found;
    const auto* node = table.get(key);
    if (!node) return found;
    const auto take = [&](const toml::node& entry) {
      if (const auto* one = entry.as_string())
        found.push_back(one);
      else
        error(entry.source(), fmt::format("{} takes text in quotes, or a list of such", key));
    };
    const auto* array = node->as_array();
    if (array && array->size() > kListMax) {
      error(node->source(), fmt::format("{} has {} entries, more than {}", key, array->size(), kListMax));
    } else if (array) {
      for (const auto& entry : *array) take(entry);
    } else {
      take(*node);
    }
    return found;
  }

  template <class Parse>
  std::optional<std::uint64_t> quantity(const toml::table& table, std::string_view key, const char* form, Parse&& parse) {
    const auto* node = table.get(key);
    if (!node) return {};
    if (const auto* number = node->as_integer(); number && number->get() >= 0) return static_cast<std::uint64_t>(number->get());
    const auto* words = node->as_string();
    const auto parsed = words ? parse(words->get()) : std::nullopt;
    if (!parsed) error(node->source(), fmt::format("{} must be {}", key, form));
    return parsed;
  }
  std::optional<std::uint64_t> duration(const toml::table& table, std::string_view key) {
    return quantity(table, key, "a time, as \"30s\", \"5min\", \"2h\", \"3d\", or seconds", parse_duration_s);
  }
  std::optional<std::uint64_t> bytes(const toml::table& table, std::string_view key) {
    return quantity(table, key, "a size, as \"64K\", \"10G\", or bytes", parse_bytes);
  }
  std::optional<std::uint64_t> count(const toml::table& table, std::string_view key) {
    return quantity(table, key, "a number, 0 or more", [](std::string_view) { return std::optional<std::uint64_t>(); });
  }

  template <class Value>
  void choice(const toml::table& table, std::string_view key, std::initializer_list<std::pair<std::string_view, Value>> choices, std::optional<Value>& into) {
    const auto* word = text(table, key);
    if (!word) return;
    std::string list;
    for (const auto& [name, chosen] : choices) {
      if (word->get() == name) {
        into = chosen;
        return;
      }
      list.append(list.empty() ? "" : ", ").append(name);
    }
    error(word->source(), fmt::format("{} can't be \"{}\"", key, printable_key(word->get())), "There are: " + list + ".");
  }

  std::optional<std::uint32_t> user(const toml::value<std::string>& name) {
    const auto found = names_.user(name.get());
    if (!found)
      error(name.source(), fmt::format("there is no user \"{}\" on this machine", printable_key(name.get())),
            "Users of directory services are given by their number.");
    return found;
  }
  std::optional<std::uint32_t> group(const toml::value<std::string>& name) {
    const auto found = names_.group(name.get());
    if (!found)
      error(name.source(), fmt::format("there is no group \"{}\" on this machine", printable_key(name.get())),
            "Groups of directory services are given by their number.");
    return found;
  }

  bool absolute(const toml::value<std::string>& path, std::string_view key) {
    const auto& name = path.get();
    const bool good = !name.empty() && name[0] == '/' && name.size() < 4096 && name.find('\0') == std::string::npos;
    if (!good) error(path.source(), fmt::format("{} must be an absolute path", key), "It begins with /.");
    const bool plain = name.find("/../") == std::string::npos && name.find("//") == std::string::npos && !name.ends_with("/..");
    if (good && !plain) error(path.source(), fmt::format("{} must be written out: no .. and no //", key));
    return good && plain;
  }

  void read_holders(const toml::table& table, PolicyChanges& changes) {
    const auto* node = table.get("holders");
    if (!node) return;
    Holders holders;
    if (const auto* word = node->as_string()) {
      holders.writers = word->get() == "writers";
      holders.owner = word->get() == "owner";
      if (!holders.writers && !holders.owner && word->get() != "root")
        error(word->source(), fmt::format("holders can't be \"{}\"", printable_key(word->get())),
              "There are: writers, owner, root; or { owner = true, users = [...], groups = [...] }.");
    } else if (const auto* lists = node->as_table()) {
      known(*lists, {"owner", "users", "groups"}, "holders");
      holders.writers = false;
      if (const auto* owner = flag(*lists, "owner")) holders.owner = owner->get();
      for (const auto* name : texts(*lists, "users"))
        if (const auto id = user(*name)) holders.users.push_back(*id);
      for (const auto* name : texts(*lists, "groups"))
        if (const auto id = group(*name)) holders.groups.push_back(*id);
    } else {
      error(node->source(), "holders must be \"writers\", \"owner\", \"root\", or { owner = true, users = [...], groups = [...] }");
    }
    changes.holders = std::move(holders);
  }

  void read_seals(const toml::table& table, PolicyChanges& changes) {
    if (!table.get("seals")) return;
    std::uint32_t seals = 0;
    for (const auto* name : texts(table, "seals")) {
      const std::array one{name->get()};
      const auto mask = seals_from_names(one);
      if (mask)
        seals |= *mask;
      else
        error(name->source(), mask.error().message, mask.error().hint);
    }
    changes.seals = seals;
  }

  void read_exceptions(const toml::table& table, PolicyChanges& changes) {
    const auto* node = table.get("except");
    if (!node) return;
    const auto* array = node->as_array();
    if (!array || array->size() > kListMax) return error(node->source(), "except must be a list of { user = \"...\", program = \"/...\" }");
    changes.exceptions.emplace();
    for (const auto& entry : *array) {
      const auto* one = entry.as_table();
      if (!one) {
        error(entry.source(), "an exception is { user = \"...\" } or { program = \"/...\" }, or both");
        continue;
      }
      known(*one, {"user", "program"}, "an exception");
      const auto* name = text(*one, "user");
      const auto* program = text(*one, "program");
      if (!name && !program)
        error(entry.source(), "an exception without a user and a program excepts nobody", "{ user = \"backup\" }, or { program = \"/usr/sbin/xfs_fsr\" }");
      // A program alone: run by root. Another user could make any process of theirs look like it.
      SealException exception;
      if (name) {
        const auto id = user(*name);
        if (!id) continue;
        exception.uid = *id;
      }
      if (program && !absolute(*program, "program")) continue;
      if (program) exception.program = program->get();
      changes.exceptions->push_back(std::move(exception));
    }
  }

  void read_policy(const toml::table& table, PolicyChanges& changes) {
    if (const auto* guard = flag(table, "guard")) changes.guard = guard->get();
    read_seals(table, changes);
    read_exceptions(table, changes);
    read_holders(table, changes);
    choice<Registered>(table, "read_only", {{"lease", Registered::lease}, {"observe", Registered::observe}, {"refuse", Registered::refuse}}, changes.read_only);
    choice<Registered>(table, "odp", {{"lease", Registered::lease}, {"observe", Registered::observe}, {"refuse", Registered::refuse}}, changes.odp);
    choice<OwnBreak>(table, "own_break", {{"deadlock", OwnBreak::deadlock}, {"busy", OwnBreak::busy}, {"allow", OwnBreak::allow}}, changes.own_break);
    if (const auto* quota = sub_table(table, "quota")) {
      known(*quota, {"leases", "bytes", "time"}, "quota");
      changes.quota_leases = count(*quota, "leases");
      changes.quota_bytes = bytes(*quota, "bytes");
      changes.quota_time_s = duration(*quota, "time");
    }
  }

  void read_default(const toml::table& table) {
    known(table, {"guard", "seals", "except", "holders", "quota", "read_only", "odp", "own_break"}, "[default]");
    PolicyChanges changes;
    read_policy(table, changes);
    changes.apply_to(out_.policy.defaults);
  }

  void read_mount(const toml::table& table) {
    known(table, {"path", "device", "type", "guard", "seals", "except", "holders", "quota", "read_only", "odp", "own_break"}, "[[mount]]");
    if (out_.policy.mounts.size() == kListMax) return error(table.source(), fmt::format("more than {} [[mount]]", kListMax));
    MountRule rule;
    rule.origin = fmt::format("{}:{}", file_, table.source().begin.line);
    const auto* path = text(table, "path");
    const auto* device = text(table, "device");
    const auto* type = text(table, "type");
    if ((path != nullptr) + (device != nullptr) + (type != nullptr) != 1)
      error(table.source(), "a [[mount]] is found by one of path, device and type", "path = \"/mnt/pool\", device = \"/dev/pmem0\", or type = \"xfs\"");
    if (path && absolute(*path, "path")) {
      rule.path = path->get();
      if (rule.path.size() > 1 && rule.path.ends_with('/')) rule.path.pop_back();
    }
    if (device) rule.device = device->get();
    if (type) {
      rule.type = type->get();
      static constexpr std::array kTypes{"xfs", "ext4", "tmpfs", "hugetlbfs"};
      if (std::find(kTypes.begin(), kTypes.end(), rule.type) == kTypes.end())
        warning(*type, fmt::format("Holdfast guards no filesystem of type \"{}\"", printable_key(rule.type)), "It guards xfs, ext4, tmpfs and hugetlbfs.");
    }
    read_policy(table, rule.changes);
    if (rule.changes.guard == false && rule.changes.seals.value_or(0))
      error(table.source(), "a filesystem can't be exempt and sealed at once", "Leave out guard = false, or the seals.");
    out_.policy.mounts.push_back(std::move(rule));
  }

  void read_hold(const toml::table& table) {
    known(table, {"file", "files", "settle"}, "[[hold]]");
    const auto* settle = flag(table, "settle");
    auto files = texts(table, "file");
    for (const auto* more : texts(table, "files")) files.push_back(more);
    if (files.empty()) error(table.source(), "a [[hold]] names at least one file", "file = \"/mnt/pool/segment\", or files = [\"/mnt/pool/seg-*\"]");
    for (const auto* file : files) {
      if (!absolute(*file, "file")) continue;
      if (out_.policy.holds.size() == kListMax) return error(table.source(), fmt::format("more than {} files to hold", kListMax));
      const auto& pattern = file->get();
      const auto wild = pattern.find_first_of("*?[");
      if (wild != std::string::npos && pattern.find('/') == pattern.rfind('/', wild) && wild < pattern.rfind('/'))
        warning(*file, "this looks through every folder of the root", "Name the folder: /mnt/pool/*.dat");
      out_.policy.holds.push_back({pattern, settle && settle->get(), fmt::format("{}:{}", file_, file->source().begin.line)});
    }
  }

  void read_recall(const toml::table& table) {
    known(table, {"group", "escalation", "wait", "wait_most", "fence_time", "terminate_time"}, "[recall]");
    auto& recall = out_.policy.recall;
    if (const auto* name = text(table, "group"))
      if (const auto id = group(*name)) recall.group = id;
    std::optional<Escalation> most;
    choice<Escalation>(table, "escalation", {{"deny", Escalation::deny}, {"fence", Escalation::fence}, {"kill", Escalation::kill}}, most);
    if (most) recall.most = *most;
    const auto bounded = [&](std::string_view key, std::uint64_t& into) {
      constexpr std::uint64_t kMost = 7 * 86400;
      const auto seconds = duration(table, key);
      if (seconds && (*seconds == 0 || *seconds > kMost)) error(table.get(key)->source(), fmt::format("{} must be between a second and a week", key));
      if (seconds) into = *seconds;
    };
    bounded("wait", recall.wait_s);
    bounded("wait_most", recall.wait_most_s);
    bounded("fence_time", recall.fence_s);
    bounded("terminate_time", recall.terminate_s);
    if (recall.wait_s > recall.wait_most_s) error(table.source(), "wait is longer than wait_most allows");
  }

  void read_limits(const toml::table& table) {
    known(table, {"registrations_per_user"}, "[limits]");
    if (const auto limit = count(table, "registrations_per_user")) out_.policy.registrations_per_user = *limit;
  }

  Configuration& out_;
  const Names& names_;
  std::string file_;
};

template <class T>
std::optional<T> whole_number(std::string_view text) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty() ? std::optional(number) : std::nullopt;
}

std::optional<std::uint64_t> scaled(std::string_view text, std::initializer_list<std::pair<std::string_view, std::uint64_t>> units) {
  const auto digits = text.find_first_not_of("0123456789");
  const auto number = whole_number<std::uint64_t>(text.substr(0, digits));
  if (!number) return {};
  if (digits == std::string_view::npos) return number;
  auto unit = text.substr(digits);
  unit.remove_prefix(std::min(unit.find_first_not_of(' '), unit.size()));
  for (const auto& [name, factor] : units) {
    if (unit != name) continue;
    if (*number > std::numeric_limits<std::uint64_t>::max() / factor) return {};
    return *number * factor;
  }
  return {};
}

toml::array& list_of(toml::table& root, std::string_view key) {
  if (!root.get_as<toml::array>(key)) root.insert_or_assign(key, toml::array{});
  return *root.get_as<toml::array>(key);
}

void drop(toml::array& list, std::string_view key, const std::string& value) {
  for (auto at = list.begin(); at != list.end();) {
    const auto* table = at->as_table();
    const auto* found = table ? table->get_as<std::string>(key) : nullptr;
    at = found && found->get() == value ? list.erase(at) : at + 1;
  }
}

toml::table guard_entry(const ManagedChange& change) {
  toml::table entry{{"path", change.path}};
  entry.insert("guard", change.kind == ManagedChange::Kind::guard);
  if (change.kind == ManagedChange::Kind::unguard) {
    // Seals of other files go with the guard.
    entry.insert("seals", toml::array{});
    return entry;
  }
  toml::array seals;
  for (const auto& seal : change.seals) seals.push_back(seal);
  entry.insert("seals", std::move(seals));
  toml::array exceptions;
  for (const auto& exception : change.exceptions) {
    toml::table one{{"user", std::to_string(exception.uid)}};
    if (!exception.program.empty()) one.insert("program", exception.program);
    one.is_inline(true);
    exceptions.push_back(std::move(one));
  }
  if (!exceptions.empty()) entry.insert("except", std::move(exceptions));
  return entry;
}

constexpr std::string_view kManagedHead =
    "# Written by `holdfast guard`, `holdfast unguard` and `holdfast hold --persist`. Edit it as you like, then `holdfast reload`; comments are not kept.\n\n";

}  // namespace

std::string Problem::text() const {
  auto where = line ? fmt::format("{}:{}:{}", file, line, column) : file;
  return where + ": " + message + (hint.empty() ? "" : "\n  " + hint);
}

Status Configuration::usable() const {
  if (errors.empty()) return {};
  std::string text;
  for (const auto& problem : errors) text.append(text.empty() ? "" : "\n").append(problem.text());
  return fail(EINVAL, std::move(text), "Nothing was changed. `holdfast config check` says this, too.");
}

namespace {

struct Parsed {
  std::optional<toml::table> table;
  toml::source_region at{{1, 1}, {1, 1}, {}};
  std::string mistake;
};

Parsed parse(const std::string& text, std::string_view path) {
  try {
    return {.table = toml::parse(text, path)};
  } catch (const toml::parse_error& error) {
    return {.table = {}, .at = error.source(), .mistake = std::string(error.description())};
  } catch (const std::invalid_argument& error) {
    return {.table = {}, .mistake = error.what()};
  }
}

}  // namespace

Configuration check_configuration(const std::vector<SourceText>& sources, const Names& names) {
  Configuration configuration;
  for (const auto& source : sources) {
    configuration.files.push_back(source.path);
    Reader reader(configuration, names, source.path);
    const auto parsed = parse(source.text, source.path);
    if (parsed.table)
      reader.read(*parsed.table);
    else
      reader.error(parsed.at, parsed.mistake);
  }
  return configuration;
}

Result<std::string> change_managed(const std::string& text, const ManagedChange& change) {
  auto parsed = parse(text, kManagedFile);
  if (!parsed.table)
    return fail(EINVAL, fmt::format("{}:{}: {}", kManagedFile, parsed.at.begin.line, parsed.mistake), "Mend it, or remove it: holdfast config check");
  auto& root = *parsed.table;
  using Kind = ManagedChange::Kind;
  if (change.kind == Kind::guard || change.kind == Kind::unguard) {
    auto& mounts = list_of(root, "mount");
    drop(mounts, "path", change.path);
    mounts.push_back(guard_entry(change));
  } else {
    auto& holds = list_of(root, "hold");
    const auto before = holds.size();
    drop(holds, "file", change.path);
    if (change.kind == Kind::forget && holds.size() == before)
      return fail(ENOENT, fmt::format("{} is not held by {}", change.path, kManagedFile),
                  "Holds of other files are ended by editing these; `holdfast config show` says which.");
    if (change.kind == Kind::hold) {
      toml::table entry{{"file", change.path}};
      if (change.settle) entry.insert("settle", true);
      holds.push_back(std::move(entry));
    }
  }
  std::ostringstream out;
  out << kManagedHead << root << "\n";
  return out.str();
}

std::optional<std::uint64_t> parse_duration_s(std::string_view text) { return scaled(text, {{"s", 1}, {"min", 60}, {"m", 60}, {"h", 3600}, {"d", 86400}}); }

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  return scaled(text, {{"B", 1},
                       {"K", 1ull << 10},
                       {"KiB", 1ull << 10},
                       {"M", 1ull << 20},
                       {"MiB", 1ull << 20},
                       {"G", 1ull << 30},
                       {"GiB", 1ull << 30},
                       {"T", 1ull << 40},
                       {"TiB", 1ull << 40}});
}

}  // namespace hf
