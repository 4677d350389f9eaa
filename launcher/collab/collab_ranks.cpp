// Of a recipe of several tasks: which ranks train what, and how many steps each makes between ticks.
#include <algorithm>
#include <charconv>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/collab/collab_recipe.hpp>

namespace chorale {

namespace {

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
                  .weight = section->weight,
                  .folds = section->folds};
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

AtEnd CollabRecipe::at_end(std::size_t task) const {
  const std::string& text = sections[task]->at_end;
  return text == "serve" ? AtEnd::serve : text == "mask" ? AtEnd::mask : AtEnd::cycle;
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

}  // namespace chorale
