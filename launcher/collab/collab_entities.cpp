// Of a recipe of several tasks: what rows are about, when they happened, and which part of the data they belong to.
#include <chorale/core/base/error.hpp>
#include <chorale/core/data/split.hpp>
#include <chorale/launcher/collab/collab_recipe.hpp>
#include <chorale/launcher/collab/recipe_words.hpp>

namespace chorale {

std::vector<EntityColumn> parse_entities(const std::string& text, const std::string& key) {
  std::vector<EntityColumn> out;
  const auto refuse = [&](const std::string& why) {
    throw UsageError(key + " = " + text + " is refused: " + why +
                     "; write customer : customer_id, product : product_id, or a kind alone where "
                     "rows themselves are the entities");
  };
  for (const std::string& piece : pieces(text, ',')) {
    const std::vector<std::string> sides = pieces(piece, ':');
    if (sides.size() > 2 || !is_name(sides[0])) refuse("'" + piece + "' is no kind of entity with its column");
    EntityColumn entity{.kind = sides[0], .column = {}};
    if (sides.size() == 2) {
      const std::vector<std::string> words = words_of(sides[1]);
      if (words.size() != 1) refuse("'" + piece + "' names no column, or several");
      entity.column = words[0];
    }
    for (const EntityColumn& other : out)
      if (other.kind == entity.kind) refuse("kind '" + entity.kind + "' stands there twice");
    out.push_back(std::move(entity));
  }
  return out;
}

EntityRequest CollabRecipe::request(std::size_t task) const {
  EntityRequest out;
  out.columns = parse_entities(sections[task]->entity, "task." + sections[task]->name + ".entity");
  out.seed = static_cast<std::uint64_t>(settings.split_seed);
  out.key = settings.proto.key;
  out.repeats = parse_repeats(sections[task]->repeats);
  out.time = time_request(task);
  if (settings.split.empty() || !out.time.cutoffs.empty()) return out;
  const std::string kind = settings.split[0];
  bool known = false;
  for (const auto& section : sections)
    for (const EntityColumn& entity : parse_entities(section->entity, "task." + section->name + ".entity"))
      known = known || entity.kind == kind;
  if (!known) throw UsageError("collab.split = " + list_text(settings.split) + " is refused: no task has entities of kind '" + kind + "'");
  std::vector<std::string> words = settings.split;
  words[0] = "random";  // the numbers are those of data.split
  try {
    out.share = parse_split(words).share;
  } catch (const UsageError&) {
    throw UsageError("collab.split = " + list_text(settings.split) + " is refused: write KIND 0.70 0.15 0.15, shares that sum to 1");
  }
  out.split_kind = out.columns[0].kind;
  for (const EntityColumn& entity : out.columns)
    if (entity.kind == kind) out.split_kind = kind;
  return out;
}

TimeRequest CollabRecipe::time_request(std::size_t task) const {
  const auto column_of = [&](const TaskSection& s) { return s.time.empty() ? settings.time : s.time; };
  TimeRequest out{.column = column_of(*sections[task]), .period = settings.period, .cutoffs = {}};
  for (const auto& other : sections)
    if (column_of(*other).empty() != out.column.empty())
      throw UsageError(
          "task " + (out.column.empty() ? *sections[task] : *other).name +
          " has no time, others have: what it publishes could be from after their rows; give collab.time, or task.NAME.time of "
          "each task");
  if (settings.split.empty() || settings.split[0] != "time") return out;
  const std::string given = "collab.split = " + list_text(settings.split) + " is refused: ";
  if (out.column.empty()) throw UsageError(given + "no column says when a row happened; name it in collab.time");
  if (settings.split.size() != 3)
    throw UsageError(given +
                     "write time and two cut-offs common to all tasks, time 2011-09-01 2011-10-01: train before the first, test "
                     "from the second on");
  out.cutoffs = {settings.split[1], settings.split[2]};
  const Cutoff first = parse_cutoff(out.cutoffs[0], "collab.split"), second = parse_cutoff(out.cutoffs[1], "collab.split");
  if (first.is_date != second.is_date || !(first.value < second.value))
    throw UsageError(given + "the second cut-off is not after the first");
  return out;
}

std::string CollabRecipe::place_of(std::size_t task, const std::string& kind) const {
  const std::string files = list_text(tasks[task]->settings.data.file);
  for (const EntityColumn& entity : parse_entities(sections[task]->entity, "task." + sections[task]->name + ".entity"))
    if (entity.kind == kind && !entity.column.empty()) return files + ", column '" + entity.column + "',";
  return files + ", row by row,";
}

}  // namespace chorale
