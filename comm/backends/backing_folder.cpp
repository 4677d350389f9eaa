#include <chorale/comm/backends/backing_folder.hpp>

#include <stdlib.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

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
  std::string name = (parent() / "chorale-mpi-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) return;  // then MPI uses its own place
  path_ = name;
  setenv(kSetting, path_.c_str(), 0);
}

BackingFolder::~BackingFolder() {
  if (path_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
  unsetenv(kSetting);  // a child that starts MPI must not look for this folder
}

void BackingFolder::hide() noexcept {
  if (path_.empty()) return;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path_, error)) files_.push_back(entry.path().string());
  std::filesystem::remove_all(path_, error);
}

void BackingFolder::restore() noexcept {
  if (path_.empty() || files_.empty()) return;
  std::error_code ignored;
  std::filesystem::create_directory(path_, ignored);
  for (const std::string& file : files_) std::ofstream{file};
}

}  // namespace chorale
