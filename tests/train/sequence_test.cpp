// Training on tokens: it learns, and gives the same bits at every number of ranks.
#include "results.hpp"

#include <catch2/catch.hpp>

#include <chorale/core/data/text_dataset.hpp>

using namespace chorale;

namespace {

constexpr std::int64_t kTokens = 7;

/// Every token follows from the two before it, but for one in ten.
std::shared_ptr<TextDataset> text(std::int64_t rows, std::int64_t context, std::uint64_t seed) {
  auto tokens = std::make_shared<std::vector<std::int32_t>>(static_cast<std::size_t>(rows * context + 1));
  RandomStream random(seed);
  for (std::size_t i = 0; i < tokens->size(); ++i) {
    const bool is_drawn = i < 2 || random.uniform() < 0.1;
    (*tokens)[i] = is_drawn ? static_cast<std::int32_t>(random.below(kTokens)) : ((*tokens)[i - 1] + 2 * (*tokens)[i - 2] + 1) % kTokens;
  }
  return std::make_shared<TextDataset>(*tokens, context, tokens);
}

SmallRun reading() {
  SmallRun run;
  run.features = 12;
  run.layers = "embedding(7, 16) positions(0.02) transformer_block(2, 32, dropout=0.1, causal=true, pre_norm=true) linear(7)";
  run.train = text(150, 12, 1), run.validation = text(40, 12, 2);
  run.config.train.loss = "cross_entropy";
  run.config.train.batch = 16;
  run.config.train.metrics = {"accuracy", "perplexity"};
  run.optimizer.lr = 0.01;
  return run;
}

}  // namespace

TEST_CASE("a transformer learns what follows from the tokens before") {
  SmallRun run = reading();
  run.config.train.epochs = 40;
  const auto result = run.run();
  check_no_errors(result);
  const auto& scores = result.summary.metrics.at("validation");
  CHECK(scores.at("accuracy") > 0.7);
  CHECK(scores.at("perplexity") == Approx(std::exp(scores.at("loss"))).epsilon(1e-5));
}

TEST_CASE("training on tokens gives the same bits at every number of ranks") {
  SmallRun run = reading();
  run.config.parallel.virtual_workers = 4;
  run.config.train.epochs = 2;
  const auto reference = run.run();
  check_no_errors(reference);
  for (const int ranks : {2, 3, 4}) {
    CAPTURE(ranks);
    run.ranks = ranks;
    const auto result = run.run();
    check_no_errors(result);
    for (const std::string& hash : result.hashes) CHECK(hash == reference.summary.parameters_hash);
    CHECK(result.summary.metrics == reference.summary.metrics);
  }
}

TEST_CASE("a token outside the table is named with its sample") {
  SmallRun run = reading();
  run.layers = "embedding(5, 16) linear(7)";
  run.config.train.epochs = 1;
  const auto result = run.run();
  CHECK(result.errors[0].find("the table has 5 rows") != std::string::npos);
}
