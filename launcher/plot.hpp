// Pictures of results, drawn by gnuplot where it is installed. The data stand in the script, so nothing else is read.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

namespace chorale {

/// A text of a script in its quotes. gnuplot can start programs, so what others wrote must not end the text: quotes are doubled, control
/// characters (a line's end) become blanks.
std::string plot_text(std::string_view text);

/// Start of a script that draws `file` as SVG in the look that all pictures have.
std::string plot_head(const std::filesystem::path& file, int width, int height);

/// Runs a gnuplot script, which waits beside `file` while it runs. Returns false when nothing was drawn: no gnuplot, a refused
/// script, or a path with control characters.
bool run_plot(const std::filesystem::path& file, const std::string& script);

}  // namespace chorale
