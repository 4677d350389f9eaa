#include <chorale/train/data/representations.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/option.hpp>
#include <chorale/core/io/checkpoint.hpp>
#include <chorale/train/agreement.hpp>
#include <chorale/train/data/together.hpp>

namespace chorale {

namespace fs = std::filesystem;

namespace {

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \t"), last = text.find_last_not_of(" \t");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

/// The newest tick of a collaboration.
std::string tick_of(const std::string& run, Log& log) {
  if (!fs::is_directory(run)) throw UsageError("data.representations: there is no run " + run);
  const auto newest = newest_valid_checkpoint(fs::path(run) / "checkpoints", log);
  if (!newest || !newest->has("store.safetensors"))
    throw UsageError("data.representations: " + run + " has published no rows; name the run directory of chorale collab train");
  return newest->folder().string();
}

}  // namespace

PublishedFeatures parse_representations(const std::string& text) {
  PublishedFeatures out;
  if (trimmed(text).empty()) return out;
  std::vector<std::string> pieces(1);
  for (const char c : text) c == ':' ? void(pieces.emplace_back()) : pieces.back().push_back(c);
  for (std::string& piece : pieces) piece = trimmed(piece);
  if (pieces.size() < 2 || pieces.size() > 3 || std::find(pieces.begin(), pieces.end(), "") != pieces.end())
    throw UsageError(
        "data.representations = " + text +
        " is refused: write RUN : KIND : COLUMN, for instance runs/shop : customer : customer_id, or RUN : KIND where each row "
        "is an entity");
  out.run = pieces[0], out.kind = pieces[1];
  if (pieces.size() == 3) out.column = pieces[2];
  if (out.column.size() > 1 && out.column.front() == '"' && out.column.back() == '"') out.column = words_of(out.column).at(0);
  return out;
}

std::string absolute_representations(const std::string& text, const std::string& base) {
  const PublishedFeatures parsed = parse_representations(text);
  if (parsed.run.empty() || fs::path(parsed.run).is_absolute()) return text;
  return fs::absolute(fs::path(base) / parsed.run).lexically_normal().string() + " " + text.substr(text.find(':'));
}

void Representations::read(const std::string& folder) {
  const Checkpoint tick = open_checkpoint(folder);
  const auto fields = nlohmann::json::parse(tick.manifest().fields);
  StoreOptions options;
  try {
    options.keep = 1 - std::stod(fields.at("identity").at("collab.beta").get<std::string>());
    options.wire = parse_row_wire(fields.at("identity").value("collab.wire", "f32"));
  } catch (const std::exception&) {
    throw CheckpointError(folder + ": is no tick of a collaboration");
  }
  rows_ = std::make_unique<PublishedRows>(tick.tensors("store.safetensors"), options, true);
  if (rows_->has_time())
    throw UsageError(
        folder + ": its rows are by period (collab.time), which only tasks of the collaboration itself read; publish without collab.time");
  if (features_.tasks.empty()) features_.tasks = rows_->tasks();
  features_.width = rows_->width();
  std::vector<std::string> there;
  for (const std::string& task : features_.tasks)
    if (rows_->has(task)) there.push_back(task);
  features_.version =
      fmt::format("tick {}, width {}, of {}, rows {}", tick.manifest().step, rows_->width(), list_text(there), rows_->hash(there));
}

std::shared_ptr<Representations> Representations::open(const std::string& text, const std::vector<std::string>& tasks, Communicator& comm,
                                                       Log& log) {
  const std::shared_ptr<Representations> out(new Representations(parse_representations(text)));
  out->features_.tasks = tasks;
  std::string folder;
  together(comm, "representations", [&](std::int64_t&) {
    if (comm.rank() == 0) folder = tick_of(out->features_.run, log);
  });
  folder = text_from(comm, 0, folder, "representations");
  together(comm, "representations", [&](std::int64_t&) {
    out->read(folder);
    for (const std::string& task : tasks)
      if (!out->rows_->has(task))
        throw UsageError("data.representations_tasks: '" + task + "' publishes nothing in " + out->features_.run +
                         "; those that do: " + list_text(out->rows_->tasks()));
  });
  return out;
}

std::shared_ptr<Representations> Representations::open_pinned(const PublishedFeatures& pinned, const std::string& missing, Log& log) {
  std::string why;
  try {
    const std::shared_ptr<Representations> out(new Representations(pinned));
    out->read(tick_of(pinned.run, log));
    if (out->features_.version == pinned.version) return out;
    why = fmt::format("the model was trained with rows of {}, {} now holds {}; bring those back, or train again", pinned.version,
                      pinned.run, out->features_.version);
    for (const std::string& task : pinned.tasks)
      if (!out->rows_->has(task)) why += "; it has published nothing of " + task;
  } catch (const Error& e) {
    why = fmt::format("{}; the model was trained with rows of {}", e.what(), pinned.version);
  }
  if (missing != "zeros") throw CheckpointError(why + ", or give --missing-rows zeros to do without");
  log.warning(why + "; all published rows are zeros");
  return std::shared_ptr<Representations>(new Representations(pinned));
}

void Representations::fill(std::int64_t row, float* out) const {
  const EntityId entity = entities_.at(static_cast<std::size_t>(row));
  for (const std::string& task : features_.tasks) {
    std::fill_n(out, features_.width + 1, 0.0f);
    out[features_.width] = rows_ && rows_->fetch(task, entity, out) ? 1.0f : 0.0f;
    out += features_.width + 1;
  }
}

std::string Representations::coverage() const {
  std::string out;
  std::vector<float> row(static_cast<std::size_t>(features_.width));
  for (const std::string& task : features_.tasks) {
    std::int64_t known = 0;
    for (const EntityId entity : entities_) known += rows_ && rows_->fetch(task, entity, row.data());
    out += fmt::format("{}{} has published of the {}s of {} of {} rows", out.empty() ? "" : ", ", task, features_.kind, known,
                       entities_.size());
  }
  return out;
}

std::int64_t Representations::unseen() const {
  std::vector<float> row(static_cast<std::size_t>(width()));
  std::int64_t count = 0;
  for (std::size_t r = 0; r < entities_.size(); ++r) {
    fill(static_cast<std::int64_t>(r), row.data());
    count += std::all_of(row.begin(), row.end(), [](float v) { return v == 0; });
  }
  return count;
}

}  // namespace chorale
