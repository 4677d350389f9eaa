#include <chorale/launcher/run_events.hpp>

#include <fcntl.h>

#include <span>

#include <chorale/core/io/file.hpp>
#include <chorale/core/io/text_lines.hpp>

namespace chorale {

namespace {
constexpr const char* kFile = "events.jsonl";
constexpr std::int64_t kMostAttempts = 1'000'000;

/// A disk that was full has cut the last line: what comes next must not be lost with it.
bool ends_whole(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return true;
  const File file = File::open_read(path);  // refuses a pipe, which to open for writing would wait for its reader
  std::byte last{'\n'};
  if (const std::uint64_t bytes = file.size(); bytes > 0) file.read_at(bytes - 1, std::span(&last, 1));
  return last == std::byte{'\n'};
}
}  // namespace

void for_each_event(const std::filesystem::path& run, const SeenEvent& see) {
  TextLines events(run / kFile);
  for (std::string line; events.next(line);) {
    auto json = nlohmann::ordered_json::parse(line, nullptr, false);
    if (!json.is_object() || !json.contains("attempt")) continue;
    const std::int64_t attempt = whole_in(json, "attempt");
    if (attempt >= 0 && attempt <= kMostAttempts) see(json, static_cast<int>(attempt));
  }
}

std::string text_in(const nlohmann::ordered_json& event, const char* key) {
  const auto found = event.find(key);
  return found != event.end() && found->is_string() ? found->get<std::string>() : "";
}

std::int64_t whole_in(const nlohmann::ordered_json& event, const char* key) {
  const auto found = event.find(key);
  return found != event.end() && found->is_number_integer() ? found->get<std::int64_t>() : -1;
}

std::optional<Verdict> end_in(const nlohmann::ordered_json& event) {
  if (text_in(event, "event") != "end" || whole_in(event, "code") < 0) return std::nullopt;
  return Verdict{.code = static_cast<int>(whole_in(event, "code")),
                 .cause = text_in(event, "cause"),
                 .rank = static_cast<int>(whole_in(event, "rank")),
                 .where = text_in(event, "where"),
                 .step = whole_in(event, "step")};
}

void append_event(const std::filesystem::path& run, const nlohmann::ordered_json& event) {
  const std::string begin = ends_whole(run / kFile) ? "" : "\n";
  File file = File::open_write(run / kFile);
  (void)::fcntl(file.descriptor(), F_SETFL, O_APPEND);  // pwrite appends then, wherever the file has its end by now
  const std::string line = begin + event.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  file.write_at(file.size(), std::as_bytes(std::span(line)));
  file.sync();
  file.close();
}

}  // namespace chorale
