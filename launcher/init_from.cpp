#include <chorale/launcher/init_from.hpp>

#include <fstream>
#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/launcher/trained_run.hpp>
#include <chorale/train/agreement.hpp>
#include <chorale/train/data/together.hpp>

namespace chorale {

namespace {
constexpr const char* kInitFile = "init_from.json";
}

std::string absolute_run(const std::string& path, const std::string& base) {
  if (path.empty() || std::filesystem::path(path).is_absolute()) return path;
  return std::filesystem::absolute(std::filesystem::path(base) / path).lexically_normal().string();
}

InitFrom::InitFrom(const TrainOptions& options, const Module& model, const Pipeline& pipeline, Communicator& comm, Log& log,
                   std::int64_t further_features) {
  const bool is_file = WeightFile::is_meant(options.init_from);
  // Rank 0 alone chooses: another could see another folder on a network file system.
  together(comm, "weights to start with", [&](std::int64_t&) {
    if (comm.rank() == 0 && !is_file) folder_ = find_checkpoint(options.init_from, log).folder().string();
  });
  folder_ = text_from(comm, 0, folder_, "weights to start with");
  together(comm, "weights to start with", [&](std::int64_t&) {
    WeightSource source{.where = options.init_from, .tensors = {}, .pipeline = pipeline};
    if (is_file) {
      file_ = std::make_unique<WeightFile>(options.init_from, NameMap(options.init_map), parse_dtype(options.dtype));
      source.tensors = file_->tensors();
    } else {
      source = from_run(options);
    }
    hash_ = tensors_hash(source.tensors);
    weights_ = std::make_unique<StartingWeights>(model, parse_dtype(options.dtype), pipeline, std::move(source), options.init_only,
                                                 further_features);
  });
  if (comm.rank() != 0) return;
  log.info(weights_->text());
  for (const TransferLine& line : weights_->lines())
    if (line.outcome == TransferLine::Outcome::mapped)
      log.warning(line.name + " reads another table than that of " + options.init_from + ": " + line.why);
  if (!weights_->encoded_otherwise().empty())
    log.warning("columns that the two tables encode with other means, scales or borders: " + list_text(weights_->encoded_otherwise()) +
                "; the weights loaded for them see other numbers than they were made for");
}

WeightSource InitFrom::from_run(const TrainOptions& options) {
  checkpoint_ = std::make_unique<Checkpoint>(open_checkpoint(folder_));
  files_ = {checkpoint_->tensors("model.safetensors"), checkpoint_->tensors("state.safetensors")};
  WeightSource source{.where = options.init_from, .tensors = {}, .pipeline = Pipeline::from_json(checkpoint_->text("pipeline.json"))};
  for (const NamedTensor& last : files_[0].tensors()) {
    const NamedTensor* best = files_[1].find("best." + last.name);
    is_best_ = is_best_ || best;
    if (!best) best = files_[1].find("ema." + last.name);  // what is evaluated where no best weights are kept
    source.tensors.push_back(best ? *best : last);
    source.tensors.back().name = last.name;
  }
  return source;
}

std::string InitFrom::json() const {
  using Outcome = TransferLine::Outcome;
  nlohmann::ordered_json j = {{"from", weights_->where()},
                              {"step", checkpoint_ ? nlohmann::ordered_json(checkpoint_->manifest().step) : nlohmann::ordered_json()},
                              {"best_weights", is_best_},
                              {"hash", hash_},
                              {"loaded", nlohmann::ordered_json::array()},
                              {"mapped", nlohmann::ordered_json::object()},
                              {"not_loaded", nlohmann::ordered_json::object()},
                              {"unused", nlohmann::ordered_json::array()},
                              {"encoded_otherwise", weights_->encoded_otherwise()}};
  for (const TransferLine& line : weights_->lines()) {
    if (line.outcome == Outcome::loaded) j["loaded"].push_back(line.name);
    if (line.outcome == Outcome::mapped) j["mapped"][line.name] = line.why;
    if (line.outcome == Outcome::not_loaded) j["not_loaded"][line.name] = line.why;
    if (line.outcome == Outcome::unused) j["unused"].push_back(line.name);
  }
  return j.dump();
}

void check_init(const TrainOptions& options) {
  if (options.init_from.empty() && !options.init_only.empty())
    throw UsageError("train.init_only says what of train.init_from is loaded; give that too");
  if (!options.init_map.empty() && !WeightFile::is_meant(options.init_from))
    throw UsageError("train.init_map names what a file of weights has; give train.init_from = FILE.safetensors, or remove it");
}

std::string start_from(const StartSetup& setup, TrainerConfig& config) {
  const TrainOptions& o = setup.options;
  check_init(o);
  if (o.init_from.empty()) return "";
  std::string text;
  if (config.resume && setup.comm.rank() == 0 && !list_checkpoints(setup.folder / "checkpoints").steps.empty()) {
    std::ifstream in(setup.folder / kInitFile);
    text.assign(std::istreambuf_iterator<char>(in), {});
  }
  text = text_from(setup.comm, 0, text, "weights to start with");
  if (text.empty()) {
    const auto init = std::make_shared<InitFrom>(o, setup.model, setup.pipeline, setup.comm, setup.log, setup.further_features);
    config.starting_weights = [init](const FlatParams& params) { init->write(params); };
    text = init->json();
  }
  config.texts.emplace_back(kInitFile, text);
  return text;
}

void keep_start(const std::string& init, Communicator& comm, const std::filesystem::path& folder) {
  if (!init.empty() && comm.rank() == 0) write_file_atomically(folder / kInitFile, init);
}

}  // namespace chorale
