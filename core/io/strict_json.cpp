#include <chorale/core/io/strict_json.hpp>

#include <set>
#include <vector>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/excerpt.hpp>

namespace chorale {

namespace {

using Json = nlohmann::json;

/// Sees the events of the parser, and throws at the first that may not be.
class Watch {
 public:
  explicit Watch(const std::string& where) : where_(where) {}

  bool operator()(int depth, Json::parse_event_t event, const Json& parsed) {
    const bool opens = event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start;
    if (opens && depth >= kDeepestJson)
      throw CheckpointError(where_ + " has more than " + std::to_string(kDeepestJson) + " brackets inside one another");
    if (event == Json::parse_event_t::object_start) keys_.emplace_back();
    if (event == Json::parse_event_t::object_end) keys_.pop_back();
    if (event == Json::parse_event_t::key && !keys_.back().insert(parsed.get<std::string>()).second)
      throw CheckpointError(where_ + " has the key '" + excerpt(parsed.get_ref<const std::string&>()) + "' twice");
    return true;
  }

 private:
  const std::string& where_;
  std::vector<std::set<std::string>> keys_;  // of the objects that are open
};

}  // namespace

Json parse_json_object(std::string_view text, const std::string& where) {
  Watch watch(where);
  Json json;
  try {
    json = Json::parse(text, [&](int depth, Json::parse_event_t event, Json& parsed) { return watch(depth, event, parsed); });
  } catch (const Json::exception& error) {
    throw CheckpointError(where + " is no JSON object; it was damaged or belongs to something else: " + excerpt(error.what(), 200));
  }
  if (!json.is_object()) throw CheckpointError(where + " is no JSON object, but of type " + json.type_name());
  return json;
}

std::string excerpt_of(const Json& value) { return excerpt(value.dump()); }

std::uint64_t count_at(const Json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end()) throw CheckpointError(where + " lacks '" + key + "'");
  if (!found->is_number_unsigned()) throw CheckpointError(where + " has '" + key + "' " + excerpt_of(*found) + ", no count");
  return found->get<std::uint64_t>();
}

}  // namespace chorale
