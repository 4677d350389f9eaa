// A comparison in words: tables for people, an object for programs.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include <chorale/launcher/compare/comparison.hpp>

namespace chorale {

namespace {
using Rows = std::vector<std::vector<std::string>>;

std::string number(double value) { return std::abs(value) >= 1000 ? fmt::format("{:.0f}", value) : fmt::format("{:.5g}", value); }

std::string difference_text(const ComparedScore& score, bool is_first, bool higher_is_better) {
  if (is_first) return "the others are compared with this one";
  if (!score.against_first) return "fewer than 2 seeds in common";
  const PairedDifference& d = *score.against_first;
  const bool is_above = d.low > 0, is_below = d.high < 0;
  const char* verdict = !is_above && !is_below ? "no difference shown" : is_above == higher_is_better ? "better" : "worse";
  return fmt::format("{:+.4g} ({:+.4g} to {:+.4g}, {} pairs): {}", d.mean, d.low, d.high, d.pairs, verdict);
}

Rows rows_of(const Comparison& c, const Comparison::Metric& metric) {
  Rows out = {{"setting", "runs", "mean", "deviation", "against the first (95 % interval)"}};
  if (c.settings.size() == 1) out[0].back().clear();
  for (std::size_t s = 0; s < c.settings.size(); ++s) {
    const ComparedScore& score = metric.scores[s];
    if (score.values.empty()) {
      out.push_back({c.settings[s].text, "0", "", "", "its runs do not have it"});
      continue;
    }
    out.push_back({c.settings[s].text, std::to_string(score.values.size()), number(score.mean),
                   score.values.size() > 1 ? number(score.deviation) : "",
                   c.settings.size() == 1 ? "" : difference_text(score, s == 0, metric.higher_is_better)});
  }
  return out;
}

std::string table(const Rows& rows, bool markdown) {
  std::vector<std::size_t> width(rows[0].size());
  for (const auto& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) width[c] = std::max(width[c], row[c].size());
  std::string out;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::string line = markdown ? "|" : " ";
    for (std::size_t c = 0; c < rows[r].size(); ++c) line += fmt::format(" {:<{}} {}", rows[r][c], width[c], markdown ? "|" : "");
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    if (!markdown || r > 0) continue;
    out += "|";
    for (std::size_t c = 0; c < rows[r].size(); ++c) out += "---|";
    out += "\n";
  }
  return out;
}
}  // namespace

std::string text_of(const Comparison& c, bool markdown) {
  std::string out;
  for (const Comparison::Metric& metric : c.metrics) {
    const bool is_speed = metric.name == "samples_per_second";
    const std::string title =
        fmt::format("{}{}, {} is better", is_speed ? "" : c.part + " ", metric.name, metric.higher_is_better ? "more" : "less");
    out += (out.empty() ? "" : "\n") + (markdown ? "## " + title + "\n\n" : title + "\n") + table(rows_of(c, metric), markdown);
  }
  return out;
}

std::string json_of(const Comparison& c) {
  using Json = nlohmann::ordered_json;
  Json out = {{"part", c.part}, {"settings", Json::array()}};
  for (std::size_t s = 0; s < c.settings.size(); ++s) {
    Json one = {{"setting", c.settings[s].text}, {"runs", Json::array()}, {"metrics", Json::object()}};
    for (const RunRecord* run : c.settings[s].runs) one["runs"].push_back({{"folder", run->folder.string()}, {"status", run->status}});
    for (const Comparison::Metric& metric : c.metrics) {
      const ComparedScore& score = metric.scores[s];
      if (score.values.empty()) continue;
      Json values = {
          {"values", score.values}, {"mean", score.mean}, {"deviation", score.deviation}, {"higher_is_better", metric.higher_is_better}};
      if (const auto& d = score.against_first)
        values["against_first"] = {{"mean", d->mean}, {"low", d->low}, {"high", d->high}, {"pairs", d->pairs}};
      one["metrics"][metric.name] = std::move(values);
    }
    out["settings"].push_back(std::move(one));
  }
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace chorale
