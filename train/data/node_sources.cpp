#include <chorale/train/data/node_sources.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/preprocess_bytes.hpp>
#include <chorale/core/io/content_hash.hpp>
#include <chorale/train/data/together.hpp>

namespace chorale {

namespace {

std::vector<std::string> agreed_paths(Communicator& comm, const std::vector<std::string>& files) {
  Bytes mine;
  together(comm, "data files", [&](std::int64_t&) {
    if (comm.rank() != 0) return;
    for (const std::string& path : expand_files(files)) put_text(mine, path);
  });
  const auto all = broadcast_bytes(comm, mine, 0, "data files");
  std::vector<std::string> paths;
  for (std::span<const std::byte> rest(all); !rest.empty();) paths.push_back(take_text(rest));
  return paths;
}

// Where the others of the node find what the first rank has unpacked.
struct Unpacked {
  std::int64_t process = 0, descriptor = -1;  // -1: the file is plain
};

Source open_unpacked(const Unpacked& from, const std::string& path) {
  const std::string name = "/proc/" + std::to_string(from.process) + "/fd/" + std::to_string(from.descriptor);
  const int descriptor = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    throw IoError("[source] " + path + ": cannot open what another rank of this node has unpacked (" + name + "): " + std::strerror(errno));
  try {
    Source source(descriptor, path);
    ::close(descriptor);
    return source;
  } catch (...) {
    ::close(descriptor);
    throw;
  }
}

constexpr std::size_t kHeadBytes = 64 * 1024;

void compare_sizes(Communicator& comm, const std::vector<Source>& sources) {
  std::vector<std::int64_t> mine;
  for (const Source& source : sources) mine.push_back(static_cast<std::int64_t>(source.bytes().size()));
  const std::vector<std::int64_t> counts(static_cast<std::size_t>(comm.size()), static_cast<std::int64_t>(mine.size()));
  std::vector<std::int64_t> all(mine.size() * counts.size());
  comm.all_gather(buffer_of(std::span(mine)), buffer_of(std::span(all)), counts, "data sizes").wait();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::size_t file = i % mine.size();
    if (all[i] != all[file])
      throw DataError(sources[file].path() + " has " + std::to_string(all[file]) + " bytes on rank 0 and " + std::to_string(all[i]) +
                      " on rank " + std::to_string(i / mine.size()) + "; all ranks must read the same file");
  }
}

/// A file of equal size may still be another one, on a node that has an older copy.
void compare_heads(Communicator& comm, const std::vector<Source>& sources) {
  std::string mine;
  for (const Source& source : sources) mine += content_hash_of(source.bytes().substr(0, kHeadBytes));
  const std::size_t length = mine.size() / std::max<std::size_t>(1, sources.size());
  const auto all = all_gather_bytes(comm, std::as_bytes(std::span(mine)), "data heads");
  for (std::size_t r = 1; r < all.size(); ++r)
    for (std::size_t file = 0; file < sources.size(); ++file)
      if (std::memcmp(all[r].data() + file * length, all[0].data() + file * length, length) != 0)
        throw DataError(sources[file].path() + " begins otherwise on rank " + std::to_string(r) + " than on rank 0 (first " +
                        std::to_string(kHeadBytes / 1024) + " KiB); all ranks must read the same file");
}

}  // namespace

std::vector<Source> open_node_sources(Communicator& comm, const std::vector<std::string>& files, const std::string& spill_directory) {
  const std::vector<std::string> paths = agreed_paths(comm, files);
  Communicator& node = comm.node();
  std::vector<Source> sources;
  std::vector<Unpacked> cards(paths.size());
  together_slowly(comm, "unpack data", [&](std::int64_t& file) {
    if (node.rank() != 0) return;
    for (file = 0; file < static_cast<std::int64_t>(paths.size()); ++file) {
      const Source& source = sources.emplace_back(paths[static_cast<std::size_t>(file)], spill_directory);
      if (source.was_packed()) cards[static_cast<std::size_t>(file)] = {::getpid(), source.descriptor()};
    }
  });
  const auto* bytes = reinterpret_cast<const std::byte*>(cards.data());
  const auto told = broadcast_bytes(node, {bytes, cards.size() * sizeof(Unpacked)}, 0, "unpacked data");
  std::memcpy(cards.data(), told.data(), told.size());
  together(comm, "open data", [&](std::int64_t& file) {
    if (node.rank() == 0) return;
    for (file = 0; file < static_cast<std::int64_t>(paths.size()); ++file) {
      const auto i = static_cast<std::size_t>(file);
      if (cards[i].descriptor >= 0)
        sources.push_back(open_unpacked(cards[i], paths[i]));
      else
        sources.emplace_back(paths[i], spill_directory);
    }
  });
  compare_sizes(comm, sources);
  compare_heads(comm, sources);
  return sources;
}

}  // namespace chorale
