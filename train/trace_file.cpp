#include <chorale/train/trace_file.hpp>

#include <cinttypes>
#include <cstdio>
#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/file.hpp>

namespace chorale {

namespace {

/// Events of one rank, separated by commas.
std::string events_of(int rank, const Trace& trace) {
  using Json = nlohmann::ordered_json;
  const auto named = [&](const char* what, int track, const std::string& name) {
    return Json{{"name", what}, {"ph", "M"}, {"pid", rank}, {"tid", track}, {"args", {{"name", name}}}}.dump();
  };
  std::string out = named("process_name", 0, "rank " + std::to_string(rank));
  const auto add = [&](int track, const char* name, const std::vector<Trace::Span>& spans) {
    if (!spans.empty()) out += ",\n" + named("thread_name", track, name);
    for (const Trace::Span& span : spans)
      out += ",\n" +
             Json{{"name", span.name}, {"ph", "X"}, {"ts", span.start_us}, {"dur", span.duration_us}, {"pid", rank}, {"tid", track}}.dump();
  };
  add(0, "steps", trace.spans());
  add(1, "communication thread", trace.other_spans());
  return out;
}

}  // namespace

TraceWindow parse_trace_window(const std::string& text) {
  if (text.empty()) return {};
  TraceWindow out;
  int read = 0;
  const bool two = std::sscanf(text.c_str(), "%" SCNd64 ":%" SCNd64 "%n", &out.first, &out.last, &read) == 2;
  if (!two || static_cast<std::size_t>(read) != text.size() || out.first < 1 || out.is_empty())
    throw UsageError("train.trace = " + text + " is no window of updates; write FIRST:LAST, for instance 100:110");
  return out;
}

void write_trace(Communicator& comm, const Trace& trace, const std::filesystem::path& file) {
  const std::string mine = events_of(comm.rank(), trace);
  const auto all = all_gather_bytes(comm, std::as_bytes(std::span(mine)), "trace");
  std::string trouble;
  if (comm.rank() == 0) {
    std::string text = "{\"traceEvents\": [\n";
    for (std::size_t r = 0; r < all.size(); ++r)
      text.append(r ? ",\n" : "").append(reinterpret_cast<const char*>(all[r].data()), all[r].size());
    try {
      write_file_atomically(file, text + "\n]}\n");
    } catch (const std::exception& e) {
      trouble = e.what();
    }
  }
  const auto said = broadcast_bytes(comm, std::as_bytes(std::span(trouble)), 0, "trace written");
  if (!said.empty()) throw IoError(std::string(reinterpret_cast<const char*>(said.data()), said.size()));
}

}  // namespace chorale
