// chorale generate
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/printable.hpp>
#include <chorale/launcher/token_sampler.hpp>
#include <chorale/launcher/trained_run.hpp>

namespace chorale {

namespace {

struct Words {
  std::string prompt;
  std::int64_t tokens = 500, seed = 1;
  SamplingOptions sampling;
};
void describe(OptionTable& t, Words& w) {
  t.add("prompt", w.prompt, "What the text begins with.", {.verbatim = true});
  t.add("tokens", w.tokens, "How many tokens are added.", {.min = 1, .max = 1e9});
  t.add("temperature", w.sampling.temperature, "What logits are divided by before one is drawn; 0: the likeliest is taken.",
        {.min = 0, .max = 1e6});
  t.add("top-k", w.sampling.top_k, "Draw among so many of the likeliest only; 0: among all.", {.min = 0, .max = 1e9});
  t.add("seed", w.seed, "Of the draws.", {.min = 0, .max = 0x1p53});
}

/// Logits of the token behind `window`.
std::vector<double> next_logits(TrainedRun& run, std::span<const std::int32_t> window) {
  Device& device = run.params->device();
  const auto time = static_cast<std::int64_t>(window.size());
  const Values in = {{"tokens", Variable(Tensor::from(device, {1, time}, window.data()))}};
  const Tensor y = run.model.module->forward(in, {.device = device}).at("y").value();
  const std::int64_t classes = y.shape()[-1];
  std::vector<double> out(static_cast<std::size_t>(classes));
  with_float_type(y.dtype(), [&]<class T>() { std::copy_n(y.data<T>() + (time - 1) * classes, out.size(), out.begin()); });
  return out;
}

/// Does the first place know what stands at the second? Asked of the model itself, whatever it is made of.
bool sees_what_comes(TrainedRun& run, std::int64_t tokens) {
  if (run.pipeline.tokens.context < 2 || tokens < 2) return false;
  Device& device = run.params->device();
  const auto first = [&](std::int32_t second) {
    const std::int32_t window[] = {0, second};
    const Values in = {{"tokens", Variable(Tensor::from(device, {1, 2}, window))}};
    const Tensor y = run.model.module->forward(in, {.device = device}).at("y").value();
    std::vector<double> out(static_cast<std::size_t>(y.shape()[-1]));
    with_float_type(y.dtype(), [&]<class T>() { std::copy_n(y.data<T>(), out.size(), out.begin()); });
    return out;
  };
  return first(0) != first(1);
}

/// To a file as it is; to a terminal without control characters, of which a text may be full.
class Printer {
 public:
  void print(const std::string& text) {
    pending_ += text;
    write(pending_.size() - unfinished());
  }
  void end() {
    write(pending_.size());
    std::fputc('\n', stdout);
  }

 private:
  /// Bytes at the end that begin a character of UTF-8: tokens may be bytes.
  std::size_t unfinished() const {
    for (std::size_t k = 1; k <= std::min<std::size_t>(3, pending_.size()); ++k) {
      const auto c = static_cast<unsigned char>(pending_[pending_.size() - k]);
      if (c >= 0xC0) return (c >= 0xF0 ? 4u : c >= 0xE0 ? 3u : 2u) > k ? k : 0;
      if (c < 0x80) return 0;
    }
    return 0;
  }
  void write(std::size_t bytes) {
    const std::string text = is_terminal_ ? printable(pending_.substr(0, bytes)) : pending_.substr(0, bytes);
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
    pending_.erase(0, bytes);
  }
  std::string pending_;
  bool is_terminal_ = ::isatty(STDOUT_FILENO) == 1;
};

}  // namespace

int run_generate(std::span<const std::string> arguments) {
  Words w;
  OptionTable table;
  describe(table, w);
  const std::vector<std::string> rest = read_flags(arguments, table, 1);
  if (rest.empty() || w.prompt.empty()) throw UsageError("generate needs a run and --prompt TEXT");
  TrainedRun run(rest[0]);
  const TokenFeatures& features = run.pipeline.tokens;
  if (!features.is_there()) throw UsageError(rest[0] + " was not trained on text (data.format = text), so it has no tokens to go on with");
  const Tokeniser tokeniser = features.tokeniser();
  if (sees_what_comes(run, tokeniser.size()))
    throw UsageError(rest[0] +
                     " sees what it would have to guess; train it with model.causal = true, or attention(..., causal=true) in layers");
  std::vector<std::int32_t> tokens = tokeniser.encode(w.prompt, "--prompt");
  w.sampling.excluded = tokeniser.other();
  RandomStream random(mix(static_cast<std::uint64_t>(w.seed), 0x67656E65u));
  Printer printer;
  printer.print(w.prompt);
  for (std::int64_t i = 0; i < w.tokens; ++i) {
    const std::size_t time = std::min(tokens.size(), static_cast<std::size_t>(features.context));
    const std::int64_t next = draw_token(next_logits(run, std::span(tokens).last(time)), w.sampling, random);
    tokens.push_back(static_cast<std::int32_t>(next));
    printer.print(tokeniser.text(next));
  }
  printer.end();
  return 0;
}

std::string generate_options() {
  Words w;
  OptionTable table;
  describe(table, w);
  return help_text(table);
}

}  // namespace chorale
