#include <chorale/comm/backends/backing_folder.hpp>

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <chorale/core/base/error.hpp>

namespace chorale {
namespace {

constexpr const char* kSetting = "OMPI_MCA_btl_vader_backing_directory";

/// The launcher's folder for this job where there is one: it goes with the job, however its ranks end.
std::filesystem::path parent() {
  std::error_code error;
  const char* of_job = std::getenv("PMIX_SERVER_TMPDIR");
  if (of_job && ::access(of_job, W_OK) == 0 && std::filesystem::is_directory(of_job, error)) return of_job;
  return std::filesystem::temp_directory_path(error);
}

}  // namespace

BackingFolder::BackingFolder() {
  if (std::getenv(kSetting) != nullptr) return;
  try {
    folder_.emplace(parent(), "chorale-mpi-");
  } catch (const IoError&) {
    return;
  }
  setenv(kSetting, folder_->path().c_str(), 0);
}

BackingFolder::~BackingFolder() {
  if (folder_) unsetenv(kSetting);  // a child that starts MPI must not look for this folder
}

void BackingFolder::hide() noexcept {
  if (!folder_) return;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_->path(), error)) files_.push_back(entry.path().string());
  folder_->remove();
}

void BackingFolder::restore() noexcept {
  if (!folder_ || files_.empty()) return;
  folder_->make_again();
  for (const std::string& file : files_) std::ofstream{file};
}

}  // namespace chorale
