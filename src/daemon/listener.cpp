// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/listener.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include <cstring>
#include <optional>

namespace hf {
namespace {

constexpr int kBacklog = 1024;

Status make_folder(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return {};
  const auto folder = path.substr(0, slash);
  if (::mkdir(folder.c_str(), 0755))
    return errno == EEXIST ? Status{} : Status(sys_error(errno, "mkdir", folder, "Make the folder, or give another path: --socket PATH"));
  // Whatever the umask: every user's library has to reach the socket in it.
  if (::chmod(folder.c_str(), 0755)) return sys_error(errno, "chmod", folder);
  return {};
}

tl::unexpected<Error> in_use(const std::string& path) {
  return fail(EADDRINUSE, fmt::format("socket in use: another holdfastd answers on {}", path),
              "Stop it first (systemctl stop holdfastd), or give another path: --socket PATH");
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path))
    return fail(ENAMETOOLONG, fmt::format("a socket's path has 1 to {} bytes: {}", sizeof(address.sun_path) - 1, path));
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Result<Fd> take_lock(const std::string& path) {
  const auto name = path + ".lock";
  Fd lock(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) return sys_error(errno, "open", name, "Run holdfastd as root.");
  if (::flock(lock.get(), LOCK_EX | LOCK_NB)) return errno == EWOULDBLOCK ? Result<Fd>(in_use(path)) : Result<Fd>(sys_error(errno, "flock", name));
  return lock;
}

/// Removes what a daemon that was killed left behind.
Status remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat status {};
  if (::lstat(path.c_str(), &status)) return errno == ENOENT ? Status{} : Status(sys_error(errno, "stat", path));
  if (!S_ISSOCK(status.st_mode)) return fail(EEXIST, fmt::format("{} exists and is not a socket", path), "Remove it, or give another path: --socket PATH");
  Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) || errno == EAGAIN) return in_use(path);
  if (::unlink(path.c_str())) return sys_error(errno, "unlink", path);
  return {};
}

/// Supplementary groups as they were when it connected.
std::vector<std::uint32_t> groups_of(int socket) {
  socklen_t length = 0;
  ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, nullptr, &length);
  std::vector<std::uint32_t> groups(length / sizeof(gid_t));
  if (length && ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length)) groups.clear();
  return groups;
}

/// The socket that the service manager made for us, if it is that path's.
std::optional<Fd> inherited(const std::string& path) {
  const int count = sd_listen_fds(1);
  for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + count; fd++) {
    if (sd_is_socket_unix(fd, SOCK_STREAM, 1, path.c_str(), 0) <= 0) continue;
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
    return Fd(fd);
  }
  return {};
}

}  // namespace

Result<Listener> listen_at(const std::string& path) {
  HF_TRY_ASSIGN(const auto address, address_of(path));
  HF_TRY(make_folder(path));
  HF_TRY_ASSIGN(auto lock, take_lock(path));
  if (auto socket = inherited(path)) return Listener{std::move(*socket), std::move(lock)};
  HF_TRY(remove_stale(path, address));
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return sys_error(errno, "socket", path);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address))) return sys_error(errno, "bind", path);
  // Anyone may connect: what they may do is decided by who they are (SO_PEERCRED) and by the descriptors that they bring.
  if (::chmod(path.c_str(), 0666)) return sys_error(errno, "chmod", path);
  if (::listen(socket.get(), kBacklog)) return sys_error(errno, "listen", path);
  return Listener{std::move(socket), std::move(lock)};
}

Result<Peer> peer_of(int socket, const ProcessTable& processes) {
  ucred credentials{};
  socklen_t length = sizeof(credentials);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length)) return sys_error(errno, "getsockopt(SO_PEERCRED)", "a connection");
  const auto start = processes.start_ns(credentials.pid);
  if (!start) return fail(ESRCH, fmt::format("process {} is gone", credentials.pid));
  auto comm = processes.text(credentials.pid, "comm").value_or(std::string());
  if (!comm.empty() && comm.back() == '\n') comm.pop_back();
  Peer peer{.pid = credentials.pid, .start_ns = *start, .uid = credentials.uid, .gid = credentials.gid, .comm = std::move(comm)};
  peer.groups = groups_of(socket);
  peer.groups.push_back(credentials.gid);
  return peer;
}

}  // namespace hf
