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
#include <chorale/launcher/recipe.hpp>

namespace chorale {

namespace {

std::string trimmed(std::string text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && blank(text.back())) text.pop_back();
  std::size_t first = 0;
  while (first < text.size() && blank(text[first])) ++first;
  return text.substr(first);
}

/// Pieces between separators that stand outside of quotes.
std::vector<std::string> pieces(const std::string& text, char separator) {
  std::vector<std::string> out(1);
  bool quoted = false;
  for (const char c : text) {
    if (c == '"') quoted = !quoted;
    if (c == separator && !quoted)
      out.emplace_back();
    else
      out.back() += c;
  }
  for (std::string& piece : out) piece = trimmed(piece);
  return out;
}

bool is_name(const std::string& text) {
  return !text.empty() && text.size() <= 31 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; });
}

double share_in(const std::string& ranks, const std::string& key) {
  const std::vector<std::string> words = words_of(ranks);
  double share = 0;
  if (words.size() == 2 && words[0] == "share") {
    const auto [end, error] = std::from_chars(words[1].data(), words[1].data() + words[1].size(), share);
    if (error == std::errc() && *end == '\0' && share > 0 && share <= 1) return share;
  }
  throw UsageError(key + " = " + ranks + " is refused: expected a number of ranks, or share 0.5");
}

/// 0: a share.
std::int64_t number_of_ranks(const TaskSection& section) {
  std::int64_t n = 0;
  const std::string& text = section.ranks;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error == std::errc() && end == text.data() + text.size() && n >= 1 && n <= 65536) return n;
  share_in(text, "task." + section.name + ".ranks");
  return 0;
}

}  // namespace

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

CollabOptions CollabRecipe::options() const {
  CollabOptions o;
  o.strategies = settings.strategy;
  o.distill = settings.distill, o.proto = settings.proto, o.align = settings.align;
  o.trunk = settings.trunk, o.stitch_layer = settings.stitch_layer;
  o.exports_features = settings.exports_features;
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
      const std::string key = option.key.substr(at.size());
      if (!section->keys.contains(key)) continue;
      const std::string& text = section->keys[key];
      const bool has_quotes = !option.origin.empty() && keys->table.find(key)->type == "text";  // a flag's value is the text itself
      keys->table.set(key, has_quotes ? unquoted(text) : text, option.origin);
      if (key != "data.file") continue;
      for (std::string& file : keys->settings.data.file) {  // a recipe's is relative to the recipe, a flag's to here
        const std::filesystem::path base = option.origin.empty() ? std::filesystem::current_path() : folder;
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
    if (!keys->settings.train.init_from.empty() || !keys->settings.train.init_only.empty())
      throw UsageError(at + "train.init_from is for chorale train: tasks of a collaboration start with what is drawn; remove it");
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
  if (chosen.empty()) throw UsageError("collab.strategy names none; take it out for store, the default");
  for (std::size_t i = 0; i < chosen.size(); ++i)
    if (std::find(chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(i), chosen[i]) !=
        chosen.begin() + static_cast<std::ptrdiff_t>(i))
      throw UsageError("collab.strategy = " + list_text(chosen) + " is refused: " + chosen[i] + " stands there twice");
  if (const bool wants = std::find(chosen.begin(), chosen.end(), "proto") != chosen.end(); wants && settings.proto.key.empty())
    throw UsageError("collab.strategy = proto needs collab.proto.key, a column that the tables have in common");
  for (const Option& option : table.all())
    if (const std::string owner = idle_without(option.key); option.given && !owner.empty())
      throw UsageError(option.key + " does nothing with collab.strategy = " + list_text(chosen) + "; remove it, or add " + owner +
                       " to the strategies");
}

std::string CollabRecipe::idle_without(const std::string& key) const {
  if (!key.starts_with("collab.")) return "";
  const std::string name = key.substr(7), owner = name == "guard" || name == "probe" ? "store" : name.substr(0, name.find('.'));
  const bool is_owned = owner != name && std::find(settings.strategy.begin(), settings.strategy.end(), owner) == settings.strategy.end();
  return is_owned ? owner : "";
}

int CollabRecipe::wanted_ranks() const {
  std::int64_t all = 0;
  for (const auto& section : sections) {
    const std::int64_t n = number_of_ranks(*section);
    if (n == 0) return 0;
    all += n;
  }
  return static_cast<int>(all);
}

std::vector<TaskInfo> CollabRecipe::infos(int world) const {
  std::vector<TaskInfo> out;
  std::int64_t left = world;
  double shares = 0;
  for (const auto& section : sections) {
    TaskInfo info{.name = section->name,
                  .role = parse_role(section->role),
                  .kinds = {},
                  .ranks = number_of_ranks(*section),
                  .weight = section->weight};
    for (const EntityColumn& entity : parse_entities(section->entity, "task." + section->name + ".entity"))
      info.kinds.push_back(entity.kind);
    left -= info.ranks;
    if (info.ranks == 0) shares += share_in(section->ranks, "task." + section->name + ".ranks");
    out.push_back(std::move(info));
  }
  // Shares get at least one rank each; what is left goes to whoever lacks most of its share.
  std::vector<std::pair<std::size_t, double>> sharers;
  for (std::size_t t = 0; t < out.size(); ++t)
    if (out[t].ranks == 0) sharers.emplace_back(t, static_cast<double>(left) * share_in(sections[t]->ranks, "ranks") / shares);
  for (const auto& [t, fair] : sharers) out[t].ranks = 1, --left;
  for (; !sharers.empty() && left > 0; --left) {
    const auto most = std::max_element(sharers.begin(), sharers.end(), [&](const auto& a, const auto& b) {
      return a.second - static_cast<double>(out[a.first].ranks) < b.second - static_cast<double>(out[b.first].ranks);
    });
    ++out[most->first].ranks;
  }
  lay_out(out, world);
  return out;
}

EntityRequest CollabRecipe::request(std::size_t task) const {
  EntityRequest out;
  out.columns = parse_entities(sections[task]->entity, "task." + sections[task]->name + ".entity");
  out.seed = static_cast<std::uint64_t>(settings.split_seed);
  out.key = settings.proto.key;
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

AtEnd CollabRecipe::at_end(std::size_t task) const {
  const std::string& text = sections[task]->at_end;
  return text == "serve" ? AtEnd::serve : text == "mask" ? AtEnd::mask : AtEnd::cycle;
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

std::vector<std::int64_t> CollabRecipe::pinned_steps() const {
  if (settings.steps_per_tick.empty()) return {};
  std::vector<std::int64_t> out(sections.size());
  const auto refuse = [&](const std::string& why) {
    throw UsageError("collab.steps_per_tick = " + list_text(settings.steps_per_tick) + " is refused: " + why +
                     "; write NAME:STEPS for each task");
  };
  for (const std::string& word : settings.steps_per_tick) {
    const std::size_t colon = word.find(':');
    std::int64_t steps = 0;
    if (colon != std::string::npos) std::from_chars(word.data() + colon + 1, word.data() + word.size(), steps);
    const auto it = std::find_if(sections.begin(), sections.end(), [&](const auto& s) { return s->name == word.substr(0, colon); });
    if (it == sections.end()) refuse("there is no task '" + word.substr(0, colon) + "'");
    if (steps < 1) refuse("'" + word + "' names no number of steps");
    out[static_cast<std::size_t>(it - sections.begin())] = steps;
  }
  for (std::size_t t = 0; t < out.size(); ++t)
    if (out[t] == 0) refuse("task " + sections[t]->name + " is missing");
  return out;
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
    if (!s.time.empty()) out += "time = " + recipe_value(*table.find("task." + s.name + ".time")) + "\n";
    for (const Option& option : tasks[t]->table.all())
      if (!option.text().empty()) out += option.key + " = " + recipe_value(option) + "\n";
  }
  return out;
}

}  // namespace chorale
