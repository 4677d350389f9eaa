#include <chorale/train/collab/pinned_version.hpp>

#include <algorithm>
#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/named_tensor.hpp>

namespace chorale {

using Json = nlohmann::ordered_json;

namespace {

Json json_of(const RowsVersion& v) { return {{"version", v.version}, {"hash", v.hash}, {"open", v.open}}; }

RowsVersion rows_from(const Json& j) { return {j.at("version"), j.at("hash"), j.at("open").get<std::vector<bool>>()}; }

}  // namespace

std::string PinnedVersion::to_json() const {
  Json j = {{"tick", tick},
            {"width", width},
            {"strategies", strategies},
            {"has_time", has_time},
            {"exports", fusion.exports},
            {"exports_features", fusion.exports_features},
            {"hidden", fusion.hidden},
            {"kinds", kinds},
            {"sources", Json::array()},
            {"best", json_of(best)},
            {"last", json_of(last)}};
  for (const PinnedSource& source : sources) j["sources"].push_back({{"task", source.task}, {"kind", source.kind}});
  return j.dump();
}

PinnedVersion PinnedVersion::from_json(const std::string& text) {
  try {
    const Json j = Json::parse(text);
    PinnedVersion out{.tick = j.at("tick"),
                      .width = j.at("width"),
                      .strategies = j.at("strategies").get<std::vector<std::string>>(),
                      .has_time = j.at("has_time"),
                      .fusion = {},
                      .kinds = {},
                      .sources = {},
                      .best = {},
                      .last = {}};
    for (const Json& source : j.at("sources")) out.sources.push_back({source.at("task"), source.at("kind")});
    out.kinds = j.at("kinds").get<std::vector<std::string>>();
    out.best = rows_from(j.at("best")), out.last = rows_from(j.at("last"));
    out.fusion = {.width = out.width,
                  .exports = j.at("exports"),
                  .exports_features = j.at("exports_features"),
                  .peers = static_cast<std::int64_t>(out.sources.size()),
                  .hidden = j.at("hidden")};
    for (const PinnedSource& source : out.sources)
      if (std::find(out.kinds.begin(), out.kinds.end(), source.kind) == out.kinds.end())
        throw CheckpointError("a source is of kind '" + source.kind + "', which the task has not");
    for (const RowsVersion* v : {&out.best, &out.last})
      if (v->open.size() != out.sources.size()) throw CheckpointError("the flags of the peers heard are not one a peer");
    return out;
  } catch (const Json::exception& e) {
    throw CheckpointError(std::string("what the checkpoint says of peers' rows is damaged: ") + e.what());
  }
}

std::string hash_of_rows(const std::vector<const std::vector<float>*>& tables, std::int64_t width) {
  std::vector<NamedTensor> all;
  for (std::size_t s = 0; s < tables.size(); ++s)
    all.push_back(
        {"rows." + std::to_string(s), DType::f32, {static_cast<std::int64_t>(tables[s]->size()) / width, width}, tables[s]->data()});
  return tensors_hash(all);
}

}  // namespace chorale
