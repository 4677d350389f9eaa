#include <catch2/catch.hpp>

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <chorale/launcher/plot.hpp>
#include <chorale/launcher/run_files.hpp>

namespace chorale {

namespace fs = std::filesystem;

TEST_CASE("a text of a plot stays one text") {
  CHECK(plot_text("it's") == "'it''s'");
  CHECK(plot_text("a\nsystem 'x'") == "'a system ''x'''");
}

TEST_CASE("a score's name in a run of others is no command of the plot, and strange lines are passed over") {
  const fs::path folder = fs::temp_directory_path() / ("chorale_plot_" + std::to_string(::getpid()));
  fs::create_directories(folder);
  const std::string owned = (folder / "owned").string();
  std::ofstream(folder / "metrics.jsonl") << R"({"event":"step","step":1,"loss":0.5})"
                                          << "\n"
                                          << R"({"event":"evaluation","step":1,"metrics":{"validation":{"auc'\nsystem \"touch )" << owned
                                          << R"(\"\n#":0.5,"loss":0.7}}})"
                                          << "\n{\"event\":\"step\"}\n[1]\n7\n{\"event\":7,\"step\":1}\n"
                                          << "{\"event\":\"evaluation\",\"step\":\"x\"}\n{\"event\":\"evaluation\",\"step\":2}\n{cut";
  const bool is_drawn = draw_curves(folder);
  CHECK(!fs::exists(owned));
  if (is_drawn) {
    std::ifstream svg(folder / "curves.svg");
    const std::string text{std::istreambuf_iterator<char>(svg), {}};
    CHECK(text.find("system") != std::string::npos);  // it stands in the legend
  }
  fs::remove_all(folder);
}

}  // namespace chorale
