// data.format = text: a file of plain text as windows of tokens, once in memory that the ranks of a node share.
#include <fmt/format.h>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/memory_budget.hpp>
#include <chorale/core/data/split.hpp>
#include <chorale/core/data/text_dataset.hpp>
#include <chorale/core/data/tokeniser.hpp>
#include <chorale/core/io/content_hash.hpp>
#include <chorale/train/agreement.hpp>
#include <chorale/train/data/node_sources.hpp>
#include <chorale/train/data/reader.hpp>
#include <chorale/train/data/together.hpp>

namespace chorale {

namespace {

/// Collective: one file, the same on all ranks.
Source open_text(const DataOptions& data, Communicator& comm) {
  std::vector<std::string> found;
  together(comm, "text file", [&](std::int64_t&) {
    if (comm.rank() == 0) found = expand_files(data.file);
    if (comm.rank() == 0 && found.size() != 1)
      throw UsageError(fmt::format("data.file names {} files; a text is one: join them first", found.size()));
  });
  return std::move(open_node_sources(comm, found, {}).front());
}

/// The numbers of all tokens in memory of the node.
struct SharedTokens {
  SharedMemory memory;
  std::int64_t count = 0;
  std::span<const std::int32_t> all() const { return {memory.peers.front().as<std::int32_t>(), static_cast<std::size_t>(count)}; }
};

/// Collective. Throws UsageError on every rank where a node's budget is too small.
SharedTokens share_tokens(Communicator& comm, const Source& source, const Tokeniser& tokeniser, const DataOptions& data) {
  SharedTokens out;
  together(comm, "tokens", [&](std::int64_t&) {
    out.count = tokeniser.count(source.bytes(), source.path());
    const std::int64_t bytes = out.count * static_cast<std::int64_t>(sizeof(std::int32_t)), budget = memory_budget(data.memory);
    if (bytes > budget)
      throw UsageError(source.path() + ": takes " + bytes_text(bytes) + " of a node's memory, data.memory leaves " + bytes_text(budget) +
                       "; raise it, or train on less text");
  });
  Communicator& node = comm.node();
  out.memory = node.allocate(node.rank() == 0 ? out.count : 0, DType::i32);
  together(comm, "tokens", [&](std::int64_t&) {
    if (node.rank() == 0) tokeniser.encode(source.bytes(), source.path(), out.memory.peers.front().as<std::int32_t>());
  });
  return out;
}

SplitRule rule_of(const DataOptions& data) {
  SplitRule rule = parse_split(data.split == DataOptions().split ? std::vector<std::string>{"order", "0.8", "0.1", "0.1"} : data.split);
  if (rule.kind != SplitRule::Kind::order)
    throw UsageError("data.split = " + rule.text() + " would tear a text apart; use order 0.8 0.1 0.1, which cuts it by position");
  return rule;
}

TokenFeatures features_of(const Tokeniser& tokeniser, std::int64_t context) {
  return {
      .kind = tokeniser.kind() == Tokeniser::Kind::byte ? "byte" : "character", .context = context, .characters = tokeniser.characters()};
}

std::vector<std::int64_t> counts_of(std::span<const std::int32_t> tokens, std::int64_t size) {
  std::vector<std::int64_t> out(static_cast<std::size_t>(size));
  for (const std::int32_t token : tokens) ++out[static_cast<std::size_t>(token)];
  return out;
}

DataParts read_text(const ReadRequest& r) {
  if (!r.entities.columns.empty() || r.published)
    throw UsageError("data.format = text has no columns, and so no entities to share; use csv");
  const SplitRule rule = rule_of(r.data);
  if (const std::string loss = loss_of_target(r.train.loss, {"next"}, 0); target_kind(loss, r.registry) != TargetKind::classes)
    throw UsageError("train.loss = " + loss + " does not fit data.format = text, whose targets are tokens; use cross_entropy or focal");
  const Source source = open_text(r.data, r.comm);
  DataParts out;
  Tokeniser tokeniser;
  together(r.comm, "vocabulary", [&](std::int64_t&) {
    if (source.bytes().empty()) throw DataError(source.path() + ": is empty; there is nothing to learn");
    if (r.data.tokens == "character") tokeniser = Tokeniser::of_characters(source.bytes(), rule.share[0], source.path());
  });
  const SharedTokens tokens = share_tokens(r.comm, source, tokeniser, r.data);
  const auto cut = [&](double share) { return static_cast<std::size_t>(static_cast<double>(tokens.count) * share + 0.5); };
  const std::size_t first = cut(rule.share[0]), second = rule.share[2] == 0 ? tokens.all().size() : cut(rule.share[0] + rule.share[1]);
  const auto part = [&](std::size_t from, std::size_t to) {
    return std::make_shared<TextDataset>(tokens.all().subspan(from, to - from), r.data.context, tokens.memory.owner);
  };
  together(r.comm, "windows", [&](std::int64_t&) {
    out.train = part(0, first), out.validation = part(first, second), out.test = part(second, tokens.all().size());
  });
  out.rows = out.train->rows() + out.validation->rows() + out.test->rows();
  out.pipeline.tokens = features_of(tokeniser, r.data.context);
  out.pipeline.split = rule.text(), out.pipeline.split_seed = r.data.split_seed;
  out.pipeline.training_rows = out.train->rows();
  out.pipeline.targets.push_back({.name = "next",
                                  .kind = TargetKind::classes,
                                  .classes = tokeniser.names(),
                                  .class_rows = counts_of(tokens.all().first(first), tokeniser.size())});
  std::string content;
  together_slowly(r.comm, "hash of the text", [&](std::int64_t&) { content = r.comm.rank() == 0 ? content_hash_of(source.bytes()) : ""; });
  out.identity = rows_identity(out.rows, out.pipeline, text_from(r.comm, 0, content, "content of the text"));
  return out;
}

/// Of a file that a trained model reads.
class OpenedText final : public OpenedRows {
 public:
  OpenedText(const OpenRequest& request, Communicator& comm) {
    const TokenFeatures& features = request.pipeline.tokens;
    const Source source = open_text(request.data, comm);
    const SharedTokens tokens = share_tokens(comm, source, features.tokeniser(), request.data);
    together(comm, "windows", [&](std::int64_t&) {
      if (tokens.count == 0) throw DataError(source.path() + ": is empty");
      rows_ = std::make_shared<TextDataset>(tokens.all(), features.context, tokens.memory.owner);
    });
  }
  std::shared_ptr<const Dataset> shared_rows() const override { return rows_; }
  void each_id(const Visit& visit) override {
    for (std::int64_t row = 0; row < rows_->rows(); ++row) visit(row, {});
  }

 private:
  std::shared_ptr<const Dataset> rows_;
};

}  // namespace

void register_reader_text(Registry& registry) {
  registry.of<ReaderEntry>().add("text", {.help = "plain text, as windows of bytes or characters",
                                          .keys = {"file", "tokens", "context", "memory", "split"},
                                          .read = read_text,
                                          .open = [](const OpenRequest& r, Communicator& comm, Log&) -> std::unique_ptr<OpenedRows> {
                                            return std::make_unique<OpenedText>(r, comm);
                                          }});
}

}  // namespace chorale
