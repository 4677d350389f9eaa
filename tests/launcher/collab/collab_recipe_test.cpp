#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <functional>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/collab/collab_recipe.hpp>
#include <chorale/launcher/collab/lockstep.hpp>
#include <chorale/tests/launcher/slurm/folder.hpp>

using namespace chorale;

namespace {

const char* const kBase =
    "[data]\nfile = base.csv\ntarget = y\n[model]\nlayers = linear(4) relu linear(1)\n[train]\nbatch = 32\n[optimizer]\nlr = 0.5\n";
const char* const kTwo =
    "[collab]\nevery = 20\nsplit = person 0.6 0.2 0.2\n"
    "[task.buys]\nrecipe = base.ini\nentity = person : person_id\ntrain.batch = 64\ndata.file = buys.csv\n"
    "[task.calls]\nrecipe = base.ini\nranks = 2\nrole = target\nentity = person : who, shop : shop_id\ntrain.seed = 7\n";

/// A recipe in a folder of its own, with flags behind it.
struct Read {
  tests::Folder folder;
  CollabRecipe recipe;
  explicit Read(
      const std::string& text, const std::function<void(CollabRecipe&)>& flags = [](CollabRecipe&) {}) {
    folder.write("base.ini", kBase);
    folder.write("two.ini", text);
    const std::string path = (folder.path / "two.ini").string();
    recipe.declare_tasks_of(path);
    recipe.read(path);
    flags(recipe);
    recipe.resolve(path);
  }
  std::string file(const char* name) const { return (folder.path / name).string(); }
};

std::string with(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

std::vector<std::int64_t> ranks(const CollabRecipe& recipe, int world) {
  std::vector<std::int64_t> out;
  for (const TaskInfo& info : recipe.infos(world)) out.push_back(info.ranks);
  return out;
}

}  // namespace

TEST_CASE("each section is a task: its keys beat the recipe that it names") {
  const Read two(kTwo);
  REQUIRE(two.recipe.tasks.size() == 2);
  CHECK(two.recipe.settings.every == 20);
  CHECK(two.recipe.sections[0]->name == "buys");
  CHECK(two.recipe.sections[1]->role == "target");
  const Settings &buys = two.recipe.tasks[0]->settings, &calls = two.recipe.tasks[1]->settings;
  CHECK(buys.train.batch == 64);
  CHECK(calls.train.batch == 32);
  CHECK(buys.train.seed != 7);
  CHECK(calls.train.seed == 7);
  CHECK(buys.optimizer.lr == 0.5);
  CHECK(buys.data.file == std::vector<std::string>{two.file("buys.csv")});  // files lie beside the recipe that names them
  CHECK(calls.data.file == std::vector<std::string>{two.file("base.csv")});
}

TEST_CASE("a key that says what rows are about is no feature") {
  const Read two(with(kTwo, "data.file = buys.csv", "data.id = visit"));
  CHECK(two.recipe.tasks[0]->settings.data.id == std::vector<std::string>{"visit", "person_id"});
  CHECK(two.recipe.tasks[1]->settings.data.id == std::vector<std::string>{"who", "shop_id"});
  const Read dropped(with(kTwo, "data.file = buys.csv", "data.drop = person_id"));
  CHECK(dropped.recipe.tasks[0]->settings.data.id.empty());
}

TEST_CASE("a flag beats the section, and its files lie in the working directory") {
  const Read two(kTwo, [](CollabRecipe& recipe) {
    recipe.table.set("task.buys.train.batch", "16");
    recipe.table.set("task.buys.data.file", "here.csv");
    recipe.table.set("task.calls.ranks", "3");
    recipe.table.set("collab.every", "5");
  });
  CHECK(two.recipe.tasks[0]->settings.train.batch == 16);
  CHECK(two.recipe.tasks[0]->settings.data.file == std::vector<std::string>{(std::filesystem::current_path() / "here.csv").string()});
  CHECK(two.recipe.settings.every == 5);
  CHECK(ranks(two.recipe, 4) == std::vector<std::int64_t>{1, 3});
}

TEST_CASE("a recipe is found in the working directory too") {
  const tests::Folder folder;
  folder.write("base.ini", kBase);
  folder.write("two.ini", kTwo);
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path);
  CollabRecipe recipe;
  recipe.declare_tasks_of("two.ini");
  recipe.read("two.ini");
  CHECK_NOTHROW(recipe.resolve("two.ini"));
  std::filesystem::current_path(before);
  CHECK(recipe.tasks.at(0)->settings.data.file ==
        std::vector<std::string>{(std::filesystem::canonical(folder.path) / "buys.csv").string()});
}

TEST_CASE("sections that are no tasks, or too few, are refused") {
  CHECK_THROWS_WITH(Read("[collab]\nevery = 20\n"), Catch::Contains("at least two sections [task.NAME]"));
  CHECK_THROWS_WITH(Read("[task.a]\nentity = x\n"), Catch::Contains("train one task with chorale train"));
  CHECK_THROWS_WITH(Read(with(kTwo, "[task.calls]", "[task.buys]")), Catch::Contains("two.ini:9: section [task.buys] stands there twice"));
  CHECK_THROWS_WITH(Read(with(kTwo, "[task.calls]", "[task.a b]")), Catch::Contains(":9: ") && Catch::Contains("write [task.NAME]"));
  CHECK_THROWS_WITH(Read(with(kTwo, "[task.calls]", "[task]")), Catch::Contains("write [task.NAME]"));
  CHECK_THROWS_WITH(Read(with(kTwo, "[task.calls]", "[task." + std::string(32, 'n') + "]")), Catch::Contains("at most 31 letters"));
  CHECK_THROWS_WITH(Read(with(kTwo, "train.seed = 7", "train.sead = 7")),
                    Catch::Contains("two.ini:14: ") && Catch::Contains("did you mean"));
  CHECK_THROWS_WITH(Read(with(kTwo, "entity = person : person_id\n", "")), Catch::Contains("task.buys.entity is missing"));
  CHECK_THROWS_WITH(Read(with(kTwo, "role = target", "role = boss")), Catch::Contains("both | peer | target"));
  CHECK_THROWS_WITH(Read(with(kTwo, "train.seed = 7", "train.on_nan = rollback")), Catch::Contains("use skip or stop"));
}

TEST_CASE("entities are kinds with their columns") {
  const auto one = parse_entities("person : person_id", "k");
  REQUIRE(one.size() == 1);
  CHECK(one[0].kind == "person");
  CHECK(one[0].column == "person_id");
  const auto both = parse_entities(" person:\"the person, of all\" ,row", "k");
  REQUIRE(both.size() == 2);
  CHECK(both[0].column == "the person, of all");
  CHECK(both[1].kind == "row");
  CHECK(both[1].column.empty());  // rows themselves
  for (const char* wrong : {"", "person :", ": id", "person : a b", "person : a : b", "a, , b", "two words : id", "a : x, a : y"}) {
    INFO("'" << wrong << "'");
    CHECK_THROWS_WITH(parse_entities(wrong, "task.t.entity"),
                      Catch::StartsWith("task.t.entity = ") && Catch::Contains("; write customer : customer_id"));
  }
}

TEST_CASE("shares of ranks are cut fairly, and nobody is left without one") {
  const auto shared = [](const std::string& a, const std::string& b, int world) {
    const Read two(with(with(kTwo, "ranks = 2", "ranks = " + b), "train.batch = 64", "ranks = " + a));
    const std::vector<std::int64_t> out = ranks(two.recipe, world);
    CHECK(two.recipe.wanted_ranks() == 0);
    return out;
  };
  using Ranks = std::vector<std::int64_t>;
  CHECK(shared("share 0.5", "share 0.5", 4) == Ranks{2, 2});
  CHECK(shared("share 0.3", "share 0.7", 10) == Ranks{3, 7});
  CHECK(shared("share 0.9", "share 0.01", 3) == Ranks{2, 1});
  CHECK(shared("2", "share 0.1", 7) == Ranks{2, 5});  // one share takes what numbers leave
  for (int world = 2; world < 40; ++world) {
    const Ranks got = shared("share 0.21", "share 0.55", world);
    CHECK(got[0] + got[1] == world);
    CHECK(std::abs(static_cast<double>(got[0]) - std::max(1.0, world * 0.21 / 0.76)) <= 1);
  }
  CHECK_THROWS_WITH(shared("share 0.5", "share 0.5", 1), Catch::Contains("start it with -n 2"));
  for (const char* wrong : {"0", "-1", "share", "share 0", "share 2", "half", "1.5", "65537"}) {
    INFO(wrong);
    CHECK_THROWS_WITH(shared(wrong, "share 0.5", 4),
                      Catch::Contains("task.buys.ranks = ") && Catch::Contains("expected a number of ranks, or share 0.5"));
  }
}

TEST_CASE("numbers of ranks must be those of the run") {
  const Read two(kTwo);
  CHECK(two.recipe.wanted_ranks() == 3);
  CHECK(ranks(two.recipe, 3) == std::vector<std::int64_t>{1, 2});
  CHECK_THROWS_WITH(two.recipe.infos(4), Catch::Contains("the tasks have 3 ranks (buys 1, calls 2), the run has 4; start it with -n 3"));
  CHECK_THROWS_WITH(two.recipe.infos(2), Catch::Contains("start it with -n 3"));
}

TEST_CASE("pinned steps name every task, and no other") {
  const auto pinned = [](const std::string& text) {
    return Read(with(kTwo, "every = 20", "every = 20\nsteps_per_tick = " + text)).recipe.pinned_steps();
  };
  CHECK(Read(kTwo).recipe.pinned_steps().empty());
  CHECK(pinned("calls:17 buys:50") == std::vector<std::int64_t>{50, 17});
  CHECK_THROWS_WITH(pinned("buys:5 call:5"), Catch::Contains("there is no task 'call'; write NAME:STEPS for each task"));
  CHECK_THROWS_WITH(pinned("buys:5"), Catch::Contains("task calls is missing"));
  CHECK_THROWS_WITH(pinned("buys:5 calls:0"), Catch::Contains("'calls:0' names no number of steps"));
  CHECK_THROWS_WITH(pinned("buys calls:5"), Catch::Contains("'buys' names no number of steps"));
}

TEST_CASE("one split counts for all tasks") {
  const Read two(kTwo);
  for (std::size_t t = 0; t < 2; ++t) {
    const EntityRequest request = two.recipe.request(t);
    CHECK(request.split_kind == "person");
    CHECK(request.share[0] == 0.6);
    CHECK(request.seed == 1);
  }
  const Read by_shop(with(kTwo, "split = person", "split = shop"));
  CHECK(by_shop.recipe.request(0).split_kind == "person");  // a task without that kind is split by its first
  CHECK(by_shop.recipe.request(1).split_kind == "shop");
  CHECK(Read(with(kTwo, "split = person 0.6 0.2 0.2\n", "")).recipe.request(0).split_kind.empty());
  CHECK_THROWS_WITH(Read(with(kTwo, "split = person", "split = people")), Catch::Contains("no task has entities of kind 'people'"));
  CHECK_THROWS_WITH(Read(with(kTwo, "0.6 0.2 0.2", "0.6 0.2")), Catch::Contains("write KIND 0.70 0.15 0.15"));
  CHECK_THROWS_WITH(Read(with(kTwo, "0.6 0.2 0.2", "0.6 0.6 0.2")), Catch::Contains("shares that sum to 1"));
}

TEST_CASE("the resolved recipe reads back equal, alone and from anywhere") {
  const Read two(kTwo, [](CollabRecipe& recipe) {
    recipe.table.set("task.buys.data.drop", "\"a # b\" c");
    recipe.table.set("task.buys.data.weight", "rows # \"each\"");
    recipe.table.set("task.calls.train.seed", "11");
    recipe.table.set("collab.steps_per_tick", "buys:3 calls:4");
  });
  const std::string first = two.recipe.resolved();
  const tests::Folder elsewhere;
  elsewhere.write("resolved.ini", first);
  const std::string path = (elsewhere.path / "resolved.ini").string();
  CollabRecipe again;
  again.declare_tasks_of(path);
  again.read(path);
  again.resolve(path);
  CHECK(again.resolved() == first);
  CHECK(again.pinned_steps() == std::vector<std::int64_t>{3, 4});
  CHECK(again.tasks[0]->settings.data.drop == std::vector<std::string>{"a # b", "c"});
  CHECK(again.tasks[0]->settings.data.weight == "rows # \"each\"");
  CHECK(again.tasks[0]->settings.data.file == two.recipe.tasks[0]->settings.data.file);
  CHECK(again.tasks[1]->settings.train.seed == 11);
}

TEST_CASE("several strategies are called in the order given, and what none of them reads is refused") {
  CHECK(Read(kTwo).recipe.settings.strategy == std::vector<std::string>{"store"});
  const auto refusal = [](const std::string& line) {
    try {
      Read(with(kTwo, "every = 20\n", "every = 20\n" + line));
    } catch (const UsageError& e) {
      return std::string(e.what());
    }
    return std::string("none");
  };
  CHECK_THAT(refusal("strategy = stor\n"), Catch::Contains("there is no strategy 'stor'; there are") && Catch::Contains("store"));
  CHECK_THAT(refusal("strategy = store store\n"), Catch::Contains("store stands there twice"));
}

TEST_CASE("a time and its cut-offs are common to all tasks, the column may be another in each") {
  const std::string timed = with(kTwo, "split = person 0.6 0.2 0.2\n", "time = at\nperiod = 2 days\nsplit = time 2011-09-01 2011-10-01\n");
  const Read two(with(timed, "ranks = 2\n", "ranks = 2\ntime = called_at\n"));
  const EntityRequest buys = two.recipe.request(0), calls = two.recipe.request(1);
  CHECK(buys.time.column == "at");
  CHECK(calls.time.column == "called_at");
  CHECK(calls.time.period == "2 days");
  CHECK(buys.time.cutoffs == std::vector<std::string>{"2011-09-01", "2011-10-01"});
  CHECK(buys.split_kind.empty());
  CHECK_THAT(two.recipe.resolved(), Catch::Contains("time = called_at"));
  CHECK(two.recipe.identity().at("task.calls.time") == "called_at");
  CHECK(Read(kTwo).recipe.request(0).time.column.empty());
  CHECK(Read(with(kTwo, "every = 20\n", "every = 20\ntime = at\n")).recipe.request(0).split_kind == "person");

  const auto refused = [&](const std::string& from, const std::string& to) { return Read(with(timed, from, to)); };
  CHECK_THROWS_WITH(refused("time = at\n", ""), Catch::Contains("no column says when a row happened; name it in collab.time"));
  CHECK_THROWS_WITH(Read(with(kTwo, "ranks = 2\n", "ranks = 2\ntime = called_at\n")),
                    Catch::Contains("task buys has no time, others have"));
  CHECK_THROWS_WITH(refused("2011-10-01", ""), Catch::Contains("two cut-offs common to all tasks"));
  CHECK_THROWS_WITH(refused("2011-10-01", "2011-08-01"), Catch::Contains("the second cut-off is not after the first"));
  CHECK_THROWS_WITH(refused("2011-10-01", "40"), Catch::Contains("the second cut-off is not after the first"));
  CHECK_THROWS_WITH(refused("2011-10-01", "October"), Catch::Contains("neither a date such as 2011-10-01 nor a number"));
  CHECK_THROWS_WITH(refused("2 days", "month"), Catch::Contains("collab.period = month is refused"));
}

namespace {
/// Two tasks with a key more in the section of the second.
std::string lockstep(const std::string& strategy, const std::string& more = "", const std::string& collab = "") {
  return "[collab]\nevery = 20\nstrategy = " + strategy + "\n" + collab +
         "[task.buys]\nrecipe = base.ini\nentity = person\n[task.calls]\nrecipe = base.ini\nentity = person\n" + more + "\n";
}
}  // namespace

TEST_CASE("what tasks in lock-step cannot differ in is refused by key, task and value") {
  using Catch::Contains;
  CHECK(goes_in_lockstep(Read(lockstep("trunk", "weight = 2")).recipe));
  CHECK(goes_in_lockstep(Read(lockstep("stitch")).recipe));
  CHECK(!goes_in_lockstep(Read(kTwo).recipe));
  CHECK(!goes_in_lockstep(Read(lockstep("trunk", "", "trunk.average_every = 1\nsteps_per_tick = buys:3 calls:4\n")).recipe));
  CHECK(Read(lockstep("trunk", "weight = 2")).recipe.infos(2)[1].weight == 2);
  const auto refused = [](const std::string& text, const std::string& why) { CHECK_THROWS_WITH(Read(text), Contains(why)); };
  refused(lockstep("trunk", "optimizer.lr = 0.1"), "task.calls.optimizer.lr = 0.1, but task.buys.optimizer.lr = 0.5");
  refused(lockstep("trunk", "optimizer.clip_norm = 1"), "task.calls.optimizer.clip_norm = 1 is refused");
  refused(lockstep("trunk", "parallel.wire = bf16"), "use f32");
  refused(lockstep("trunk", "train.freeze = 0.weight"), "task.calls.train.freeze = 0.weight, but task.buys.train.freeze = ");
  refused(lockstep("trunk", "train.freeze = 0.weight\ntrain.unfreeze = 0.weight:2"), "task.calls.train.");
  refused(lockstep("trunk", "parallel.exchange = local_sgd"), "use auto");
  refused(lockstep("trunk", "train.on_nan = skip"), "use stop");
  refused(lockstep("trunk", "role = target"), "task.calls.role = target is refused");
  refused(lockstep("trunk", "", "steps_per_tick = buys:3 calls:4\n"),
          "equal numbers of steps; collab.trunk.average_every lets them differ");
  refused(lockstep("trunk", "", "trunk.average_every = 1\ntrunk.pcgrad = true\n"), "collab.trunk.pcgrad is about gradients");
  refused(lockstep("store", "weight = 2"), "task.calls.weight does nothing with collab.strategy = store");
  refused(lockstep("store", "", "trunk.pcgrad = true\n"), "collab.trunk.pcgrad does nothing with collab.strategy = store");
  refused(lockstep("stitch", "train.batch = 16"), "task.calls.train.batch = 16, but task.buys.train.batch = 32");
  refused(lockstep("stitch", "train.seed = 16"), "same entities in the same rows");
  refused(lockstep("stitch", "train.early_stop = validation.loss 3"), "task.calls.train.early_stop = validation.loss 3, but task.buys");
  refused(lockstep("stitch", "data.weight = w"), "a row counts alike");
  refused(lockstep("stitch", "parallel.overlap = thread"), "use layers");
  refused(lockstep("stitch store"), "use it alone");
  CHECK_NOTHROW(Read(lockstep("trunk", "optimizer.lr = 0.1", "trunk.average_every = 1\n")));
  CHECK_NOTHROW(Read(lockstep("trunk store", "train.batch = 16")));
}

TEST_CASE("a form of distillation refuses the keys of the other, and the resolved recipe has none of them") {
  const Read read(lockstep("distill", "", "distill.form = checkpoint\n"));
  CHECK(read.recipe.options().distill.by_checkpoint);
  CHECK(read.recipe.resolved().find("distill.entities") == std::string::npos);
  CHECK(read.recipe.resolved().find("distill.weight") != std::string::npos);
  CHECK_THROWS_WITH(Read(lockstep("distill", "", "distill.form = checkpoint\ndistill.share = 1\n")),
                    Catch::Contains("collab.distill.share is of collab.distill.form = predictions; remove it"));
  CHECK_THROWS_WITH(Read(lockstep("store", "", "distill.form = checkpoint\n")), Catch::Contains("add distill to the strategies"));
}

TEST_CASE("what waiting costs is said by task") {
  CHECK(waiting_text({"buys", "calls"}, {0.3, 0.8}) == "buys waits 62 % of its time (own step 0.3 of 0.8 ms)");
  CHECK(waiting_text({"a", "b", "c"}, {1, 4, 2}) ==
        "a waits 75 % of its time (own step 1 of 4 ms), c waits 50 % of its time (own step 2 of 4 ms)");
  CHECK(waiting_text({"a", "b"}, {1, 1.001}).empty());
}
