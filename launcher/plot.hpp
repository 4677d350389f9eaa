// Pictures of results, drawn by gnuplot where it is installed. The data stand in the script, so nothing else is read.
#pragma once
#include <filesystem>
#include <string>

namespace chorale {

/// Start of a script that draws `file` as SVG in the look that all pictures have.
std::string plot_head(const std::filesystem::path& file, int width, int height);

/// Runs a gnuplot script, which waits beside `file` while it runs. Returns false when nothing was drawn: no gnuplot, or a refused script.
bool run_plot(const std::filesystem::path& file, const std::string& script);

}  // namespace chorale
