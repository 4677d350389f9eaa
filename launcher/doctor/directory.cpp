#include <chorale/launcher/doctor/directory.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <thread>

#include <chorale/comm/control/connection.hpp>
#include <chorale/launcher/doctor/probe.hpp>

namespace chorale {

namespace fs = std::filesystem;

namespace {

using namespace std::chrono_literals;
constexpr auto kSeenWithin = 3s;  // clients of a network file system remember for a while that a file was not there
constexpr std::int64_t kMiB = 1 << 20;

fs::path existing(const fs::path& directory) {
  std::error_code error;
  fs::path at = directory;
  while (!fs::exists(at, error) && at.has_relative_path()) at = at.parent_path();
  return at;
}

std::string file_name(const std::string& nonce) { return ".chorale-doctor-" + nonce; }

enum class Name { keep, drop };

/// Empty, or what the system said. drop: the file has no name while it is written, so that it goes however this rank ends.
std::string write_file(const fs::path& path, const std::string& text, Name name) {
  const Descriptor file(::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0640));
  if (!file) return std::strerror(errno);
  if (name == Name::drop) ::unlink(path.c_str());
  const ssize_t count = ::write(file.number(), text.data(), text.size());
  if (count != static_cast<ssize_t>(text.size())) return count < 0 ? std::strerror(errno) : "only a part was written";
  return ::fsync(file.number()) == 0 ? "" : std::strerror(errno);
}

std::string read_once(const fs::path& path, const std::string& expected) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return std::strerror(errno);
  std::string text(expected.size() + 1, '\0');
  const ssize_t count = ::read(file.number(), text.data(), text.size());
  if (count < 0) return std::strerror(errno);
  text.resize(static_cast<std::size_t>(count));
  return text == expected ? "" : "a file of that name holds something else";
}

std::string read_file(const fs::path& path, const std::string& expected) {
  std::string why;
  for (const auto until = std::chrono::steady_clock::now() + kSeenWithin;;) {
    why = read_once(path, expected);
    if (why.empty() || std::chrono::steady_clock::now() > until) return why;
    std::this_thread::sleep_for(50ms);
  }
}

void measure_room(DirectoryFacts& facts) {
  struct statvfs space {};
  if (::statvfs(facts.folder.c_str(), &space) != 0 || space.f_blocks == 0) return;  // /proc and the like have none
  facts.free_bytes = static_cast<std::int64_t>(space.f_bavail * space.f_frsize);
  if (space.f_files > 0) facts.free_inodes = static_cast<std::int64_t>(space.f_favail);
}

std::string rank_0s(Communicator& comm, const std::string& text) {
  const auto all = broadcast_bytes(comm, std::as_bytes(std::span(text)), 0, "doctor folder");
  return {reinterpret_cast<const char*>(all.data()), all.size()};
}

nlohmann::json ask(Communicator& comm, const ProbeOrder& order) {
  DirectoryFacts mine = {.rank = comm.rank(), .host = host_name(), .folder = existing(order.directory).string()};
  mine.exists = mine.folder == order.directory;
  // Where one rank sees the directory and another does not, the second must not look beside it.
  mine.folder = rank_0s(comm, mine.folder);
  const std::string nonce = rank_0s(comm, order.nonce);  // under an outer launcher each rank has been given another
  const fs::path file = fs::path(mine.folder) / file_name(nonce);
  std::uint8_t is_written = 0;
  if (comm.rank() == 0) mine.unwritten = write_file(file, nonce, Name::keep), is_written = mine.unwritten.empty();
  comm.broadcast(buffer_of(std::span(&is_written, 1)), 0, "doctor nonce").wait();
  if (is_written == 1 && comm.rank() != 0) mine.unread = read_file(file, nonce);
  if (is_written == 1 && comm.rank() != 0 && comm.node().rank() == 0) {
    mine.unwritten = write_file(file.string() + "-" + std::to_string(comm.rank()), nonce, Name::drop);
  }
  measure_room(mine);
  auto out = gather_facts(comm, mine, "doctor directory");
  if (is_written == 1 && comm.rank() == 0) ::unlink(file.c_str());
  return out;
}

Finding judge_sharing(const std::vector<DirectoryFacts>& ranks) {
  const DirectoryFacts& first = ranks.front();
  const std::string name = first.folder + (first.exists ? "" : " (the run directory would be made in it)");
  if (!first.unwritten.empty())
    return failed("run_directory", ExitCode::io,
                  fmt::format("{} cannot be written by {}: {}", name, rank_text(first.rank, first.host), first.unwritten),
                  "choose another by --run-dir DIR, or make it writable");
  for (const DirectoryFacts& r : ranks)
    if (!r.unread.empty())
      return failed("run_directory", ExitCode::io,
                    fmt::format("{} is not the same folder everywhere: {} wrote a file that {} cannot read: {}", name,
                                rank_text(first.rank, first.host), rank_text(r.rank, r.host), r.unread),
                    "choose a folder on a file system that all hosts mount under one path, by --run-dir DIR");
  for (const DirectoryFacts& r : ranks)
    if (!r.unwritten.empty())
      return failed("run_directory", ExitCode::io,
                    fmt::format("{} cannot be written by {}: {}", name, rank_text(r.rank, r.host), r.unwritten),
                    "mount it for writing on that host: ranks write checkpoints in parallel");
  return ok("run_directory", fmt::format("{} is written by one and read by all", name));
}

Finding judge_room(const std::vector<DirectoryFacts>& ranks) {
  const DirectoryFacts& first = ranks.front();
  if (first.free_bytes < 0) return skipped("free_space", "the file system of " + first.folder + " does not say");
  const std::string room = fmt::format("{} has {} free{}", first.folder, bytes_text(static_cast<double>(first.free_bytes)),
                                       first.free_inodes < 0 ? "" : fmt::format(" and {} inodes", first.free_inodes));
  const std::string remedy = "free some, or choose another folder by --run-dir DIR; a checkpoint with Adam takes 12 bytes a parameter";
  if (first.free_bytes < 64 * kMiB || (first.free_inodes >= 0 && first.free_inodes < 100))
    return failed("free_space", ExitCode::io, room, remedy);
  if (first.free_bytes < 1024 * kMiB || (first.free_inodes >= 0 && first.free_inodes < 10000)) return warning("free_space", room, remedy);
  return ok("free_space", room);
}

std::vector<Finding> judge(const nlohmann::json& facts) { return judge_directory(facts.get<std::vector<DirectoryFacts>>()); }

}  // namespace

std::vector<Finding> judge_directory(const std::vector<DirectoryFacts>& ranks) {
  std::vector<Finding> out = {judge_sharing(ranks), judge_room(ranks)};
  out[0].values = {{"folder", ranks.front().folder}, {"exists", ranks.front().exists}};
  out[1].values = {{"free_bytes", ranks.front().free_bytes}, {"free_inodes", ranks.front().free_inodes}};
  return out;
}

std::vector<std::string> nonce_files(const std::string& directory, const std::string& nonce) {
  std::vector<std::string> out;
  for (fs::path at = directory;; at = at.parent_path()) {  // which of them is there is not asked: the file system may hang
    out.push_back((at / file_name(nonce)).string());
    if (!at.has_relative_path() || at == at.parent_path()) return out;
  }
}

Probe directory_probe() {
  return {.name = "directory",
          .checks = {"run_directory", "free_space"},
          .share = std::chrono::seconds(5),
          .needs_peers = false,
          .ask = ask,
          .judge = judge};
}

}  // namespace chorale
