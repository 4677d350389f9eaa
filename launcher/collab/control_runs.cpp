#include <chorale/launcher/collab/control_runs.hpp>

#include <algorithm>
#include <numeric>

namespace chorale {

namespace {

bool has(const std::vector<std::string>& strategies, const char* name) {
  return std::find(strategies.begin(), strategies.end(), name) != strategies.end();
}

std::vector<Seat> own_seats(std::size_t tasks) {
  std::vector<Seat> out(tasks);
  for (std::size_t t = 0; t < tasks; ++t) out[t].task = t;
  return out;
}

/// What sits beside the task that is scored. Gradients of a stitch flow both ways: layers that stay as drawn are not enough.
Seat peer_seat(std::string_view arm, bool is_stitch, std::size_t scored, std::size_t place) {
  if (arm == "matched") return {.task = scored, .is_copy = true};
  return {.task = place, .has_others_labels = true, .is_frozen = is_stitch};
}

}  // namespace

std::vector<ControlRun> control_runs(std::string_view arm, const std::vector<std::string>& strategies, std::size_t tasks) {
  ControlRun all{.seats = own_seats(tasks), .scored = std::vector<std::size_t>(tasks)};
  std::iota(all.scored.begin(), all.scored.end(), std::size_t{0});
  const bool is_stitch = has(strategies, "stitch");
  if (!is_stitch && !has(strategies, "trunk")) return {all};
  if (arm == "shuffled" && is_stitch)
    for (std::size_t t = 1; t < tasks; ++t) all.seats[t].meets_other_entities = true;
  if (arm != "matched" && arm != "untrained") return {all};
  std::vector<ControlRun> out;
  for (std::size_t scored = 0; scored < tasks; ++scored) {
    ControlRun& run = out.emplace_back(ControlRun{.seats = own_seats(tasks), .scored = {scored}});
    for (std::size_t place = 0; place < tasks; ++place)
      if (place != scored) run.seats[place] = peer_seat(arm, is_stitch, scored, place);
  }
  return out;
}

std::string why_needless(std::string_view arm, const std::vector<std::string>& strategies) {
  if (arm == "shuffled" && strategies == std::vector<std::string>{"trunk"})
    return "a trunk asks for no entity's id, so that other ids would change nothing";
  return "";
}

}  // namespace chorale
