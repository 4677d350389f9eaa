// Manifests of checkpoints. The hash at their end is put right before they are read, else no mutation would get past it.
#include <array>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/content_hash.hpp>
#include <chorale/core/io/manifest.hpp>

#include "engine.hpp"

namespace chorale::fuzz {

namespace {

constexpr std::array<std::string_view, 14> kWords = {
    "{",          "}",         "[",     "]", "\"bytes\": 0", "\"xxh3_128\": []", "\"fields\": {}", "\"files\": {", "\"step\": ", "\"..\": ",
    "\"score\":", "\"hash\":", "1e300", "-1"};

std::string signed_again(std::string_view input) {
  const std::string body(input.substr(0, std::min(input.rfind(",\n \"hash\": \""), input.size())));
  ContentHash hash;
  hash.add(std::as_bytes(std::span(body)));
  return body + ",\n \"hash\": \"" + hash.text() + "\"\n}\n";
}

}  // namespace

std::span<const std::string_view> words() { return kWords; }

std::string answer_to(std::string_view input) {
  answer_of<CheckpointError>([&] { parse_manifest(std::string(input), "m"); });
  return answer_of<CheckpointError>([&] {
    const Manifest read = parse_manifest(signed_again(input), "m");
    require(read.step >= 0, "a negative step is accepted");
    for (const CheckpointFile& file : read.files) {
      require(file.name.find('/') == std::string::npos && file.name != "..", "a name leads out of the folder");
      require(file.blocks.size() == (file.bytes + kHashBlock - 1) / kHashBlock, "hashes do not cover the file");
    }
    const std::string text = manifest_text(read);
    require(manifest_text(parse_manifest(text, "m")) == text, "what is written is read as something else");
  });
}

}  // namespace chorale::fuzz
