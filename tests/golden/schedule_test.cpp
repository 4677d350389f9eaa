// The rates of every registered schedule: PyTorch's. The values: schedule_values.py.
#include "golden_file.hpp"

#include <catch2/catch.hpp>

#include <chorale/train/rate_schedule.hpp>
#include <chorale/train/settings.hpp>

using namespace chorale;

TEST_CASE("every schedule gives the rates of PyTorch's over twenty updates") {
  Registry registry;
  register_all(registry);
  const auto values = golden("schedule_values.json");
  std::vector<std::string> left = registry.of<ScheduleEntry>().names();
  for (const auto& each : values.at("cases")) {
    CAPTURE(each.at("options").dump());
    Settings settings;
    OptionTable table;
    describe(table, settings, registry);
    for (const auto& [key, value] : each.at("options").items())
      table.set("optimizer." + key, value.is_string() ? value.get<std::string>() : value.dump());
    std::erase(left, settings.optimizer.schedule.name);
    RateSchedule rate(settings.optimizer.schedule, registry, 4, 20);
    for (std::int64_t step = 1; step <= 20; ++step) {
      CAPTURE(step);
      CHECK(rate.factor(step) == Approx(each.at("rates").at(static_cast<std::size_t>(step - 1)).get<double>()).epsilon(1e-9).margin(1e-12));
      rate.take({{"validation", {{"loss", values.at("scores").at(static_cast<std::size_t>(step - 1)).get<double>()}}}}, step);
    }
  }
  CHECK(left.empty());
}
