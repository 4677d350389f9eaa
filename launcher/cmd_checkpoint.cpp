// chorale checkpoint list | verify | prune | convert
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/memory_budget.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/core/io/retention.hpp>
#include <chorale/launcher/arguments.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/convert.hpp>
#include <chorale/launcher/printable.hpp>
#include <chorale/launcher/run_lock.hpp>
#include <chorale/launcher/trained_run.hpp>
#include <chorale/launcher/verify.hpp>

namespace chorale {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Words {
  bool json = false, dry_run = false;
  Retention keep;
  std::string out, weights = "best", dtype = "same";
};

void describe_prune(OptionTable& t, Words& w) {
  t.add("keep-last", w.keep.last, "How many of the newest stay.", {.min = 1, .max = 1e6});
  t.add("keep-best", w.keep.best, "How many of the best by their score stay too.", {.min = 0, .max = 1e6});
  t.add("keep-every", w.keep.every, "Those whose step is a multiple of this stay; 0: none.", {.min = 0, .max = 1e15});
  t.add("dry-run", w.dry_run, "Only say what would be removed.");
}

void describe_convert(OptionTable& t, Words& w) {
  t.add("out", w.out, "File to write: one safetensors file with PyTorch's names and layouts, for other tools.");
  t.add("weights", w.weights, "best: those that early stopping kept, where there are such; last: of the step.",
        {.choices = {"best", "last"}});
  t.add("dtype", w.dtype, "Element type of the parameters in the file; bf16 rounds to nearest even.",
        {.choices = {"same", "f32", "f64", "bf16"}});
}

std::string the_path(std::span<const std::string> words, OptionTable& table, const std::string& what, const std::string& kind) {
  const std::vector<std::string> rest = read_flags(words, table, 1);
  if (rest.empty()) throw UsageError("checkpoint " + what + " needs " + kind);
  return rest[0];
}

fs::path checkpoints_of(const std::string& run) {
  std::error_code ignored;
  if (!fs::is_directory(fs::path(run) / "checkpoints", ignored))
    throw UsageError(run + ": has no folder checkpoints; is it a run directory?");
  return fs::path(run) / "checkpoints";
}

Json row_of(const fs::path& folder, std::int64_t step) {
  Json j = {{"step", step}, {"bytes", nullptr}, {"score", nullptr}, {"value", nullptr}, {"state", "complete"}};
  try {
    const Manifest manifest = read_manifest(folder);
    std::uint64_t bytes = 0;
    for (const CheckpointFile& file : manifest.files) {
      std::error_code ignored;
      bytes += file.bytes;
      if (fs::file_size(folder / file.name, ignored) != file.bytes)
        j["state"] = "damaged: " + file.name + " is missing or has another size";
    }
    j["bytes"] = bytes;
    if (manifest.score) j["score"] = manifest.score->name, j["value"] = manifest.score->value;
    if (manifest.step != step) j["state"] = "damaged: it holds step " + std::to_string(manifest.step);
  } catch (const Error& e) {
    j["state"] = std::string("damaged: ") + e.what();
  }
  return j;
}

int list(std::span<const std::string> words) {
  Words w;
  OptionTable table;
  table.add("json", w.json, "A list.");
  const fs::path checkpoints = checkpoints_of(the_path(words, table, "list", "a run directory"));
  const CheckpointListing listing = list_checkpoints(checkpoints);
  Json rows = Json::array();
  for (const std::int64_t step : listing.steps) {
    const Json row = row_of(checkpoints / checkpoint_name(step), step);
    std::error_code ignored;
    const bool is_gone = row["state"] != "complete" && !fs::exists(checkpoints / checkpoint_name(step), ignored);
    if (!is_gone) rows.push_back(row);  // a run at work removes old ones
  }
  for (const fs::path& leftover : listing.leftovers)
    rows.push_back({{"step", nullptr}, {"state", "unfinished: " + leftover.filename().string()}});
  if (w.json) return std::printf("%s\n", rows.dump(2, ' ', true, Json::error_handler_t::replace).c_str()), 0;
  std::printf("%12s  %10s  %-28s  %s\n", "step", "size", "score", "state");
  for (const Json& row : rows) {
    const bool has_score = row.contains("score") && row["score"].is_string();
    const std::string score = has_score ? row["score"].get<std::string>() + " " + row["value"].dump() : "";
    const bool has_size = row.contains("bytes") && row["bytes"].is_number();
    std::printf("%12s  %10s  %-28s  %s\n", row["step"].is_null() ? "" : row["step"].dump().c_str(),
                has_size ? bytes_text(row["bytes"].get<std::int64_t>()).c_str() : "", printable(score).c_str(),
                printable(row["state"].get<std::string>()).c_str());
  }
  return 0;
}

int verify(std::span<const std::string> words) {
  Words w;
  OptionTable table;
  table.add("json", w.json, "A list.");
  const std::string path = the_path(words, table, "verify", "a run directory or a checkpoint");
  return report_verified(verify_checkpoints(path), w.json);
}

/// What a resume would fall back to is not removed for the sake of a newer one that cannot be read.
void must_hold_a_sound_one(const fs::path& checkpoints, const std::vector<RatedCheckpoint>& all, const std::vector<std::int64_t>& old) {
  std::string damage;
  for (auto it = all.rbegin(); it != all.rend(); ++it) {
    if (std::binary_search(old.begin(), old.end(), it->step)) continue;
    const VerifiedCheckpoint one = verify_checkpoints(checkpoints / checkpoint_name(it->step)).front();
    if (one.damage.empty() && one.step == it->step) return;
    if (damage.empty()) damage = one.damage.empty() ? one.folder + ": holds step " + std::to_string(one.step) : one.damage;
  }
  throw CheckpointError("nothing is removed, for none of those that would stay is sound: " + damage +
                        "; remove the damaged ones (checkpoint verify names them) or keep more");
}

int prune(std::span<const std::string> words) {
  Words w;
  OptionTable table;
  describe_prune(table, w);
  const std::string run = the_path(words, table, "prune", "a run directory");
  const fs::path checkpoints = checkpoints_of(run);
  const auto say = [](const std::string& text) { std::fprintf(stderr, "chorale: %s\n", printable(text).c_str()); };
  std::optional<RunLock> lock;
  if (!w.dry_run) lock.emplace(run, this_owner(60), say);  // a run at work removes its own
  const std::vector<RatedCheckpoint> all = rated_checkpoints(checkpoints);
  const std::vector<std::int64_t> old = outdated(all, w.keep);
  if (!old.empty()) must_hold_a_sound_one(checkpoints, all, old);
  for (const std::int64_t step : old) {
    std::printf("%s %s\n", w.dry_run ? "would remove" : "removed", printable((checkpoints / checkpoint_name(step)).string()).c_str());
    if (w.dry_run) continue;
    lock->must_be_ours();
    remove_checkpoint(checkpoints, step, "prune");
  }
  return 0;
}

int convert(std::span<const std::string> words) {
  Words w;
  OptionTable table;
  describe_convert(table, w);
  const std::string path = the_path(words, table, "convert", "a run directory or a checkpoint");
  if (w.out.empty()) throw UsageError("checkpoint convert needs --out FILE.safetensors");
  ConsoleLog log(0);
  const Checkpoint checkpoint = find_checkpoint(path, log);
  const Converted done = convert_checkpoint(checkpoint, {.out = w.out, .best = w.weights == "best", .dtype = w.dtype});
  std::printf("wrote %s: %zu tensors, %s weights of step %lld\n", printable(w.out).c_str(), done.tensors, done.best ? "best" : "last",
              static_cast<long long>(checkpoint.manifest().step));
  return 0;
}

}  // namespace

int run_checkpoint(std::span<const std::string> arguments) {
  const std::string what = arguments.empty() ? "" : arguments[0];
  if (what == "list") return list(arguments.subspan(1));
  if (what == "verify") return verify(arguments.subspan(1));
  if (what == "prune") return prune(arguments.subspan(1));
  if (what == "convert") return convert(arguments.subspan(1));
  throw UsageError("checkpoint takes list, verify, prune or convert, got '" + what + "'");
}

std::string checkpoint_options() {
  Words w;
  OptionTable json, removing, converting;
  json.add("json", w.json, "A list.");
  describe_prune(removing, w);
  describe_convert(converting, w);
  return "\ncheckpoint list RUN, checkpoint verify RUN | CHECKPOINT (exit code 66 when one is damaged):\n" + help_text(json) +
         "\ncheckpoint prune RUN:\n" + help_text(removing) + "\ncheckpoint convert RUN | CHECKPOINT --out FILE:\n" + help_text(converting);
}

}  // namespace chorale
