#include <chorale/core/io/manifest.hpp>

#include <cmath>
#include <set>
#include <span>

#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/content_hash.hpp>
#include <chorale/core/io/file.hpp>

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

/// With each key at most once in its object: the library alone would silently keep the last.
Json parse_json(const std::string& text, const std::string& path) {
  std::vector<std::set<std::string>> keys;
  std::string twice;
  const auto watch = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second) twice = parsed.get<std::string>();
    return true;
  };
  try {
    Json json = Json::parse(text, watch);
    if (!twice.empty()) throw CheckpointError(path + ": has the key '" + twice + "' twice");
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

CheckpointFile file_of(const std::string& name, const Json& json, const std::string& path) {
  if (!is_plain_name(name)) throw CheckpointError(path + ": names the file '" + name + "', which is no plain name");
  CheckpointFile file{name, json.at("bytes").get<std::uint64_t>(), json.at("xxh3_128").get<std::vector<std::string>>()};
  if (file.blocks.size() != file.bytes / kHashBlock + (file.bytes % kHashBlock != 0))
    throw CheckpointError(path + ": gives " + std::to_string(file.blocks.size()) + " hashes for the " + std::to_string(file.bytes) +
                          " bytes of '" + name + "', expected one for each MiB");
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
  const Json json = parse_json(text, path);
  try {
    if (json.at("format") != kFormat) throw CheckpointError(path + ": is not the manifest of a chorale checkpoint");
    Manifest manifest;
    manifest.version = json.at("version").get<std::int64_t>();
    if (manifest.version < kCheckpointVersion)
      throw CheckpointError(path + ": has version " + std::to_string(manifest.version) + ", this program reads " +
                            std::to_string(kCheckpointVersion) + "; go on with the older program that wrote it, or start a new run");
    if (manifest.version > kCheckpointVersion)
      throw CheckpointError(path + ": has version " + std::to_string(manifest.version) + ", this program reads up to " +
                            std::to_string(kCheckpointVersion) + "; use the newer program that wrote it");
    manifest.step = json.at("step").get<std::int64_t>();
    manifest.fields = json.at("fields").dump();
    if (!json.at("fields").is_object()) throw CheckpointError(path + ": its fields are no JSON object");
    if (json.contains("score"))
      manifest.score = {json["score"].at("name"), json["score"].at("value"), json["score"].at("higher_is_better")};
    for (const auto& [name, file] : json.at("files").items()) manifest.files.push_back(file_of(name, file, path));
    return manifest;
  } catch (const Json::exception& error) {
    throw CheckpointError(path + ": lacks what a manifest must have: " + error.what());
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
