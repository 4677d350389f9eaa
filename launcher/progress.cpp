#include <chorale/launcher/progress.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace chorale {

namespace {

void say(const std::string& text) {  // a closed pipe is nobody's loss
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

std::string duration(double seconds) {
  const int s = static_cast<int>(seconds + 0.5);
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

std::string rate(double per_second) {
  return per_second >= 1e6 ? fmt::format("{:.2f}M", per_second / 1e6) : fmt::format("{:.1f}k", per_second / 1e3);
}

std::string scores_text(const std::map<std::string, double>& scores) {
  std::string out;
  for (const auto& [name, value] : scores) out += fmt::format("{}{} {:.4f}", out.empty() ? "" : "  ", name, value);
  return out;
}

}  // namespace

void Progress::on_start(const RunFacts& f) {
  facts_ = f;
  std::string out;
  const auto row = [&](const char* name, const std::string& value) { out += fmt::format("  {:<16} {}\n", name, value); };
  row("ranks", fmt::format("{} on {} node{}, {}, {} thread{} each", f.world_size, f.nodes, f.nodes == 1 ? "" : "s", f.backend,
                           f.threads_per_rank, f.threads_per_rank == 1 ? "" : "s"));
  row("device", f.device);
  row("virtual workers", fmt::format("{}, exchange {}", f.virtual_workers, f.exchange));
  row("rows", fmt::format("{} train, {} validation, {} test", f.train_rows, f.validation_rows, f.test_rows));
  row("batch",
      fmt::format("{} global, {:.1f} a rank, {} steps an epoch", f.batch, static_cast<double>(f.batch) / f.world_size, f.steps_per_epoch));
  row("parameters", fmt::format("{}, copies: {}", f.parameters, f.copies));
  say(out + settings_);
}

void Progress::on_step(const StepEvent& e) {
  if (!terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  draw(e);
}

void Progress::draw(const StepEvent& e) {
  const double done = facts_.total_steps > 0 ? static_cast<double>(e.step) / static_cast<double>(facts_.total_steps) : 0;
  const double left =
      static_cast<double>(facts_.total_steps - e.step) * static_cast<double>(facts_.batch) / std::max(1.0, e.samples_per_second);
  std::string text = fmt::format(" epoch {}/{} step {} loss {:.4f} {} samples/s, {} left{}", e.epoch + 1, facts_.epochs, e.step, e.loss,
                                 rate(e.samples_per_second), duration(left), validation_.empty() ? "" : "  [" + validation_ + "]");
  // One line of the terminal, whatever its width: a line that wraps could not be drawn over.
  const int room = std::max(20, terminal_columns() - 1), cells = std::clamp(room - static_cast<int>(text.size()), 8, 24);
  text.resize(std::min(text.size(), static_cast<std::size_t>(room - cells)));
  std::string bar;
  for (int i = 0; i < cells; ++i) bar += i < static_cast<int>(done * cells) ? "█" : "░";
  say("\r\x1b[K" + bar + text);
  shown_ = true;
}

void Progress::clear() {
  if (shown_) say("\r\x1b[K");
  shown_ = false;
}

void Progress::on_evaluation(const EvaluationEvent& e) {
  clear();
  if (e.final) {
    for (const auto& [part, scores] : e.scores) say(fmt::format("  {:<11} {}\n", part, scores_text(scores)));
    return;
  }
  const auto validation = e.scores.find("validation");
  const auto train = e.scores.find("train");
  if (validation != e.scores.end()) validation_ = scores_text(validation->second);
  say(fmt::format("epoch {:>3}  step {:>6}  {}validation: {}{}\n", e.epoch + 1, e.step,
                  train != e.scores.end() ? fmt::format("train loss {:.4f}  ", train->second.at("loss")) : "", validation_,
                  e.best ? "  *" : ""));
}

void Progress::on_end(const Summary& s) {
  clear();
  say(fmt::format("{} after {} steps in {:.1f} s, {} samples/s\n", s.status, s.steps, s.seconds_total, rate(s.samples_per_second)));
}

}  // namespace chorale
