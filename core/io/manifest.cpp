#include <chorale/core/io/manifest.hpp>

#include <cmath>
#include <limits>
#include <span>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/excerpt.hpp>
#include <chorale/core/io/content_hash.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/core/io/strict_json.hpp>

namespace chorale {

namespace {

using Json = nlohmann::json;
constexpr char kFormat[] = "chorale checkpoint";

std::string ending(const std::string& body) { return ",\n \"hash\": \"" + content_hash_of(body) + "\"\n}\n"; }

/// A file directly inside the folder: a manifest never points anywhere else.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos && name.find('\0') == std::string::npos &&
         name != kManifestName;
}

/// The words depend on what can still be read: a foreign file is not a damaged one.
[[noreturn]] void refuse(const std::string& text, const std::string& path) {
  const Json json = parse_json_object(text, path + ":");
  if (json.value("format", Json()) != kFormat) throw CheckpointError(path + ": is not the manifest of a chorale checkpoint");
  throw CheckpointError(path + ": differs from its own hash; it was damaged or edited");
}

std::int64_t signed_count(const Json& json, const char* key, const std::string& path) {
  const std::uint64_t value = count_at(json, key, path + ": it");
  if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    throw CheckpointError(path + ": has " + key + " " + std::to_string(value) + ", too large");
  return static_cast<std::int64_t>(value);
}

CheckpointFile file_of(const std::string& name, const Json& json, const std::string& path) {
  if (!is_plain_name(name)) throw CheckpointError(path + ": names the file '" + excerpt(name) + "', which is no plain name");
  const std::string where = path + ": the file '" + excerpt(name) + "'";
  CheckpointFile file{name, count_at(json, "bytes", where), json.at("xxh3_128").get<std::vector<std::string>>()};
  if (file.blocks.size() != file.bytes / kHashBlock + (file.bytes % kHashBlock != 0))
    throw CheckpointError(path + ": gives " + std::to_string(file.blocks.size()) + " hashes for the " + std::to_string(file.bytes) +
                          " bytes of '" + excerpt(name) + "', expected one for each MiB");
  return file;
}

}  // namespace

std::string manifest_text(const Manifest& manifest) {
  const Json fields = Json::parse(manifest.fields, nullptr, false);
  if (!fields.is_object()) throw UsageError("[checkpoint] the manifest's fields must be a JSON object");
  Json files = Json::object();
  for (const CheckpointFile& file : manifest.files) {
    if (!is_plain_name(file.name)) throw UsageError("[checkpoint] '" + file.name + "' is no plain file name");
    if (files.contains(file.name)) throw UsageError("[checkpoint] the file '" + file.name + "' is given twice");
    files[file.name] = {{"bytes", file.bytes}, {"xxh3_128", file.blocks}};
  }
  Json json = {{"format", kFormat}, {"version", manifest.version}, {"step", manifest.step}, {"fields", fields}, {"files", files}};
  if (manifest.score && std::isfinite(manifest.score->value))
    json["score"] = {
        {"name", manifest.score->name}, {"value", manifest.score->value}, {"higher_is_better", manifest.score->higher_is_better}};
  std::string body = json.dump(1);
  body.resize(body.size() - 2);  // without "\n}": the hash is the last member
  return body + ending(body);
}

Manifest parse_manifest(const std::string& text, const std::string& path) {
  static const std::size_t kEnding = ending("").size();
  if (text.size() < kEnding) refuse(text, path);
  const std::string body = text.substr(0, text.size() - kEnding);
  if (text.compare(body.size(), kEnding, ending(body)) != 0) refuse(text, path);
  const Json json = parse_json_object(text, path + ":");
  try {
    if (json.at("format") != kFormat) throw CheckpointError(path + ": is not the manifest of a chorale checkpoint");
    Manifest manifest;
    manifest.version = signed_count(json, "version", path);
    if (manifest.version < kCheckpointVersion)
      throw CheckpointError(path + ": has version " + std::to_string(manifest.version) + ", this program reads " +
                            std::to_string(kCheckpointVersion) + "; go on with the older program that wrote it, or start a new run");
    if (manifest.version > kCheckpointVersion)
      throw CheckpointError(path + ": has version " + std::to_string(manifest.version) + ", this program reads up to " +
                            std::to_string(kCheckpointVersion) + "; use the newer program that wrote it");
    manifest.step = signed_count(json, "step", path);
    manifest.fields = json.at("fields").dump();
    if (!json.at("fields").is_object()) throw CheckpointError(path + ": its fields are no JSON object");
    if (json.contains("score"))
      manifest.score = {json["score"].at("name"), json["score"].at("value"), json["score"].at("higher_is_better")};
    for (const auto& [name, file] : json.at("files").items()) manifest.files.push_back(file_of(name, file, path));
    return manifest;
  } catch (const Json::exception& error) {
    throw CheckpointError(path + ": lacks what a manifest must have: " + excerpt(error.what(), 200));
  }
}

Manifest read_manifest(const std::filesystem::path& folder) {
  constexpr std::uint64_t kLongest = 64 << 20;
  const std::filesystem::path path = folder / kManifestName;
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored))
    throw CheckpointError(folder.string() + ": has no " + kManifestName + ", so it is no finished checkpoint");
  if (const std::uint64_t bytes = File::open_read(path).size(); bytes > kLongest)
    throw CheckpointError(path.string() + ": has " + std::to_string(bytes) + " bytes, a manifest has " + std::to_string(kLongest) +
                          " at most");
  return parse_manifest(read_text(path), path.string());
}

}  // namespace chorale
