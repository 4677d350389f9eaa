#include <chorale/train/background_save.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>

#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/core/io/content_hash.hpp>
#include <chorale/train/wait_together.hpp>

namespace chorale {

namespace {

using Clock = std::chrono::steady_clock;

std::string new_token() {
  return std::to_string(::getpid()) + "-" + std::to_string(std::chrono::system_clock::now().time_since_epoch().count());
}

constexpr std::size_t kPage = 4096;

/// So that it can be written past the page cache.
std::span<std::byte> page_aligned(std::span<std::byte> memory) {
  const std::size_t off = reinterpret_cast<std::uintptr_t>(memory.data()) % kPage;
  return memory.empty() ? memory : memory.subspan(off ? kPage - off : 0);
}

/// Of this thread: where cores are scarce the training thread goes first, and the disk's takes what its waits leave. Ten steps are a tenth
/// of a share: less would leave it nothing where ranks exceed cores.
void give_way() { (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), 10); }

std::string text_of(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

}  // namespace

BackgroundSave::BackgroundSave(Setup setup) : setup_(std::move(setup)) {
  const std::string mine = new_token();
  token_ = text_of(broadcast_bytes(setup_.comm, std::as_bytes(std::span(mine)), 0, "checkpoint token"));
}

BackgroundSave::~BackgroundSave() {
  stop_.request_stop();
  if (task_.valid()) task_.wait();
  if (is_pending() && setup_.comm.rank() == 0) writer_->abandon();  // what other ranks still write stays for the next start to remove
}

bool BackgroundSave::start(Manifest manifest, SaveFiles files, std::vector<LiveMemory> live, const std::function<void()>& gather) {
  began_ = Clock::now();
  pass(SavePoint::snapshot);
  manifest_ = std::move(manifest), files_ = std::move(files);
  writer_ = std::make_unique<CheckpointWriter>(CheckpointWriter::Setup{.checkpoints = setup_.folder,
                                                                       .step = manifest_.step,
                                                                       .token = token_ + "-" + std::to_string(++saves_),
                                                                       .still_ours = setup_.still_ours,
                                                                       .at = setup_.at});
  is_guarded_ = setup_.snapshot.begin(files_, std::move(live));
  if (!is_guarded_) gather();
  phase_ = Phase::parts;
  run([this] { return write_parts(); });
  if (!is_guarded_) wait_for_writing();
  return !is_guarded_;
}

void BackgroundSave::run(std::function<std::string()> work) {
  const auto guarded = [work = std::move(work)]() -> Result {
    try {
      return {ExitCode::done, work()};
    } catch (const Error& e) {
      return {e.code(), e.what()};
    } catch (const std::exception& e) {
      return {ExitCode::internal, e.what()};
    }
  };
  try {
    task_ = std::async(std::launch::async, [guarded, yields = is_guarded_] {
      if (yields) give_way();
      return guarded();
    });
  } catch (const std::system_error&) {  // no thread to be had: the work is done here and now
    std::promise<Result> done;
    done.set_value(guarded());
    task_ = done.get_future();
  }
}

std::string BackgroundSave::write_parts() {
  const int rank = setup_.comm.rank(), size = setup_.comm.size();
  pass(SavePoint::read);
  writer_->join();
  if (rank == 0)
    for (const SaveFile& file : files_) writer_->reserve(file.name, file.image.size());
  std::vector<std::byte> memory(CheckpointWriter::kPiece + kPage);
  const std::span<std::byte> staged = page_aligned(memory);
  nlohmann::json hashes = nlohmann::json::array();
  for (std::size_t f = 0; f < files_.size(); ++f) {
    const SafetensorsImage& image = files_[f].image;
    const auto piece = [&](ByteRange range) -> std::span<const std::byte> {
      if (is_guarded_) return setup_.snapshot.read(f, range, staged, stop_.get_token());
      image.copy_range(range, staged.data());
      return staged.first(range.size());
    };
    std::vector<ByteRange> mine;
    if (is_guarded_)
      mine = setup_.snapshot.slices(f);
    else if (const ByteRange share = file_share(image.size(), rank, size); share.size() > 0)
      mine = {share};
    nlohmann::json& of_file = hashes.emplace_back(nlohmann::json::array());
    for (const auto& [block, hash] : writer_->write_parts(files_[f].name, image.size(), mine, piece, stop_.get_token()))
      of_file.push_back({block, hash});
  }
  return hashes.dump();
}

/// Drafts of saves of this run that failed and could not be removed then: the disk had turned read-only.
void BackgroundSave::remove_own_leftovers() const { remove_leftovers(setup_.folder, ".tmp." + token_ + "-"); }

std::string BackgroundSave::commit(const std::vector<Result>& parts) {
  std::vector<nlohmann::json> hashes;
  for (const Result& part : parts) hashes.push_back(nlohmann::json::parse(part.text));
  for (std::size_t f = 0; f < files_.size(); ++f) {
    CheckpointFile file{files_[f].name, files_[f].image.size(), {}};
    file.blocks.resize((file.bytes + kHashBlock - 1) / kHashBlock);
    for (const nlohmann::json& of_rank : hashes)
      for (const nlohmann::json& block : of_rank.at(f)) file.blocks.at(block.at(0).get<std::size_t>()) = block.at(1);
    for (std::size_t b = 0; b < file.blocks.size(); ++b)
      if (file.blocks[b].empty()) file.blocks[b] = writer_->hash_of_block(file.name, b);  // several nodes wrote parts of it
    manifest_.files.push_back(std::move(file));
  }
  for (const auto& [name, text] : setup_.texts) manifest_.files.push_back(writer_->write_text(name, text));
  writer_->commit(manifest_);
  try {
    writer_->prune(setup_.retention);
    remove_own_leftovers();
  } catch (const IoError& e) {
    return e.what();  // the checkpoint stands
  }
  return "";
}

bool BackgroundSave::is_writing() const { return task_.valid() && task_.wait_for(std::chrono::seconds(0)) != std::future_status::ready; }

BackgroundSave::Result BackgroundSave::take_result() { return task_.valid() ? task_.get() : Result{}; }

std::optional<SaveOutcome> BackgroundSave::advance() {
  if (phase_ == Phase::parts) return end_of_parts();
  return end_of_commit();
}

std::optional<SaveOutcome> BackgroundSave::end_of_parts() {
  Communicator& comm = setup_.comm;
  const Result mine = take_result();
  setup_.snapshot.end();
  const std::string words = static_cast<char>(mine.code) + mine.text;
  std::vector<Result> parts;
  for (const auto& bytes : all_gather_bytes(comm, std::as_bytes(std::span(words)), "checkpoint parts")) {
    parts.push_back({static_cast<ExitCode>(static_cast<unsigned char>(bytes[0])), text_of(std::span(bytes).subspan(1))});
    if (parts.back().code == ExitCode::done) continue;
    if (comm.rank() == 0) writer_->abandon();
    return finished(parts.back());
  }
  phase_ = Phase::commit;
  if (comm.rank() == 0) run([this, parts = std::move(parts)] { return commit(parts); });
  return std::nullopt;
}

SaveOutcome BackgroundSave::end_of_commit() {
  const Result mine = take_result();
  const std::string words = static_cast<char>(mine.code) + mine.text;
  // Before the others hear of it: they may end the run at once.
  if (mine.code != ExitCode::done) writer_->abandon();
  const auto bytes = broadcast_bytes(setup_.comm, std::as_bytes(std::span(words)), 0, "checkpoint commit");
  const Result result = {static_cast<ExitCode>(static_cast<unsigned char>(bytes[0])), text_of(std::span(bytes).subspan(1))};
  return finished(result);
}

SaveOutcome BackgroundSave::finished(const Result& result) {
  SaveOutcome out{.step = manifest_.step, .folder = writer_->folder().string(), .code = result.code, .error = {}, .warning = {}};
  (result.code == ExitCode::done ? out.warning : out.error) = result.text;
  for (const SaveFile& file : files_) out.bytes += file.image.size();
  out.write_ms = std::chrono::duration<double, std::milli>(Clock::now() - began_).count();
  phase_ = Phase::idle;
  files_.clear();
  return out;
}

void BackgroundSave::wait_for_writing() {
  const auto works = [this](std::chrono::milliseconds limit) {
    return task_.valid() && task_.wait_for(limit) != std::future_status::ready;
  };
  wait_together(setup_.comm, works, "checkpoint is written");
}

SaveOutcome BackgroundSave::wait() {
  for (;;) {
    wait_for_writing();
    if (std::optional<SaveOutcome> outcome = advance()) return *outcome;
  }
}

}  // namespace chorale
