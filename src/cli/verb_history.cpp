// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// holdfast history: what the journal has.
#include <poll.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>

#include "cli/answers.hpp"
#include "cli/cli.hpp"
#include "cli/event_text.hpp"
#include "cli/terminal.hpp"
#include "cli/when.hpp"
#include "journal/entry.hpp"
#include "journal/history.hpp"

namespace hf::cli {

namespace {

constexpr std::size_t kPage = 1000;
constexpr int kFollowMs = 250;

struct HistoryOptions {
  std::string since, until, file, breaker, journal;
  std::vector<std::string> kinds;
  std::size_t last = 0;
  bool follow = false, no_probe = false;
};

std::int64_t now_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

Result<std::optional<std::int64_t>> time_of(const std::string& text, const char* option) {
  if (text.empty()) return std::nullopt;
  const auto time = parse_time(text, now_ms());
  if (!time) return fail(EINVAL, fmt::format("{}: \"{}\" is no time", option, printable(text)), fmt::format("Next: write it as {}", kTimeForms));
  return time;
}

/// The file that is there now is found under all its names; one that is gone, by the name that it had.
void name_file(HistoryQuery& query, const std::string& file) {
  if (file.empty()) return;
  std::error_code ignored;
  query.file = std::filesystem::absolute(file, ignored).lexically_normal().string();
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return;
  query.device = fmt::format("{}:{}", major(status.st_dev), minor(status.st_dev));
  query.inode = status.st_ino;
}

Result<HistoryQuery> query_of(const HistoryOptions& options) {
  HistoryQuery query{.breaker = options.breaker, .kinds = options.kinds, .limit = kPage};
  HF_TRY_ASSIGN(query.since_ms, time_of(options.since, "--since"));
  HF_TRY_ASSIGN(query.until_ms, time_of(options.until, "--until"));
  for (const auto& kind : options.kinds)
    if (std::find(std::begin(journal_kind::kAll), std::end(journal_kind::kAll), kind) == std::end(journal_kind::kAll))
      return fail(EINVAL, fmt::format("the journal has no kind \"{}\"", printable(kind)),
                  fmt::format("Next: take one or more of {}", fmt::join(journal_kind::kAll, ", ")));
  name_file(query, options.file);
  if (options.no_probe) query.without = kScratchPaths;
  if (options.last) {
    query.newest = true;
    query.limit = options.last;
  }
  return query;
}

struct Page {
  std::vector<Json> events;
  bool more = false;
  std::string trouble;
};

Result<Page> page_of_file(const std::string& journal, const HistoryQuery& query) {
  HF_TRY_ASSIGN(const auto found, read_history(journal, query));
  Page page{.more = found.more};
  for (const auto& row : found.rows) page.events.push_back(Json::parse(history_json(row), nullptr, false));
  return page;
}

Result<Page> page_of_daemon(const Cli& cli, const HistoryQuery& query) {
  Json request{{"query", "history"},       {"file", query.file},   {"device", query.device}, {"inode", query.inode},   {"breaker", query.breaker},
               {"without", query.without}, {"after", query.after}, {"limit", query.limit},   {"newest", query.newest}, {"kinds", query.kinds}};
  if (query.since_ms) request["since_ms"] = *query.since_ms;
  if (query.until_ms) request["until_ms"] = *query.until_ms;
  HF_TRY_ASSIGN(const auto answer, ask(cli, request));
  Page page{.more = flag_at(answer, "more"), .trouble = text_at(answer, "trouble")};
  for (const auto& event : member(answer, "events")) page.events.push_back(event);
  return page;
}

/// Where the pages come from: the daemon, or the file itself where there is none.
class Source {
 public:
  Source(const Cli& cli, std::string journal) : cli_(cli), journal_(std::move(journal)) {}

  Result<Page> page(const HistoryQuery& query) {
    if (!journal_.empty()) return page_of_file(journal_, query);
    auto page = page_of_daemon(cli_, query);
    if (page || page.error().code != ENOTCONN || ::geteuid() != 0 || ::access(kJournalPath, R_OK) != 0) return page;
    if (!std::exchange(said_, true)) std::fprintf(stderr, "holdfast: holdfastd isn't running; this is what stands in %s\n", kJournalPath);
    return page_of_file(kJournalPath, query);
  }

 private:
  const Cli& cli_;
  std::string journal_;
  bool said_ = false;
};

std::string local_date(const std::string& iso) {
  std::tm utc{};
  if (!::strptime(iso.c_str(), "%Y-%m-%dT%H:%M:%S", &utc)) return {};
  const auto seconds = ::timegm(&utc);
  std::tm local{};
  localtime_r(&seconds, &local);
  char text[16];
  return std::strftime(text, sizeof text, "%Y-%m-%d", &local) ? text : std::string();
}

/// @return whether there is still someone who reads
bool show(const Cli& cli, const Terminal& terminal, const Json& event) {
  if (cli.json) {
    std::printf("%s\n", dump(event).c_str());
  } else {
    Json data = member(event, "data");
    if (!data.is_object()) data = Json::object();
    // The journal's own clock, which is also that of --since.
    data["time"] = text_at(event, "time");
    std::printf("%s %s\n", terminal.paint(Colour::kDim, local_date(text_at(event, "time"))).c_str(), watch_text(data, terminal).c_str());
  }
  return !std::ferror(stdout);
}

int history(const Cli& cli, const HistoryOptions& options) {
  auto query = query_of(options);
  if (!query) return complain(query.error());
  Source source(cli, options.journal);
  const Terminal terminal = Terminal::of(stdout);
  std::size_t shown = 0;
  std::string trouble;
  for (;;) {
    const auto page = source.page(*query);
    // While it is followed, the daemon may be restarted.
    if (!page && !(options.follow && shown && page.error().code == ENOTCONN)) return complain(page.error());
    if (page) {
      for (const auto& event : page->events) {
        query->after = static_cast<std::int64_t>(number_at(event, "id"));
        if (!show(cli, terminal, event)) return kOk;
        shown++;
      }
      if (!page->trouble.empty() && page->trouble != trouble)
        std::fprintf(stderr, "holdfast: the journal can't be written now, so the latest may be missing: %s\n", printable(page->trouble).c_str());
      trouble = page->trouble;
    }
    if (std::fflush(stdout) != 0) return kOk;
    const bool whole = options.last != 0;
    query->newest = false;
    query->limit = kPage;
    if (page && page->more && !whole) continue;
    if (!options.follow) break;
    pollfd reader{fileno(stdout), 0, 0};
    if (::poll(&reader, 1, kFollowMs) > 0 && (reader.revents & (POLLERR | POLLHUP))) return kOk;
  }
  if (!shown && !cli.json) std::fprintf(stderr, "holdfast: the journal has nothing like that\n");
  return kOk;
}

}  // namespace

void add_history(CLI::App& app, Cli& cli) {
  auto options = std::make_shared<HistoryOptions>();
  CLI::App* verb = app.add_subcommand("history", "Show what has happened, from the journal");
  verb->add_option("--since", options->since, "Not before this time")->type_name("TIME");
  verb->add_option("--until", options->until, "Before this time only")->type_name("TIME");
  verb->add_option("--file", options->file, "Only of this file, of files below this folder, or of a pattern with * ? []")->type_name("PATH");
  verb->add_option("--breaker", options->breaker, "Only what this program (path or name) or process number tried")->type_name("NAME");
  verb->add_option("--kind", options->kinds, "Only these, separated by commas: denial, escape, registration, lease, recall, configuration, ...")
      ->type_name("KINDS")
      ->delimiter(',');
  verb->add_flag("--no-probe", options->no_probe, "Without what holdfast probe and qualify have tried on their scratch files");
  verb->add_option("--last", options->last, "Only the last so many")->type_name("N")->check(CLI::Range(1, 10000));
  verb->add_flag("--follow", options->follow, "Go on with what happens from now");
  verb->add_option("--journal", options->journal, "Read this journal, without holdfastd; for one of another machine")->type_name("FILE");
  add_json(*verb, cli);
  verb->footer(
      fmt::format("TIME is {}.\n"
                  "Kinds: {}.\n"
                  "The oldest comes first. With --json each line is an object. Users other than root see what concerns their own.\n\n"
                  "Examples:\n  holdfast history --since today --kind denial,escape\n  holdfast history --file /mnt/pool --breaker rm --follow\n"
                  "  holdfast history --json --since -1h | jq -r .data.breaker.executable",
                  kTimeForms, fmt::join(journal_kind::kAll, ", ")));
  verb->callback([&cli, options] { cli.run = [&cli, options] { return history(cli, *options); }; });
}

}  // namespace hf::cli
