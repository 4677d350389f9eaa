// One description of an option: recipe key, flag, line of help and field of a typed struct, all from one declaration.
// Every folder that has settings owns a struct and a `void describe(OptionTable&, ItsOptions&)`; the launcher reads recipes and flags into
// the table.
#pragma once
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace chorale {

/// A declared option, bound to a field. Values are text at the edges and typed inside.
struct Option {
  std::string key;                              // "optimizer.lr": section and name
  std::string type;                             // "integer", "number", "switch", "text", "list", "one of a b c"
  std::string default_text;                     // as the recipe would say it
  std::string range;                            // "1 to 1000000", "" when any
  std::string help;                             // one sentence
  std::string short_flag;                       // "threads" for --threads; empty: none
  bool mathematics = true;                      // may a resumed run change it? only when false
  bool verbatim = false;                        // of texts: quotes in a recipe belong to the value
  bool given = false;                           // set by recipe or flag
  std::string origin;                           // "shop.ini:7" when a recipe set it
  std::function<void(std::string_view)> parse;  // writes the field; throws UsageError that says what is allowed
  std::function<std::string()> text;            // the field's present value
};

/// What limits and extras a declaration may carry; name them with designated initialisers.
struct OptionExtra {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices = {};
  std::string short_flag = {};
  bool mathematics = true;
  bool verbatim = false;                                     // of texts: quotes in a recipe belong to the value
  bool adds_up = false;                                      // of lists: given again, the words are added
  std::function<void(const std::string& value)> check = {};  // of texts and lists: throws UsageError that says what is allowed
};

class OptionTable {
 public:
  /// Binds `field`, whose present value is the default. The field must outlive the table.
  void add(std::string key, std::int64_t& field, std::string help, OptionExtra extra = {});
  void add(std::string key, double& field, std::string help, OptionExtra extra = {});
  void add(std::string key, bool& field, std::string help, OptionExtra extra = {});
  void add(std::string key, std::string& field, std::string help, OptionExtra extra = {});
  void add(std::string key, std::vector<std::string>& field, std::string help, OptionExtra extra = {});  // see words_of

  /// Sets one by its text. Throws UsageError with the nearest known key, or with what is allowed.
  void set(std::string_view key, std::string_view value, std::string origin = {});
  /// An error that names a key, with file and line in front where a recipe set that key; else as it is.
  std::string located(const std::string& error) const;
  const Option* find(std::string_view key) const;  // by key or short flag; nullptr when unknown
  const std::vector<Option>& all() const { return options_; }

 private:
  Option& declare(std::string key, std::string help, OptionExtra& extra);
  std::vector<Option> options_;
};

/// Words parted by blanks or commas; "one with blanks" stands in quotes, a quote in it is written twice. Throws UsageError for an open
/// quote.
std::vector<std::string> words_of(std::string_view text);
/// What words_of reads back; empty words are left out.
std::string list_text(const std::vector<std::string>& words);

/// An option's present value as it stands behind the = of a recipe: a text that would be cut there, at a # or at blanks around it, stands
/// in quotes, a quote in it written twice.
std::string recipe_value(const Option& option);
/// The text that stands in such quotes; else `value` as it is.
std::string unquoted(std::string_view value);

}  // namespace chorale
