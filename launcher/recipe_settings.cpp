#include <chorale/launcher/recipe_settings.hpp>

#include <filesystem>

#include <chorale/launcher/init_from.hpp>
#include <chorale/launcher/recipe.hpp>
#include <chorale/train/data/representations.hpp>

namespace chorale {

RecipeTable::RecipeTable() {
  register_all(registry);
  describe(table, settings, registry);
}

void RecipeTable::read(const std::string& path) {
  read_recipe(path, table);
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  make_paths_absolute(settings.data, folder.string());
  settings.data.representations = absolute_representations(settings.data.representations, folder.string());
  settings.train.init_from = absolute_run(settings.train.init_from, folder.string());
}

std::map<std::string, std::string> RecipeTable::identity() const {
  std::map<std::string, std::string> out;
  for (const Option& option : table.all())
    if (option.key.find('.') != std::string::npos && option.mathematics && option.key != "data.file" && option.key != "data.memory")
      out[option.key] = option.text();
  return out;
}

}  // namespace chorale
