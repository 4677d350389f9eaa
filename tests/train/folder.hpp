// A folder of a test, which is made by who writes into it and goes with this.
#pragma once
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <string>

struct Folder {
  std::filesystem::path path;
  Folder() {
    static std::atomic<int> next{0};
    path = std::filesystem::temp_directory_path() / ("chorale_train_" + std::to_string(::getpid()) + "_" + std::to_string(next++));
    std::filesystem::remove_all(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
};
