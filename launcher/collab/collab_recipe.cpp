#include <chorale/launcher/collab/collab_recipe.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/split.hpp>
#include <chorale/launcher/collab/lockstep.hpp>
#include <chorale/launcher/collab/recipe_words.hpp>
#include <chorale/launcher/init_from.hpp>
#include <chorale/launcher/recipe.hpp>
#include <chorale/train/collab/strategy.hpp>

namespace chorale {

CollabOptions CollabRecipe::options() const {
  CollabOptions o;
  o.strategies = settings.strategy;
  o.distill = settings.distill, o.distill.by_checkpoint = settings.distill_form == "checkpoint", o.proto = settings.proto,
  o.align = settings.align;
  o.trunk = settings.trunk, o.stitch = settings.stitch;
  o.exports_features = settings.exports_features;
  o.wire = parse_row_wire(settings.wire), o.clip = settings.clip, o.noise = settings.noise;
  o.store = settings.store, o.width = settings.width, o.keep = 1 - settings.beta;
  return o;
}

void CollabRecipe::declare_tasks_of(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    line = trimmed(line.substr(0, line.find('#')));
    if (!line.starts_with("[task") || line.back() != ']') continue;
    const std::string section = trimmed(line.substr(1, line.size() - 2));
    const std::string name = section.starts_with("task.") ? section.substr(5) : "";
    if (!is_name(name))
      throw UsageError(fmt::format("{}:{}: section [{}] is refused: write [task.NAME], a name being at most 31 letters, digits, _ or -",
                                   path, number, section));
    for (const auto& other : sections)
      if (other->name == name) throw UsageError(fmt::format("{}:{}: section [{}] stands there twice", path, number, section));
    sections.push_back(std::make_unique<TaskSection>());
    sections.back()->name = name;
    describe(*sections.back());
  }
}

void CollabRecipe::read(const std::string& path) { read_recipe(path, table); }

void CollabRecipe::resolve(const std::string& path) {
  if (sections.size() < 2)
    throw UsageError(path + ": a collaboration needs at least two sections [task.NAME]; train one task with chorale train");
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  for (const auto& section : sections) {
    const std::string at = "task." + section->name + ".";
    auto keys = std::make_unique<RecipeTable>();
    if (!section->recipe.empty()) {
      const std::filesystem::path recipe = section->recipe;
      keys->read((recipe.is_absolute() ? recipe : folder / recipe).lexically_normal().string());
    }
    for (const Option& option : table.all()) {
      if (!option.given || !option.key.starts_with(at)) continue;
      const std::string given = option.key.substr(at.size());
      if (!section->keys.contains(given)) continue;
      const std::string& text = section->keys[given];
      const std::string key = given == kColumns ? "data.columns" : given;
      if (given == kColumns && table.find(at + key)->given)
        throw UsageError(at + "columns is short for " + at + "data.columns; give one of them");
      const bool has_quotes = !option.origin.empty() && keys->table.find(key)->type == "text";  // a flag's value is the text itself
      keys->table.set(key, has_quotes ? unquoted(text) : text, option.origin);
      const std::filesystem::path base = option.origin.empty() ? std::filesystem::current_path() : folder;  // a flag's is relative to here
      if (key == "train.init_from") keys->settings.train.init_from = absolute_run(keys->settings.train.init_from, base.string());
      if (key != "data.file") continue;
      for (std::string& file : keys->settings.data.file) {
        if (!std::filesystem::path(file).is_absolute()) file = (base / file).lexically_normal().string();
      }
    }
    if (section->entity.empty())
      throw UsageError(at + "entity is missing; name what its rows are about, for instance customer : customer_id");
    std::vector<std::string>& ids = keys->settings.data.id;
    for (const EntityColumn& entity : parse_entities(section->entity, at + "entity"))  // a key is no feature
      if (!entity.column.empty() && std::find(ids.begin(), ids.end(), entity.column) == ids.end() &&
          std::find(keys->settings.data.drop.begin(), keys->settings.data.drop.end(), entity.column) == keys->settings.data.drop.end() &&
          entity.column != keys->settings.data.target)
        ids.push_back(entity.column);
    if (keys->settings.train.on_nan == "rollback")
      throw UsageError(at + "train.on_nan = rollback would part the ticks of the tasks; use skip or stop");
    tasks.push_back(std::move(keys));
  }
  check_strategies();
  check_lockstep(*this);
  pinned_steps();
  for (std::size_t t = 0; t < sections.size(); ++t) request(t);
}

void CollabRecipe::check_strategies() const {
  const std::vector<std::string>& chosen = settings.strategy;
  if (settings.noise > 0 && settings.clip <= 0)
    throw UsageError("collab.noise is a multiple of collab.clip, which is missing; give the length that vectors are cut to");
  if (chosen.empty()) throw UsageError("collab.strategy names none; take it out for store, the default");
  for (std::size_t i = 0; i < chosen.size(); ++i)
    if (std::find(chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(i), chosen[i]) !=
        chosen.begin() + static_cast<std::ptrdiff_t>(i))
      throw UsageError("collab.strategy = " + list_text(chosen) + " is refused: " + chosen[i] + " stands there twice");
  if (const bool wants = std::find(chosen.begin(), chosen.end(), "proto") != chosen.end(); wants && settings.proto.key.empty())
    throw UsageError("collab.strategy = proto needs collab.proto.key, a column that the tables have in common");
  check_folds();
  for (const Option& option : table.all())
    if (const std::string owner = idle_without(option.key); option.given && !owner.empty())
      throw UsageError(owner.find('=') != std::string::npos ? option.key + " is of collab." + owner + "; remove it"
                                                            : option.key + " does nothing with collab.strategy = " + list_text(chosen) +
                                                                  "; remove it, or add " + owner + " to the strategies");
}

void CollabRecipe::check_folds() const {
  Registry registry;
  register_all(registry);
  const std::vector<std::string>& chosen = settings.strategy;
  const bool has_vectors = std::any_of(chosen.begin(), chosen.end(), [&](const std::string& name) {
    return registry.of<StrategyEntry>().at(name, "collab.strategy").needs_vectors;
  });
  for (const auto& section : sections) {
    if (section->folds == 0) continue;
    const auto refuse = [&](const std::string& why) {
      throw UsageError(fmt::format("task.{}.folds = {} is refused: {}", section->name, section->folds, why));
    };
    if (section->folds == 1) refuse("a single model would have seen all labels, or none; take 2 or more, 5 for instance");
    if (section->role == "target") refuse("a task with role = target publishes nothing; remove it");
    if (!has_vectors) refuse("collab.strategy = " + list_text(chosen) + " publishes no vectors of entities; remove it");
  }
}

std::string CollabRecipe::idle_without(const std::string& key) const {
  if (!key.starts_with("collab.")) return "";
  const std::string name = key.substr(7),
                    owner = name == "guard" || name == "probe" || name == "finalise" ? "store" : name.substr(0, name.find('.'));
  const bool is_owned = owner != name && std::find(settings.strategy.begin(), settings.strategy.end(), owner) == settings.strategy.end();
  if (!is_owned && settings.distill_form == "checkpoint" && (name == "distill.entities" || name == "distill.share"))
    return "distill.form = predictions";
  return is_owned ? owner : "";
}

std::map<std::string, std::string> CollabRecipe::identity() const {
  std::map<std::string, std::string> out;
  for (const Option& option : table.all()) {
    const std::size_t dot = option.key.rfind('.');
    const std::string last = dot == std::string::npos ? "" : option.key.substr(dot + 1);
    const bool of_section = option.key.starts_with("task.") && std::count(option.key.begin(), option.key.end(), '.') == 2 &&
                            last != "ranks" && last != "recipe";
    if (option.mathematics && (option.key.starts_with("collab.") || of_section)) out[option.key] = option.text();
  }
  out.erase("collab.steps_per_tick");  // the checkpoint's hold
  return out;
}

std::string CollabRecipe::resolved() const {
  std::string out = "[collab]\n";
  for (const Option& option : table.all())
    if (option.key.starts_with("collab.") && !option.text().empty() && idle_without(option.key).empty())
      out += option.key.substr(7) + " = " + recipe_value(option) + "\n";
  for (std::size_t t = 0; t < sections.size(); ++t) {
    const TaskSection& s = *sections[t];
    out += fmt::format("\n[task.{}]\nranks = {}\nrole = {}\nat_end = {}\nweight = {}\nentity = {}\n", s.name, s.ranks, s.role, s.at_end,
                       s.weight, recipe_value(*table.find("task." + s.name + ".entity")));
    if (s.folds > 0) out += fmt::format("folds = {}\n", s.folds);
    if (s.repeats != "auto") out += "repeats = " + s.repeats + "\n";
    if (!s.time.empty()) out += "time = " + recipe_value(*table.find("task." + s.name + ".time")) + "\n";
    for (const Option& option : tasks[t]->table.all())
      if (!option.text().empty()) out += option.key + " = " + recipe_value(option) + "\n";
  }
  return out;
}

}  // namespace chorale
