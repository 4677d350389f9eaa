#include <chorale/core/data/text_dataset.hpp>

#include <cstring>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>

namespace chorale {

TextDataset::TextDataset(std::span<const std::int32_t> tokens, std::int64_t context, std::shared_ptr<const void> owner)
    : tokens_(tokens),
      context_(context),
      rows_(tokens.empty() ? 0 : (static_cast<std::int64_t>(tokens.size()) - 1) / context),
      owner_(std::move(owner)),
      fields_({{.name = "tokens", .dtype = DType::i32, .row_shape = {context}, .use = Field::Use::index},
               {.name = "target", .dtype = DType::i32, .row_shape = {context}}}) {
  if (rows_ == 0 && !tokens.empty())
    throw DataError("a part of the text has " + std::to_string(tokens.size()) + " tokens, fewer than the " + std::to_string(context + 1) +
                    " of one window; lower data.context, or change data.split");
}

void TextDataset::gather(int field, std::span<const std::int64_t> rows, void* out) const {
  auto* to = static_cast<std::int32_t*>(out);
  for (const std::int64_t row : rows) {
    std::memcpy(to, tokens_.data() + row * context_ + field, static_cast<std::size_t>(context_) * sizeof(std::int32_t));
    to += context_;
  }
}

void TextDataset::gather_for_training(int field, std::span<const std::int64_t> rows, const Draw& draw, void* out) const {
  auto* to = static_cast<std::int32_t*>(out);
  const auto starts = static_cast<std::int64_t>(tokens_.size()) - context_;  // of windows that have all their targets
  auto position = static_cast<std::uint64_t>(draw.first_position);
  for (const std::int64_t row : rows) {
    const std::int64_t later =
        static_cast<std::int64_t>(RandomStream(mix(draw.key, position++)).below(static_cast<std::uint64_t>(context_)));
    const std::int64_t first = (row * context_ + later) % starts;
    std::memcpy(to, tokens_.data() + first + field, static_cast<std::size_t>(context_) * sizeof(std::int32_t));
    to += context_;
  }
}

}  // namespace chorale
