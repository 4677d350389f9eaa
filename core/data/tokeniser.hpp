// What a text is made of, by number: its bytes, or its characters as the training part has them.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chorale {

class Tokeniser {
 public:
  enum class Kind : std::uint8_t { byte, character };

  /// Bytes: 256 tokens.
  Tokeniser() = default;
  /// characters: in UTF-8, each once; their places are their numbers. Behind them comes one for all others.
  explicit Tokeniser(std::vector<std::string> characters);
  /// Of what the front share of a text's characters has, in the order of code points. Throws DataError for what is no UTF-8, with the place
  /// and the remedy.
  static Tokeniser of_characters(std::string_view text, double share, const std::string& path);

  Kind kind() const { return kind_; }
  /// How many numbers there are.
  std::int64_t size() const;
  /// Of characters.
  const std::vector<std::string>& characters() const { return characters_; }
  /// The number of a text's tokens. Throws DataError as of_characters() does.
  std::int64_t count(std::string_view text, const std::string& path) const;
  /// out [count(text)]: their numbers. Unknown characters get the last number.
  void encode(std::string_view text, const std::string& path, std::int32_t* out) const;
  std::vector<std::int32_t> encode(std::string_view text, const std::string& path) const;
  /// The bytes of one token; of all other characters U+FFFD.
  std::string text(std::int64_t token) const;
  /// The number that stands for all other characters; -1 of bytes.
  std::int64_t other() const { return kind_ == Kind::byte ? -1 : size() - 1; }
  /// What tables call each token.
  std::vector<std::string> names() const;

 private:
  Kind kind_ = Kind::byte;
  std::vector<std::string> characters_;
};

}  // namespace chorale
