// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "journal/journal.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>

namespace hf {
namespace {

using std::chrono::milliseconds;

constexpr auto kGather = milliseconds(50);             // how long a batch waits for more
constexpr auto kRetry = milliseconds(500);             // after it could not be written
constexpr auto kHousekeeping = milliseconds(600'000);  // what is too old goes
constexpr std::int64_t kJumpMs = 3'600'000;
constexpr std::uint64_t kJumpPauseNs = 86'400'000'000'000;
constexpr std::uint64_t kAgeEveryNs = 60'000'000'000;
constexpr int kDropRows = 4096;

constexpr const char* kSchema = R"(
CREATE TABLE run (
  id INTEGER PRIMARY KEY,
  node TEXT NOT NULL,
  machine TEXT,
  boot TEXT NOT NULL,
  version TEXT NOT NULL,
  started_ms INTEGER NOT NULL
);
CREATE TABLE event (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run INTEGER NOT NULL REFERENCES run (id),
  time_ms INTEGER NOT NULL,
  boot_ns INTEGER NOT NULL,
  kind TEXT NOT NULL,
  path TEXT,
  device TEXT,
  inode INTEGER,
  generation INTEGER,
  operation TEXT,
  lease INTEGER,
  pid INTEGER,
  uid INTEGER,
  comm TEXT,
  executable TEXT,
  count INTEGER NOT NULL,
  data TEXT NOT NULL
);
CREATE INDEX event_by_time ON event (time_ms);
CREATE INDEX event_by_path ON event (path) WHERE path IS NOT NULL;
CREATE VIEW history AS
  SELECT event.id, strftime('%Y-%m-%dT%H:%M:%fZ', time_ms / 1000.0, 'unixepoch') AS time, node, machine, boot, version, kind, path, device, inode, generation,
         operation, lease, pid, uid, comm, executable, count, data
  FROM event JOIN run ON run.id = event.run;
)";

std::int64_t clock_ms(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}
std::uint64_t boot_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string device_text(std::uint32_t device) { return fmt::format("{}:{}", device >> 20, device & 0xfffff); }

constexpr int kColumns = 16;  // of an event that are written

std::string insertion_of(std::size_t rows) {
  std::string sql =
      "INSERT INTO event (run, time_ms, boot_ns, kind, path, device, inode, generation, operation, lease, pid, uid, comm, executable, count, data)";
  for (std::size_t i = 0; i < rows; i++)
    sql += i ? ", (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)" : " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
  return sql;
}

std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + "\"";
}

}  // namespace

NodeIdentity NodeIdentity::of_this_machine() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return {name, first_line("/etc/machine-id"), first_line("/proc/sys/kernel/random/boot_id")};
}

Journal::Journal(Options options) : options_(std::move(options)), thread_([this] { run(); }) {}

Journal::~Journal() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Journal::add(JournalEntry entry) {
  const auto now_ns = boot_ns();
  const auto ago_ns = now_ns > entry.time_ns ? now_ns - entry.time_ns : 0;
  Queued queued{std::move(entry), clock_ms(CLOCK_REALTIME) - static_cast<std::int64_t>(ago_ns / 1'000'000), now_ns};
  const bool escape = queued.entry.kind == journal_kind::kEscape;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() + in_hand_ >= kQueueMax + (escape ? kEscapesReserved : 0)) {
      lost_[queued.entry.kind] += queued.entry.count;
      lost_total_ += queued.entry.count;
      return;
    }
    first = queue_.empty();
    hurry_ = hurry_ || escape;
    queue_.push_back(std::move(queued));
    added_++;
  }
  if (first || escape) wake_.notify_one();
}

void Journal::set_limits(const JournalLimits& limits) {
  {
    const std::lock_guard lock(mutex_);
    limits_ = limits;
  }
  look();
}

void Journal::look() {
  {
    const std::lock_guard lock(mutex_);
    hurry_ = true;
  }
  wake_.notify_one();
}

bool Journal::flush(std::uint64_t timeout_ms) {
  std::unique_lock lock(mutex_);
  const auto wanted = added_;
  hurry_ = true;
  wake_.notify_one();
  return progress_.wait_for(lock, milliseconds(timeout_ms), [&] { return written_ >= wanted; });
}

Journal::Figures Journal::figures() const {
  const auto now = boot_ns();
  const std::lock_guard lock(mutex_);
  Figures figures{.written = written_, .waiting = queue_.size() + in_hand_, .lost = lost_total_, .bytes = bytes_, .trouble = trouble_};
  const auto oldest = in_hand_ ? oldest_ns_ : queue_.empty() ? now : queue_.front().added_ns;
  figures.lag_ms = (now - std::min(oldest, now)) / 1'000'000;
  return figures;
}

void Journal::run() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, kHousekeeping, [this] { return stopping_ || hurry_ || !queue_.empty() || !taken_.empty(); });
      // More come right after the first: one transaction for all of them.
      if (!stopping_ && !hurry_ && !queue_.empty() && taken_.empty())
        wake_.wait_for(lock, kGather, [this] { return stopping_ || hurry_ || queue_.size() >= kBatchMax; });
      hurry_ = false;
    }
    work();
    const std::lock_guard lock(mutex_);
    if (stopping_ && ((queue_.empty() && taken_.empty()) || !trouble_.empty())) return;
  }
}

/// Writes all that waits, batch by batch; what can't be written goes back to where it was.
void Journal::work() {
  for (;;) {
    JournalLimits limits;
    bool stopping = false;
    {
      // Brief, whatever waits: the event loop may wait for it.
      const std::lock_guard lock(mutex_);
      if (taken_.empty()) taken_.swap(queue_);
      in_hand_ = taken_.size();
      oldest_ns_ = taken_.empty() ? 0 : taken_.front().added_ns;
      limits = limits_;
      stopping = stopping_;
    }
    const auto end = taken_.begin() + static_cast<std::ptrdiff_t>(std::min(taken_.size(), kBatchMax));
    std::vector<Queued> batch(std::make_move_iterator(taken_.begin()), std::make_move_iterator(end));
    taken_.erase(taken_.begin(), end);
    auto written = write(batch);
    if (!written && written.error().code == EUCLEAN) {
      set_aside(written.error());
      written = write(batch);
    }
    if (written) written = keep_within(limits);
    if (!written && written.error().code == EUCLEAN) {
      set_aside(written.error());
      written = {};
    }
    if (!written) taken_.insert(taken_.begin(), std::make_move_iterator(batch.begin()), std::make_move_iterator(batch.end()));
    std::unique_lock lock(mutex_);
    in_hand_ = taken_.size();
    if (written) {
      const bool more = in_hand_ || !queue_.empty();
      lock.unlock();
      recovered();
      progress_.notify_all();
      if (!more) return;
      continue;
    }
    lock.unlock();
    failed(written.error());
    if (stopping) return;
    lock.lock();
    wake_.wait_for(lock, kRetry, [this] { return stopping_; });
    return;
  }
}

Status Journal::write(const std::vector<Queued>& batch) {
  if (!open_) {
    auto opened = open();
    if (!opened) return tl::unexpected(opened.error());
    open_.emplace(std::move(*opened));
  }
  std::map<std::string_view, std::uint64_t> lost;
  {
    const std::lock_guard lock(mutex_);
    lost = lost_;
  }
  if (batch.empty() && lost.empty()) return {};
  const auto& database = open_->database;
  const bool escape = std::any_of(batch.begin(), batch.end(), [](const Queued& each) { return each.entry.kind == journal_kind::kEscape; });
  // An escape is on the disk, and not only with the kernel, before the next is looked at.
  if (escape) HF_TRY(database.run("PRAGMA synchronous = FULL"));
  auto done = write_all(batch, lost);
  if (escape) (void)database.run("PRAGMA synchronous = NORMAL");
  if (!done) {
    (void)database.run("ROLLBACK");
    // Whatever it was: the next try begins with a fresh connection.
    open_.reset();
    return done;
  }
  const std::lock_guard lock(mutex_);
  written_ += batch.size();
  for (const auto& [kind, count] : lost)
    if ((lost_[kind] -= count) == 0) lost_.erase(kind);
  return {};
}

Status Journal::write_all(const std::vector<Queued>& batch, const std::map<std::string_view, std::uint64_t>& lost) {
  HF_TRY(open_->database.run("BEGIN IMMEDIATE"));
  std::span<const Queued> rest(batch);
  for (; rest.size() >= kRowsAtOnce; rest = rest.subspan(kRowsAtOnce)) HF_TRY(insert(rest.first(kRowsAtOnce)));
  for (; !rest.empty(); rest = rest.subspan(1)) HF_TRY(insert(rest.first(1)));
  for (const auto& [kind, count] : lost) {
    const auto data = fmt::format(R"({{"schema":"holdfast.event/1","event":"lost","what":"{}","by":"journal","count":{}}})", kind, count);
    Queued told{{.kind = journal_kind::kLost, .time_ns = boot_ns(), .count = count, .data = [&] { return data; }}, clock_ms(CLOCK_REALTIME), 0};
    told.entry.operation = kind;
    HF_TRY(insert({&told, 1}));
  }
  return open_->database.run("COMMIT");
}

/// @param rows one, or kRowsAtOnce
Status Journal::insert(std::span<const Queued> rows) {
  auto& statement = rows.size() == 1 ? open_->insert : open_->insert_rows;
  // What is bound is borrowed from here until the statement has run: reserved, for a text that is moved would be another's.
  std::vector<std::string> texts;
  texts.reserve(2 * rows.size());
  for (std::size_t i = 0; i < rows.size(); i++) bind_row(statement, static_cast<int>(i) * kColumns, rows[i], texts);
  return statement.run();
}

void Journal::bind_row(Statement& row, int before, const Queued& queued, std::vector<std::string>& texts) const {
  const auto& entry = queued.entry;
  int at = before;
  row.bind(++at, open_->run);
  row.bind(++at, queued.real_ms);
  row.bind(++at, static_cast<std::int64_t>(entry.time_ns));
  row.bind_borrowed(++at, entry.kind);
  row.bind_borrowed_or_null(++at, entry.path);
  const bool file = entry.file.inode != 0;
  row.bind_borrowed_or_null(++at, texts.emplace_back(file ? device_text(entry.file.device) : std::string()));
  for (const auto number : {static_cast<std::int64_t>(entry.file.inode), static_cast<std::int64_t>(entry.file.generation)}) {
    if (file)
      row.bind(++at, number);
    else
      row.bind_null(++at);
  }
  row.bind_borrowed_or_null(++at, entry.operation);
  if (entry.lease)
    row.bind(++at, static_cast<std::int64_t>(entry.lease));
  else
    row.bind_null(++at);
  for (const auto number : {entry.pid, entry.uid}) {
    if (entry.pid)
      row.bind(++at, static_cast<std::int64_t>(number));
    else
      row.bind_null(++at);
  }
  row.bind_borrowed_or_null(++at, entry.comm);
  row.bind_borrowed_or_null(++at, entry.executable);
  row.bind(++at, static_cast<std::int64_t>(entry.count));
  row.bind_borrowed(++at, texts.emplace_back(entry.data ? entry.data() : std::string("{}")));
}

Result<Journal::Open> Journal::open() {
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(options_.path).parent_path(), ignored);
  // Command lines and paths of others stand in it.
  const auto before = ::umask(0077);
  auto opened = Database::open(options_.path, Database::Mode::kWrite);
  ::umask(before);
  if (!opened) return tl::unexpected(opened.error());
  Database database(std::move(*opened));
  HF_TRY(database.run("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216"));
  HF_TRY_ASSIGN(auto version, database.number("PRAGMA user_version"));
  HF_TRY_ASSIGN(const auto tables, database.number("SELECT count(*) FROM sqlite_schema"));
  if (version == 0 && tables == 0) {
    HF_TRY(database.run("BEGIN IMMEDIATE"));
    HF_TRY(database.run(kSchema));
    HF_TRY(database.run(fmt::format("PRAGMA application_id = 1212566093; PRAGMA user_version = {}; COMMIT", kVersion).c_str()));
    version = kVersion;
  }
  if (version != kVersion) return fail(EUCLEAN, fmt::format("it is of version {}, and this holdfastd writes version {}", version, kVersion));
  HF_TRY_ASSIGN(auto check, database.prepare("PRAGMA quick_check(1)"));
  HF_TRY_ASSIGN(const bool said, check.step());
  if (said && check.text(0) != "ok") return fail(EUCLEAN, check.text(0));
  HF_TRY_ASSIGN(const auto run, begin_run(database));
  HF_TRY_ASSIGN(auto insert, database.prepare(insertion_of(1)));
  HF_TRY_ASSIGN(auto insert_rows, database.prepare(insertion_of(kRowsAtOnce)));
  return Open{std::move(database), std::move(insert), std::move(insert_rows), run};
}

/// The same run keeps its row when the database was only opened anew.
Result<std::int64_t> Journal::begin_run(const Database& database) const {
  static const auto started_ms = clock_ms(CLOCK_REALTIME);
  HF_TRY_ASSIGN(auto find, database.prepare("SELECT id FROM run WHERE boot = ? AND started_ms = ?"));
  find.bind(1, options_.node.boot);
  find.bind(2, started_ms);
  HF_TRY_ASSIGN(const bool known, find.step());
  if (known) return find.number(0);
  HF_TRY_ASSIGN(auto begin, database.prepare("INSERT INTO run (node, machine, boot, version, started_ms) VALUES (?, ?, ?, ?, ?) RETURNING id"));
  begin.bind(1, options_.node.name);
  begin.bind_text_or_null(2, options_.node.machine);
  begin.bind(3, options_.node.boot);
  begin.bind(4, options_.version);
  begin.bind(5, started_ms);
  HF_TRY_ASSIGN(const bool row, begin.step());
  const auto id = row ? begin.number(0) : 0;
  HF_TRY(begin.run());
  return id;
}

/// Moves a database that can't be used out of the way; one that was moved before is replaced.
void Journal::set_aside(const Error& error) {
  open_.reset();
  const auto aside = options_.path + ".damaged";
  for (const char* part : {"-wal", "-shm"}) {
    ::unlink((aside + part).c_str());
    ::rename((options_.path + part).c_str(), (aside + part).c_str());
  }
  // Where it can't be moved, the next try fails with the same, and says so.
  if (::rename(options_.path.c_str(), aside.c_str()) != 0) return;
  const auto text = fmt::format("the journal {} can't be used ({}) and was set aside as {}; another was begun", options_.path, error.message, aside);
  if (options_.tell) options_.tell(false, text);
  const auto data = fmt::format(R"({{"schema":"holdfast.event/1","event":"daemon","what":"journal-set-aside","text":{}}})", json_quoted(text));
  add({.kind = journal_kind::kDaemon, .time_ns = boot_ns(), .operation = "journal-set-aside", .data = [data] { return data; }});
}

/// Deletes the oldest where there is too much. Only some at a time: what waits is written in between.
Status Journal::keep_within(const JournalLimits& limits) {
  const auto now_ns = boot_ns();
  const auto now_ms = clock_ms(CLOCK_REALTIME);
  note_clock(now_ns, now_ms);
  const auto& database = open_->database;
  if (limits.age_s && now_ns - age_looked_ns_ >= kAgeEveryNs) {
    age_looked_ns_ = now_ns;
    // A clock that has been set forward by far makes everything look old: better to keep too much for a day.
    if (!clock_jumped_ns_ || now_ns - clock_jumped_ns_ > kJumpPauseNs) HF_TRY(drop_old(limits.age_s, now_ms));
  }
  HF_TRY_ASSIGN(const auto page, database.number("PRAGMA page_size"));
  const auto used = [&]() -> Result<std::uint64_t> {
    HF_TRY_ASSIGN(const auto pages, database.number("PRAGMA page_count"));
    HF_TRY_ASSIGN(const auto free, database.number("PRAGMA freelist_count"));
    return static_cast<std::uint64_t>((pages - free) * page);
  };
  HF_TRY_ASSIGN(auto bytes, used());
  for (int round = 0; limits.size_bytes && bytes > limits.size_bytes && round < 4; round++) {
    HF_TRY(database.run(fmt::format("DELETE FROM event WHERE id IN (SELECT id FROM event WHERE kind <> 'escape' ORDER BY id LIMIT {})", kDropRows).c_str()));
    if (!database.changes()) HF_TRY(database.run(fmt::format("DELETE FROM event WHERE id IN (SELECT id FROM event ORDER BY id LIMIT {})", kDropRows).c_str()));
    HF_TRY(database.run("PRAGMA incremental_vacuum"));
    HF_TRY_ASSIGN(bytes, used());
  }
  const std::lock_guard lock(mutex_);
  bytes_ = bytes;
  return {};
}

Status Journal::drop_old(std::uint64_t age_s, std::int64_t now_ms) {
  const auto oldest = now_ms - static_cast<std::int64_t>(age_s) * 1000;
  HF_TRY(open_->database.run(fmt::format("DELETE FROM event WHERE id IN (SELECT id FROM event WHERE time_ms < {} LIMIT {})", oldest, 4 * kDropRows).c_str()));
  if (!open_->database.changes()) return {};
  HF_TRY(open_->database.run("DELETE FROM run WHERE id NOT IN (SELECT run FROM event) AND id < (SELECT max(id) FROM run)"));
  return open_->database.run("PRAGMA incremental_vacuum");
}

void Journal::note_clock(std::uint64_t now_ns, std::int64_t now_ms) {
  const auto offset = now_ms - static_cast<std::int64_t>(now_ns / 1'000'000);
  const auto before = clock_offset_ms_.value_or(offset);
  clock_offset_ms_ = offset;
  const auto jump = offset - before;
  if (jump > -2000 && jump < 2000) return;
  if (jump > kJumpMs) clock_jumped_ns_ = now_ns;
  const auto data = fmt::format(R"({{"schema":"holdfast.event/1","event":"daemon","what":"clock-set","by_ms":{}}})", jump);
  add({.kind = journal_kind::kDaemon, .time_ns = now_ns, .operation = "clock-set", .data = [data] { return data; }});
}

void Journal::failed(const Error& error) {
  std::uint64_t waiting = 0;
  {
    const std::lock_guard lock(mutex_);
    waiting = queue_.size() + in_hand_;
    if (std::exchange(trouble_, error.message) == error.message) return;
  }
  if (options_.tell)
    options_.tell(
        false,
        fmt::format("the journal {} can't be written: {}. {} entries wait in memory, which has room for {}; what comes after is counted and lost. Make room, "
                    "or give holdfastd a folder that it can write: --state-dir PATH",
                    options_.path, error.message, waiting, kQueueMax));
}

void Journal::recovered() {
  std::uint64_t lost = 0;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(trouble_, std::string()).empty()) return;
    lost = lost_total_;
  }
  if (options_.tell) options_.tell(true, fmt::format("the journal {} is written again; entries lost since the start: {}", options_.path, lost));
}

}  // namespace hf
