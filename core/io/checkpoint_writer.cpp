#include <chorale/core/io/checkpoint_writer.hpp>

#include <fcntl.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/core/io/content_hash.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/core/io/removal_place.hpp>

namespace chorale {

std::string_view name(SavePoint point) {
  constexpr std::string_view kNames[] = {"snapshot", "read", "part_written", "manifest", "rename", "prune"};
  return kNames[static_cast<int>(point)];
}

namespace {

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw IoError("[make folder] " + folder.string() + ": " + error.message());
}

bool is_token(const std::string& token) {
  return !token.empty() && std::all_of(token.begin(), token.end(),
                                       [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_'; });
}

}  // namespace

CheckpointWriter::CheckpointWriter(Setup setup)
    : setup_(std::move(setup)), draft_(setup_.checkpoints / (checkpoint_name(setup_.step) + ".tmp." + setup_.token)) {
  if (setup_.step < 0 || !is_token(setup_.token))
    throw UsageError("[checkpoint] expected a step from 0 and a token of letters, digits, - and _, got " + std::to_string(setup_.step) +
                     " and '" + setup_.token + "'");
}

std::filesystem::path CheckpointWriter::folder() const { return setup_.checkpoints / checkpoint_name(setup_.step); }

void CheckpointWriter::join() { make_folder(draft_); }

void CheckpointWriter::reserve(const std::string& name, std::uint64_t bytes) {
  File file = File::open_write(draft_ / name);
  file.reserve(bytes);
  file.close();
}

std::vector<std::string> CheckpointWriter::write_part(const std::string& name, ByteRange range, const PieceSource& source,
                                                      const std::stop_token& stop) {
  std::vector<std::string> hashes;
  if (range.size() == 0) return hashes;
  for (BlockHash& each : write_parts(name, range.last, std::span(&range, 1), source, stop)) hashes.push_back(std::move(each.hash));
  return hashes;
}

std::vector<CheckpointWriter::BlockHash> CheckpointWriter::write_parts(const std::string& name, std::uint64_t bytes,
                                                                       std::span<const ByteRange> ranges, const PieceSource& source,
                                                                       const std::stop_token& stop) {
  std::vector<BlockHash> out;
  if (ranges.empty()) return out;
  File file = File::open_write(draft_ / name);
  file.bypass_cache();  // the copy would cost the training threads their core
  std::vector<std::string> hash;
  for (const ByteRange& range : ranges) {
    for (std::uint64_t first = range.first, last = 0; first < range.last; first = last) {
      if (stop.stop_requested()) throw IoError("[write] " + file.path().string() + ": given up, the run ends");
      last = std::min((first / kPiece + 1) * kPiece, range.last);
      const std::span<const std::byte> piece = source({first, last});
      for (std::uint64_t block = (first + kHashBlock - 1) / kHashBlock; block * kHashBlock < last; ++block) {
        const std::uint64_t begin = block * kHashBlock, end = std::min(begin + kHashBlock, bytes);
        if (end > last) break;
        hash.clear();
        add_block_hashes(piece.subspan(begin - first, end - begin), hash);
        out.push_back({block, hash[0]});
      }
      file.write_at(first, piece);
    }
  }
  file.sync();
  file.close();
  pass(SavePoint::part_written);
  return out;
}

std::string CheckpointWriter::hash_of_block(const std::string& name, std::uint64_t block) const {
  const File file = File::open_read(draft_ / name);
  std::vector<std::byte> bytes(kHashBlock);
  std::vector<std::string> hash;
  add_block_hashes(std::span(bytes).first(file.read_at(block * kHashBlock, bytes)), hash);
  if (hash.size() != 1) throw CheckpointError("[commit] " + file.path().string() + " ends before its block " + std::to_string(block));
  return hash[0];
}

CheckpointFile CheckpointWriter::write_text(const std::string& name, const std::string& text) {
  CheckpointFile out{name, text.size(), {}};
  const auto bytes = std::as_bytes(std::span(text));
  File file = File::create(draft_ / name);
  file.write_at(0, bytes);
  file.sync();
  file.close();
  add_block_hashes(bytes, out.blocks);
  return out;
}

void CheckpointWriter::check_sizes(std::span<const CheckpointFile> files) const {
  for (const CheckpointFile& file : files)
    if (const std::uint64_t bytes = File::open_read(draft_ / file.name).size(); bytes != file.bytes)
      throw CheckpointError("[commit] " + (draft_ / file.name).string() + " has " + std::to_string(bytes) + " bytes, expected " +
                            std::to_string(file.bytes) + "; not all of its parts were written");
}

void CheckpointWriter::publish() {
  const std::filesystem::path target = folder();
  if (!std::filesystem::exists(target)) return rename_and_sync(draft_, target);
  // The same step again, after a resume from an earlier one. Exchanged, so that there is a whole step_N at every moment.
  if (::renameat2(AT_FDCWD, draft_.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) {
    sync_folder(setup_.checkpoints);
    return RemovalPlace(setup_.checkpoints).remove(draft_.filename().string());
  }
  // Some network file systems cannot exchange.
  if (errno != EINVAL && errno != ENOSYS) throw_io_error("exchange with", target);
  remove_checkpoint(setup_.checkpoints, setup_.step, setup_.token);
  rename_and_sync(draft_, target);
}

void CheckpointWriter::commit(Manifest manifest) {
  manifest.step = setup_.step;
  check_sizes(manifest.files);
  sync_folder(draft_);
  pass(SavePoint::manifest);
  write_text(kManifestName, manifest_text(manifest));
  sync_folder(draft_);
  must_be_ours();
  pass(SavePoint::rename);
  publish();
}

void CheckpointWriter::prune(const Retention& retention) {
  std::vector<RatedCheckpoint> present = rated_checkpoints(setup_.checkpoints);
  std::erase_if(present, [this](const RatedCheckpoint& c) { return c.step > setup_.step; });
  for (const std::int64_t step : outdated(present, retention)) {
    must_be_ours();
    pass(SavePoint::prune);
    remove_checkpoint(setup_.checkpoints, step, setup_.token);
  }
}

void CheckpointWriter::abandon() noexcept {
  try {
    RemovalPlace(setup_.checkpoints).remove(draft_.filename().string());
  } catch (const std::exception&) {  // what cannot be removed is listed as a leftover at the next start
  }
}

}  // namespace chorale
