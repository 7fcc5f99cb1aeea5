// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// holdfast guard, unguard: protection and seals of a mounted filesystem, from now on and after a boot.
#include <pwd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "cli/answers.hpp"
#include "cli/cli.hpp"
#include "cli/daemon_client.hpp"
#include "cli/terminal.hpp"
#include "lease/seals.hpp"

namespace hf::cli {

namespace {

struct GuardOptions {
  std::string mount;
  std::vector<std::string> seals;
  std::vector<std::string> users;
  std::vector<std::string> programs;
};

Result<std::string> absolute(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(realpath(path.c_str(), nullptr), std::free);
  if (!real) return sys_error(errno, "cannot look at", path, "Next: name the folder that the filesystem is mounted on");
  return std::string(real.get());
}

Result<std::uint32_t> uid_of(const std::string& name) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error == std::errc{} && end == name.data() + name.size()) return number;
  const auto* entry = getpwnam(name.c_str());
  if (!entry) return fail(EINVAL, fmt::format("there is no user {}", name), "Next: give a name, or a number");
  return entry->pw_uid;
}

/// "PROGRAM" (run by root) or "PROGRAM:USER"
Result<Json> program_exception(const std::string& text) {
  const auto colon = text.rfind(':');
  HF_TRY_ASSIGN(const auto program, absolute(text.substr(0, colon)));
  std::uint32_t uid = 0;
  if (colon != std::string::npos) {
    HF_TRY_ASSIGN(uid, uid_of(text.substr(colon + 1)));
  }
  return Json{{"uid", uid}, {"program", program}};
}

Result<Json> order_of(const GuardOptions& options) {
  HF_TRY(seals_from_names(options.seals));
  HF_TRY_ASSIGN(const auto path, absolute(options.mount));
  Json order{{"do", "guard"}, {"path", path}, {"seals", options.seals}, {"except", Json::array()}};
  for (const auto& name : options.users) {
    HF_TRY_ASSIGN(const auto uid, uid_of(name));
    order["except"].push_back({{"uid", uid}});
  }
  for (const auto& text : options.programs) {
    HF_TRY_ASSIGN(auto exception, program_exception(text));
    order["except"].push_back(std::move(exception));
  }
  return order;
}

void print_warnings(const Json& answer) {
  const Json& warnings = member(answer, "warnings");
  for (const Json& warning : warnings.is_array() ? warnings : Json::array())
    if (warning.is_string()) std::fprintf(stderr, "holdfast: %s\n", printable(warning.get<std::string>()).c_str());
}

int guard(const Cli& cli, const GuardOptions& options) {
  const auto order = order_of(options);
  if (!order) return complain(order.error());
  const auto answer = ask(cli, *order);
  if (!answer) return complain(answer.error());
  if (cli.json) {
    std::printf("%s\n", dump(*answer, 2).c_str());
    return kOk;
  }
  const auto seals = text_at(*answer, "seals");
  std::printf("%s is guarded%s\n", printable(text_at(*answer, "path")).c_str(),
              seals == "none" ? ", without seals" : (", and sealed against " + seals).c_str());
  print_warnings(*answer);
  return kOk;
}

int unguard(const Cli& cli, const GuardOptions& options) {
  const auto path = absolute(options.mount);
  if (!path) return complain(path.error());
  const auto answer = ask(cli, {{"do", "unguard"}, {"path", *path}});
  if (!answer) return complain(answer.error());
  if (cli.json) {
    std::printf("%s\n", dump(*answer, 2).c_str());
    return kOk;
  }
  std::printf("%s is not guarded any more: no seals, and new registrations get no lease\n", printable(*path).c_str());
  if (const auto leases = number_at(*answer, "leases"))
    std::printf("%s there until their holders let go; holdfast leases lists them\n",
                (count_text(leases, "lease") + (leases == 1 ? " stands" : " stand")).c_str());
  print_warnings(*answer);
  return kOk;
}

std::string seal_list() {
  std::string text = "Seals:\n";
  for (const auto& seal : seals()) text += fmt::format("  {:<12}{}\n", seal.name, seal.refuses);
  return text + "  all         all of them\n";
}

}  // namespace

void add_guard(CLI::App& app, Cli& cli) {
  auto options = std::make_shared<GuardOptions>();
  CLI::App* verb = app.add_subcommand("guard", "Guard a mounted filesystem, and seal it against what must not happen on it");
  verb->add_option("MOUNT", options->mount, "Where it is mounted")->required()->type_name("");
  verb->add_option("--seal", options->seals, "Refuse these on every file of it, leased or not; comma-separated, repeatable")->delimiter(',')->type_name("SEAL");
  verb->add_option("--except-user", options->users, "A user whom the seals don't bind")->delimiter(',')->type_name("USER");
  verb->add_option("--except-program", options->programs, "A program that they don't bind while root, or USER, runs it")
      ->type_name("PATH[:USER]")
      ->allow_extra_args(false);
  add_json(*verb, cli);
  verb->footer(
      "It replaces what guard said of that filesystem before, and stays over a boot (conf.d/80-managed.toml).\nSeals hold for root, too; leases are refused to "
      "break as ever, exceptions or not.\n\n" +
      seal_list() +
      "\nExamples:\n"
      "  holdfast guard /mnt/pool --seal reflink,dedupe,truncate\n"
      "  holdfast guard /mnt/pool --seal all --except-program /usr/sbin/xfs_fsr\n"
      "  holdfast guard /mnt/pool                       guarded, without seals");
  verb->callback([&cli, options] { cli.run = [&cli, options] { return guard(cli, *options); }; });
}

void add_unguard(CLI::App& app, Cli& cli) {
  auto options = std::make_shared<GuardOptions>();
  CLI::App* verb = app.add_subcommand("unguard", "Exempt a filesystem: no seals, no leases for new registrations");
  verb->add_option("MOUNT", options->mount, "Where it is mounted")->required()->type_name("");
  add_json(*verb, cli);
  verb->footer(
      "Leases that stand stay until their holders let go. It stays over a boot; holdfast guard takes it back.\n\nExample:\n  holdfast unguard /dev/shm");
  verb->callback([&cli, options] { cli.run = [&cli, options] { return unguard(cli, *options); }; });
}

}  // namespace hf::cli
