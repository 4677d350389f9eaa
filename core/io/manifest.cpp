#include <chorale/core/io/manifest.hpp>

#include <filesystem>
#include <set>
#include <span>

#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/content_hash.hpp>

namespace chorale {

namespace {

using Json = nlohmann::json;
constexpr char kFormat[] = "chorale checkpoint";

std::string ending(const std::string& body) {
  ContentHash hash;
  hash.add(std::as_bytes(std::span(body)));
  return ",\n \"hash\": \"" + hash.text() + "\"\n}\n";
}

/// A file directly inside the folder: a manifest never points anywhere else.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos && name.find('\0') == std::string::npos &&
         name != kManifestName;
}

Json parse_json(const std::string& text, const std::string& path) {
  try {
    Json json = Json::parse(text);
    if (json.is_object()) return json;
  } catch (const Json::exception&) {
  }
  throw CheckpointError(path + ": is no JSON object; it was damaged or belongs to something else");
}

/// The words depend on what can still be read: a foreign file is not a damaged one.
[[noreturn]] void refuse(const std::string& text, const std::string& path) {
  const Json json = parse_json(text, path);
  if (json.value("format", Json()) != kFormat) throw CheckpointError(path + ": is not the manifest of a chorale checkpoint");
  throw CheckpointError(path + ": differs from its own hash; it was damaged or edited");
}

}  // namespace

std::string manifest_text(const Manifest& manifest) {
  const Json fields = Json::parse(manifest.fields, nullptr, false);
  if (!fields.is_object()) throw UsageError("[checkpoint] the manifest's fields must be a JSON object");
  Json files = Json::object();
  for (const CheckpointFile& file : manifest.files) {
    if (!is_plain_name(file.name)) throw UsageError("[checkpoint] '" + file.name + "' is no plain file name");
    if (files.contains(file.name)) throw UsageError("[checkpoint] the file '" + file.name + "' is given twice");
    files[file.name] = {{"bytes", file.bytes}, {"xxh3_128", file.hash}};
  }
  const Json json = {{"format", kFormat}, {"version", manifest.version}, {"step", manifest.step}, {"fields", fields}, {"files", files}};
  std::string body = json.dump(1);
  body.resize(body.size() - 2);  // without "\n}": the hash is the last member
  return body + ending(body);
}

Manifest parse_manifest(const std::string& text, const std::string& path) {
  static const std::size_t kEnding = ending("").size();
  if (text.size() < kEnding) refuse(text, path);
  const std::string body = text.substr(0, text.size() - kEnding);
  if (text.compare(body.size(), kEnding, ending(body)) != 0) refuse(text, path);
  const Json json = parse_json(text, path);
  try {
    if (json.at("format") != kFormat) throw CheckpointError(path + ": is not the manifest of a chorale checkpoint");
    Manifest manifest;
    manifest.version = json.at("version").get<std::int64_t>();
    if (manifest.version > kCheckpointVersion)
      throw CheckpointError(path + ": has version " + std::to_string(manifest.version) + ", this program reads up to " +
                            std::to_string(kCheckpointVersion) + "; use the newer program that wrote it");
    manifest.step = json.at("step").get<std::int64_t>();
    manifest.fields = json.at("fields").dump();
    for (const auto& [name, file] : json.at("files").items()) {
      if (!is_plain_name(name)) throw CheckpointError(path + ": names the file '" + name + "', which is no plain name");
      manifest.files.push_back({name, file.at("bytes").get<std::uint64_t>(), file.at("xxh3_128").get<std::string>()});
    }
    return manifest;
  } catch (const Json::exception& error) {
    throw CheckpointError(path + ": lacks what a manifest must have: " + error.what());
  }
}

}  // namespace chorale
