// Settings from a recipe and flags: flag beats recipe beats default.
#pragma once
#include <span>
#include <string>
#include <vector>

#include <chorale/core/base/registry.hpp>
#include <chorale/launcher/arguments.hpp>
#include <chorale/train/settings.hpp>

namespace chorale {

/// The whole table of a recipe, bound to its settings. Lives where it is made: options point into it.
struct RecipeTable {
  RecipeTable();
  RecipeTable(const RecipeTable&) = delete;
  RecipeTable& operator=(const RecipeTable&) = delete;
  /// Reads the recipe; data.file becomes relative to it.
  void read(const std::string& path);
  /// key -> text of every option that may not change at a resume.
  std::map<std::string, std::string> identity() const;
  Registry registry;
  Settings settings;
  OptionTable table;
};

}  // namespace chorale
