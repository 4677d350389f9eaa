// Recipes: what is accepted can be written out and read again, as recipe.resolved.ini is.
#include <algorithm>
#include <array>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/recipe.hpp>
#include <chorale/launcher/recipe_settings.hpp>

#include "engine.hpp"
#include "input_file.hpp"

namespace chorale::fuzz {

namespace {

constexpr std::array<std::string_view, 18> kWords = {
    "[data]",    "[train]",    "[model]",    "[optimizer]",  "[parallel]", "[split]",
    "\n",        " = ",        "#",          "\"",           "\"\"",       "layers = linear 4 -> relu -> linear 1",
    "lr = 1e-3", "batch = 64", "target = y", "file = a.csv", "0x1p3",      "nan"};

std::string resolved(const OptionTable& table) {
  std::string out;
  for (const Option& option : table.all()) {
    const std::size_t dot = option.key.find('.');
    if (dot == std::string::npos || !option.given) continue;
    out += "[" + option.key.substr(0, dot) + "]\n" + option.key.substr(dot + 1) + " = " + recipe_value(option) + "\n";
  }
  return out;
}

}  // namespace

std::span<const std::string_view> words() { return kWords; }

std::string answer_to(std::string_view input) {
  const InputFile file(input);
  const std::string answer = answer_of<UsageError>([&] {
    RecipeTable first;
    read_recipe(file.path(), first.table);
    const std::string text = resolved(first.table);
    const InputFile written(text);
    RecipeTable second;
    try {
      read_recipe(written.path(), second.table);
    } catch (const UsageError& error) {
      throw Broken("what was accepted is refused when it is written out: " + std::string(error.what()));
    }
    require(resolved(second.table) == text, "what was accepted reads as something else when it is written out:\n" + text);
  });
  return answer;
}

}  // namespace chorale::fuzz
