// A recipe of several tasks: [collab] says how they share, each [task.NAME] which ranks train what. A task's own keys come from the recipe
// it names, and may be given in its section too, as data.target = income: that beats the recipe.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <chorale/core/base/option.hpp>
#include <chorale/launcher/recipe_settings.hpp>
#include <chorale/train/collab/collab_task.hpp>
#include <chorale/train/data/prepare.hpp>

namespace chorale {

struct CollabSettings {
  std::vector<std::string> strategy = {"store"};  // names of the Registry, in the order of the calls
  std::int64_t every = 50;                        // steps of the fastest task between ticks
  std::int64_t width = 8;
  std::string store = "auto";  // its form
  std::string wire = "f32";    // of vectors
  double clip = 0, noise = 0;
  double beta = 1;  // r <- (1 - beta) r + beta S / n
  bool guard = true;
  bool exports_features = true;
  DistillOptions distill;
  std::string distill_form = "predictions";
  ProtoOptions proto;
  AlignOptions align;
  TrunkPlan trunk;
  StitchPlan stitch;
  double burn_in = 0.4;            // share of the ticks
  double probe = 0.2;              // share of the ticks
  double finalise = 0.1;           // share of the ticks
  std::int64_t sweep = 10;         // ticks
  std::vector<std::string> split;  // "customer 0.70 0.15 0.15", "time 2011-09-01 2011-10-01"; empty: each task's data.split
  std::string time;                // column; empty: rows have no time
  std::string period = "week";
  std::int64_t split_seed = 1;
  std::int64_t checkpoint_every = 20;       // ticks; 0: only at the end
  std::vector<std::string> steps_per_tick;  // "purchase:50 returns:17"; empty: measured
};

/// Of a section, short for data.columns.
inline constexpr char kColumns[] = "columns";

/// What a section [task.NAME] says beside a recipe's keys.
struct TaskSection {
  std::string name;
  std::string recipe;
  std::string ranks = "1";  // a number, or "share 0.5" of the world
  std::string role = "both";
  std::string at_end = "cycle";
  double weight = 1;
  std::int64_t folds = 0;
  std::string entity;                       // "customer : customer_id, product : product_id"; without a column: the number of the row
  std::string time;                         // column; empty: that of [collab]
  std::string repeats = "auto";             // of rows of one entity
  std::map<std::string, std::string> keys;  // of the task's recipe, given here
};

/// Lives where it is made: options point into it.
class CollabRecipe {
 public:
  CollabRecipe() { describe(settings); }
  CollabRecipe(const CollabRecipe&) = delete;
  CollabRecipe& operator=(const CollabRecipe&) = delete;

  /// Declares the sections [task.NAME] that the file has, so that their keys are known, also as flags: --task.NAME.ranks.
  void declare_tasks_of(const std::string& path);
  /// Sets what the file says. After declare_tasks_of().
  void read(const std::string& path);
  /// After flags were read: reads each task's recipe, and puts what its section says on top. Throws UsageError.
  void resolve(const std::string& path);

  OptionTable table;  // [collab], [task.NAME] and whatever the caller adds
  CollabSettings settings;
  std::vector<std::unique_ptr<TaskSection>> sections;
  /// After resolve(), by task: all of its keys.
  std::vector<std::unique_ptr<RecipeTable>> tasks;

  /// By task, for a world of so many ranks. Throws UsageError where ranks do not add up.
  std::vector<TaskInfo> infos(int world) const;
  /// Ranks that the sections ask for in all; 0: a share of the world is asked for.
  int wanted_ranks() const;
  EntityRequest request(std::size_t task) const;
  AtEnd at_end(std::size_t task) const;
  /// "orders.csv, column 'customer_id'": where a task's keys of a kind are.
  std::string place_of(std::size_t task, const std::string& kind) const;
  /// Of the strategies, the same for all tasks; the caller adds what is of its run.
  CollabOptions options() const;
  /// collab.steps_per_tick by task; empty: not given.
  std::vector<std::int64_t> pinned_steps() const;
  /// What a resumed run may not change, beside what each task's own recipe fixes.
  std::map<std::string, std::string> identity() const;
  /// One recipe that holds all of it, and needs no other.
  std::string resolved() const;

 private:
  void check_strategies() const;
  void check_folds() const;
  /// The strategy that reads this key, where it is not among those chosen; else empty.
  std::string idle_without(const std::string& key) const;
  void describe(CollabSettings& s);
  void describe_strategies(CollabSettings& s);
  void describe(TaskSection& section);
  TimeRequest time_request(std::size_t task) const;
};

/// "customer : customer_id, product : product_id". Throws UsageError.
std::vector<EntityColumn> parse_entities(const std::string& text, const std::string& key);

}  // namespace chorale
