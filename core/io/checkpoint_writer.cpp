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

namespace chorale {

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

CheckpointFile checkpoint_file(const std::string& name, const SafetensorsImage& image) { return {name, image.size(), image.hash()}; }

CheckpointWriter::CheckpointWriter(std::filesystem::path checkpoints, std::int64_t step, const std::string& token)
    : checkpoints_(std::move(checkpoints)),
      folder_(checkpoints_ / checkpoint_name(step)),
      draft_(checkpoints_ / (checkpoint_name(step) + ".tmp." + token)),
      step_(step),
      token_(token) {
  if (step < 0 || !is_token(token))
    throw UsageError("[checkpoint] expected a step from 0 and a token of letters, digits, - and _, got " + std::to_string(step) + " and '" +
                     token + "'");
}

void CheckpointWriter::begin() {
  make_folder(checkpoints_);
  remove_folder(draft_);
  make_folder(draft_);
  sync_folder(checkpoints_);
}

void CheckpointWriter::reserve(const std::string& name, std::uint64_t bytes) {
  File file = File::create(draft_ / name);
  file.reserve(bytes);
  file.close();
}

void CheckpointWriter::write_part(const std::string& name, const SafetensorsImage& image, ByteRange range) {
  image.write_range(draft_ / name, range);
}

CheckpointFile CheckpointWriter::write_text(const std::string& name, const std::string& text) {
  File file = File::create(draft_ / name);
  file.write_at(0, std::as_bytes(std::span(text)));
  file.sync();
  file.close();
  ContentHash hash;
  hash.add(std::as_bytes(std::span(text)));
  return {name, text.size(), hash.text()};
}

void CheckpointWriter::check_sizes(std::span<const CheckpointFile> files) const {
  for (const CheckpointFile& file : files)
    if (const std::uint64_t bytes = File::open_read(draft_ / file.name).size(); bytes != file.bytes)
      throw CheckpointError("[commit] " + (draft_ / file.name).string() + " has " + std::to_string(bytes) + " bytes, expected " +
                            std::to_string(file.bytes) + "; not all of its parts were written");
}

void CheckpointWriter::publish() {
  if (!std::filesystem::exists(folder_)) return rename_and_sync(draft_, folder_);
  // The same step again, after a resume from an earlier one. Exchanged, so that there is a whole step_N at every moment.
  if (::renameat2(AT_FDCWD, draft_.c_str(), AT_FDCWD, folder_.c_str(), RENAME_EXCHANGE) == 0) {
    sync_folder(checkpoints_);
    return remove_folder(draft_);
  }
  // Some network file systems cannot exchange.
  if (errno != EINVAL && errno != ENOSYS) throw_io_error("exchange with", folder_);
  remove_checkpoint(checkpoints_, step_, token_);
  rename_and_sync(draft_, folder_);
}

void CheckpointWriter::commit(const std::string& fields, std::span<const CheckpointFile> files, std::int64_t keep) {
  check_sizes(files);
  sync_folder(draft_);
  write_text(kManifestName, manifest_text({.step = step_, .fields = fields, .files = {files.begin(), files.end()}}));
  sync_folder(draft_);
  publish();
  std::vector<std::int64_t> steps = list_checkpoints(checkpoints_).steps;
  std::erase_if(steps, [this](std::int64_t step) { return step > step_; });
  const auto kept = static_cast<std::size_t>(std::max<std::int64_t>(keep, 1));
  for (std::size_t i = 0; i + kept < steps.size(); ++i) remove_checkpoint(checkpoints_, steps[i], token_);
}

void CheckpointWriter::abandon() noexcept {
  std::error_code ignored;  // what cannot be removed is listed as a leftover at the next start
  std::filesystem::remove_all(draft_, ignored);
}

}  // namespace chorale
