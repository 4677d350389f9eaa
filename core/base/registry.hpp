// Names to factories. One Registry lives in the Context; every layer, loss, optimiser, reader, backend and exchange
// adds itself by an explicit `void register_x(Registry&)`, whose calls CMake lists (static initialisers get lost in archives).
// Filled once at start by one thread, then only read, from any thread.
#pragma once
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <typeindex>
#include <vector>

#include <chorale/core/base/error.hpp>

namespace chorale {

/// The known name nearest to `word` by edit distance (case ignored); empty when nothing is near.
std::string nearest_name(std::string_view word, const std::vector<std::string>& known);

/// One kind of thing, by name. `Entry` is a struct with its factory and its one-line help.
template <class Entry>
class Catalog {
 public:
  /// Throws InternalError when the name is taken.
  void add(const std::string& name, Entry entry) {
    if (!entries_.emplace(name, std::move(entry)).second) throw InternalError("registered twice: " + name);
  }
  bool contains(std::string_view name) const { return entries_.find(name) != entries_.end(); }
  /// Throws UsageError that names the nearest known entry; `what` says what was looked for ("layer").
  const Entry& at(std::string_view name, std::string_view what) const {
    if (auto it = entries_.find(name); it != entries_.end()) return it->second;
    std::string text = std::string(what) + " '" + std::string(name) + "' is unknown";
    const std::string near = nearest_name(name, names());
    if (!near.empty()) text += "; did you mean '" + near + "'?";
    text += near.empty() ? ". Known:" : " Known:";
    for (const std::string& known : names()) text += " " + known;
    throw UsageError(text);
  }
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& [name, entry] : entries_) out.push_back(name);
    return out;
  }

 private:
  std::map<std::string, Entry, std::less<>> entries_;
};

class Registry {
 public:
  /// The catalogue of one kind of entry, made at first use.
  template <class Entry>
  Catalog<Entry>& of() {
    auto& slot = catalogs_[std::type_index(typeid(Entry))];
    if (!slot) slot = std::make_shared<Catalog<Entry>>();
    return *static_cast<Catalog<Entry>*>(slot.get());
  }
  template <class Entry>
  const Catalog<Entry>& of() const {
    static const Catalog<Entry> none;
    auto it = catalogs_.find(std::type_index(typeid(Entry)));
    return it == catalogs_.end() ? none : *static_cast<const Catalog<Entry>*>(it->second.get());
  }

 private:
  std::map<std::type_index, std::shared_ptr<void>> catalogs_;
};

/// Calls every register_x of the library. Defined in a source that CMake writes.
void register_all(Registry& registry);

}  // namespace chorale
